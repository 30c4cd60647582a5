"""What the doctor says of processes that other machines reach."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster
from distributed.security import Security

from penstock.cli.doctor import _listening
from penstock.cli.doctor._listening import Listener, Speech, judge, listeners, look_at_listeners, open_addresses, probe
from penstock.config import Resources
from penstock.execute import open_executor
from penstock.security import make_certificates

OPEN = "import socket, sys; s = socket.create_server((sys.argv[2], 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"


class Page(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Locked(Page):
    status = 401


@contextmanager
def serving(page: type[Page]) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(5)


@contextmanager
def listening(host: str, name: str = "penstock-trial") -> Iterator[tuple[int, int]]:
    """A process that is called after penstock and listens; its number and port."""
    with subprocess.Popen([sys.executable, "-c", OPEN, name, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield child.pid, int(child.stdout.readline())
        child.communicate("")


def test_a_process_of_ours_that_listens_everywhere_is_found() -> None:
    with listening("0.0.0.0") as (pid, port):
        assert Listener("penstock", pid, "0.0.0.0", port) in set(listeners())


def test_the_folder_of_a_program_says_nothing_of_what_it_is() -> None:
    with listening("0.0.0.0", "/srv/dask/bin/prefect") as (pid, _):
        assert {one.program for one in listeners() if one.pid == pid} == {"prefect"}


def test_a_process_that_listens_on_this_machine_only_is_not_told() -> None:
    with listening("127.0.0.1") as (pid, _):
        assert pid not in {one.pid for one in listeners()}


@pytest.mark.parametrize(("page", "speech"), [(Page, "http"), (Locked, "http with password")])
def test_http_is_told_with_and_without_password(page: type[Page], speech: Speech) -> None:
    with serving(page) as port:
        assert probe("127.0.0.1", port, wait_s=0.1) == speech


def test_an_address_that_is_gone_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    assert probe("127.0.0.1", port, wait_s=0.1) == "silent"


def test_dask_greets_strangers_unless_it_is_encrypted(tmp_path: Path) -> None:
    certs = make_certificates(tmp_path / "certs")
    pair = {
        f"tls_{role}_{part}": str(path)
        for role in ("scheduler", "worker", "client")
        for part, path in (("cert", certs.node), ("key", certs.node_key))
    }
    security = Security(tls_ca_file=str(certs.authority), require_encryption=True, **pair)
    for protocol, armed, speech in (("tcp", None, "greets"), ("tls", security, "silent")):
        with LocalCluster(
            n_workers=0,
            processes=False,
            protocol=protocol,
            security=armed,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster:
            assert probe("127.0.0.1", int(cluster.scheduler_address.rpartition(":")[2])) == speech


@pytest.mark.parametrize(
    ("program", "speech", "state", "told"),
    [
        ("dask", "greets", "problem", "takes Dask connections that are neither encrypted nor guarded: whoever reaches it runs code as you"),
        ("dask", "http", "note", "shows code, logs and numbers to whoever reaches it"),
        ("dask", "silent", "ok", "says nothing to strangers, as with TLS"),
        ("prefect", "http", "problem", "asks for no password: whoever reaches it runs code on its workers"),
        ("prefect", "http with password", "note", "takes its password in the clear"),
        ("penstock", "http with password", "note", "takes its password in the clear"),
    ],
)
def test_each_way_of_listening_is_judged(program: str, speech: Speech, state: str, told: str) -> None:
    finding = judge(Listener(program, 12, "0.0.0.0", 8786), speech)
    assert (finding.what, finding.state, finding.detail) == (f"listening {program}", state, f"process 12 on 0.0.0.0:8786 {told}")
    assert bool(finding.advice) == (state != "ok")


def test_where_nothing_listens_the_doctor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_listening, "open_addresses", set)
    assert [(f.state, f.detail) for f in look_at_listeners()] == [
        ("ok", "no Dask, Prefect or penstock process of yours takes connections from other machines")
    ]


@pytest.mark.server
def test_workers_of_this_machine_are_reached_from_this_machine_only() -> None:
    executor = open_executor(Resources(executor="local", workers=1), ["tpc"])
    try:
        ours = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
        assert executor.slots == 1
        assert [address for address in open_addresses() if address[0] in ours] == []
    finally:
        executor.close()
