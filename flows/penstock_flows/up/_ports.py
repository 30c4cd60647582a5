"""Ports of the loopback device: one that is free, or who has it."""

from __future__ import annotations

import psutil

from penstock_flows.server import free_port, is_free
from penstock_flows.up._errors import PortTaken

__all__ = ["choose_port", "who_listens"]

HOST = "127.0.0.1"


def who_listens(port: int) -> str:
    """The process that listens on a port: ``process 4711 (prefect server start)``, as far as we may know."""
    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port]
        pid = next((c.pid for c in listening if c.pid), None)
        if pid is None:
            return "a process of another user"
        words = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return "another process"
    return f"process {pid} ({words if len(words) <= 80 else words[:77] + '...'})"


def choose_port(what: str, option: str, wanted: int | None, usual: int) -> int:
    """The port that was asked for, else the usual one, else a free one.

    Parameters
    ----------
    wanted
        0 is any free one; None the usual one where it is free.

    Raises
    ------
    PortTaken
        Somebody has the port that was asked for, or the usual one of a part that people know by it.
    """
    if wanted == 0:
        return free_port()
    port = wanted or usual
    if is_free(port):
        return port
    if wanted is None:
        return free_port()
    raise PortTaken(
        f"port {port} for {what} is taken by {who_listens(port)}. Stop it, or choose another port with {option} (0: any that is free)."
    )
