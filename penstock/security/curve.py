"""CURVE keys of ZeroMQ streams: who may push to us, and to whom we push. Files as pyzmq reads them (ZPL, Z85 text).

A server proves itself by its key, and lets in only clients whose public key lies in the folder ``clients``.
https://rfc.zeromq.org/spec/26/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PenstockError
from penstock.security._private_files import OPEN, PRIVATE, write_file

if TYPE_CHECKING:
    import zmq

__all__ = ["CurveKeyMissing", "arm_client", "arm_server", "authorised_clients_only", "make_curve_keys"]


class CurveKeyMissing(PenstockError, FileNotFoundError):
    """A key of a live stream is not there or cannot be read."""


def make_curve_keys(folder: Path) -> None:
    """Make key pairs ``server`` and ``client`` in `folder`, and let the client in: its public key lies in ``clients``."""
    from zmq import curve_keypair

    (folder / "clients").mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    for name in ("server", "client"):
        public, secret = curve_keypair()
        write_file(folder / f"{name}.key", _zpl(public), OPEN)
        write_file(folder / f"{name}.key_secret", _zpl(public, secret), PRIVATE)
    write_file(folder / "clients" / "client.key", (folder / "client.key").read_bytes(), OPEN)


def arm_server(socket: zmq.Socket[Any], folder: Path) -> None:
    """Let a socket take encrypted connections only; before it binds, and within `authorised_clients_only`.

    Parameters
    ----------
    folder
        Holds ``server.key_secret``.

    Raises
    ------
    CurveKeyMissing
    """
    socket.curve_publickey, socket.curve_secretkey = _read(folder / "server.key_secret", secret=True)
    socket.curve_server = True


def arm_client(socket: zmq.Socket[Any], folder: Path) -> None:
    """Let a socket connect to that server only; before it connects.

    Parameters
    ----------
    folder
        Holds ``client.key_secret``, and ``server.key``, the public key of the server.

    Raises
    ------
    CurveKeyMissing
    """
    socket.curve_publickey, socket.curve_secretkey = _read(folder / "client.key_secret", secret=True)
    socket.curve_serverkey, _ = _read(folder / "server.key", secret=False)


@contextmanager
def authorised_clients_only(context: zmq.Context[Any], folder: Path) -> Iterator[None]:
    """While this lasts, armed servers of `context` let in those whose public key lies in ``clients``, and nobody else.

    One at a time for a context. Without it an armed server takes whoever knows its public key.

    Raises
    ------
    CurveKeyMissing
        There is no folder ``clients``.
    """
    from zmq.auth.thread import ThreadAuthenticator

    clients = folder / "clients"
    if not clients.is_dir():
        raise CurveKeyMissing(
            f"{clients}: no such folder. Put the public keys of those who may connect there, or make it with: penstock certs"
        )
    doorkeeper = ThreadAuthenticator(context)
    doorkeeper.start()
    try:
        doorkeeper.configure_curve(domain="*", location=clients)
        yield
    finally:
        doorkeeper.stop()


def _read(path: Path, *, secret: bool) -> tuple[bytes, bytes]:
    from zmq.auth import load_certificate

    try:
        public, private = load_certificate(path)
    except (OSError, ValueError) as error:
        raise CurveKeyMissing(f"{path}: no key can be read there ({error}). Copy it from the folder that penstock certs made.") from error
    if secret and private is None:
        raise CurveKeyMissing(f"{path}: holds no secret key. Copy it from the folder that penstock certs made.")
    return public, private or b""


def _zpl(public: bytes, secret: bytes | None = None) -> bytes:
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return ("\n".join(lines) + "\n").encode()
