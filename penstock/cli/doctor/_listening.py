"""Processes of this user that take connections from other machines: Dask, Prefect, penstock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psutil

from penstock.cli.doctor._finding import Finding
from penstock.security import is_loopback

__all__ = ["Listener", "judge", "listeners", "look_at_listeners", "open_addresses", "probe"]

ANSWER_S = 0.5
"""A Dask process without encryption greets at once; how long it is waited for, in seconds."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  looked for, not listened on
_PROGRAMS = ("dask", "distributed", "prefect", "penstock")

Speech = Literal["greets", "http", "http with password", "silent"]
"""What an address says: a Dask greeting in the clear, HTTP that answers, HTTP that asks for a password, or nothing (as TLS does)."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address beyond the loopback device on which a process of ours listens."""

    program: str
    pid: int
    host: str
    port: int

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def look_at_listeners() -> Iterator[Finding]:
    """What of ours other machines can reach; a probe connects to each address, and sends no more than a request for a page."""
    found = sorted(listeners(), key=lambda one: (one.pid, one.port))
    for listener in found:
        yield judge(listener, probe(_EVERYWHERE.get(listener.host, listener.host), listener.port))
    if not found:
        yield Finding("listening", "ok", "no Dask, Prefect or penstock process of yours takes connections from other machines")


def listeners() -> Iterator[Listener]:
    """Addresses beyond the loopback device on which our programs listen, as this user."""
    for pid, host, port in open_addresses():
        program = _program(pid)
        if program is not None:
            yield Listener(program, pid, host, port)


def open_addresses() -> set[tuple[int, str, int]]:
    """Process, host and port of whatever listens beyond the loopback device; of processes that this user may look into."""
    return {
        (connection.pid, connection.laddr.ip, connection.laddr.port)
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.pid is not None
        and not is_loopback(connection.laddr.ip.removeprefix("::ffff:"))
    }


def judge(listener: Listener, speech: Speech) -> Finding:
    """What a listener that speaks so amounts to."""
    what = f"listening {listener.program}"
    where = f"process {listener.pid} on {listener.address}"
    if speech == "greets":
        return Finding(
            what,
            "problem",
            f"{where} takes Dask connections that are neither encrypted nor guarded: whoever reaches it runs code as you",
            "Start it with --host 127.0.0.1, or with certificates (penstock certs FOLDER).",
        )
    if speech == "http" and listener.program == "prefect":
        return Finding(
            what,
            "problem",
            f"{where} asks for no password: whoever reaches it runs code on its workers",
            "Start it with --host 127.0.0.1, or with PREFECT_SERVER_API_AUTH_STRING behind TLS (docs/security.md).",
        )
    if speech == "http":
        return Finding(
            what,
            "note",
            f"{where} shows code, logs and numbers to whoever reaches it",
            "A dashboard stays on this machine with --dashboard-address 127.0.0.1:8787.",
        )
    if speech == "http with password":
        return Finding(what, "note", f"{where} takes its password in the clear", "Put it behind a reverse proxy with TLS.")
    return Finding(what, "ok", f"{where} says nothing to strangers, as with TLS")


def probe(host: str, port: int, wait_s: float = ANSWER_S) -> Speech:
    """What an address says to a stranger."""
    try:
        with socket.create_connection((host, port), timeout=wait_s) as connection:
            if connection.recv(8):
                return "greets"
            return "silent"
    except TimeoutError:
        return _ask_for_a_page(host, port, wait_s)
    except OSError:
        return "silent"


def _ask_for_a_page(host: str, port: int, wait_s: float) -> Speech:
    try:
        with socket.create_connection((host, port), timeout=wait_s) as connection:
            connection.settimeout(4 * wait_s)
            connection.sendall(b"GET /api/admin/version HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = connection.recv(16)
    except OSError:
        return "silent"
    if not answer.startswith(b"HTTP/"):
        return "silent"
    return "http with password" if answer[9:12] in (b"401", b"403") else "http"


def _program(pid: int) -> str | None:
    """Which of our programs a process of this user is, or was started by; None for others."""
    try:
        process = psutil.Process(pid)
        if process.uids().real != os.getuid():
            return None
        for one in (process, *process.parents()[:3]):
            # Folders say nothing: a site's Python may lie in one called after any of them.
            words = " ".join(word.rpartition("/")[2] for word in one.cmdline()).lower()
            name = next((name for name in _PROGRAMS if name in words), None)
            if name is not None:
                return "dask" if name == "distributed" else name
    except psutil.Error:
        return None
    return None
