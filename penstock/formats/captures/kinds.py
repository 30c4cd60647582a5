"""Which kind of capture a file is, by its first bytes."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal

from penstock.core.errors import BadRun, ConfigError
from penstock.formats.captures._layouts import EVENT, MESSAGE
from penstock.formats.captures._source import open_inflated

__all__ = ["Kind", "kind_of", "require_kind"]

Kind = Literal["dump", "raw", "pickles"]
NAMES: dict[Kind, str] = {"dump": "a dump of events", "raw": "a raw capture of messages", "pickles": "a file of pickles"}
HEAD = 1 << 20
"""Bytes in which a file must show its kind, where its beginning is damaged."""
BINARY = re.compile(rb"\x89[A-Z]{3}\r\n\x1a\n")
"""How HDF5, PNG and their like begin, which also reads as an array of byte strings."""
PICKLE = 0x80
"""First byte of pickles of protocol 2 to 5; the protocol follows."""


def kind_of(path: Path | str, *, allow_pickle: bool = False) -> Kind:
    """Which kind of capture a file is: a dump of events, a raw capture of messages, or a file of pickles.

    Raises
    ------
    RunMissing
        There is no such file.
    BadRun
        It is empty, or no capture.
    ConfigError
        It holds pickles, which may run any code when they are read, and these are not allowed.
    """
    path = Path(path)
    with open_inflated(path) as file:
        try:
            head = file.read(16) or b""
            if MESSAGE.match(head) is None and not head.startswith((b"\xd9\xa7\x7d", b"\xd9\xd9\xf7")):
                head += file.read(HEAD)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BadRun(f"{path}: the gzip file is damaged ({error}); nothing of it can be read.") from error
    if not head:
        raise BadRun(f"{path} is empty: nothing was recorded into it.")
    kind = _kind(head)
    if kind is None:
        raise BadRun(
            f"{path} is no capture: it begins with {head[:16]!r}. A dump of events begins with the CBOR tags 55799 and 42877, "
            "a raw capture with an array of byte strings."
        )
    if kind == "pickles" and not allow_pickle:
        raise ConfigError(
            f"{path} holds pickles, which may run any code when they are read. Record it as a dump of events (.cbors) instead."
        )
    return kind


def _kind(head: bytes) -> Kind | None:
    if head[0] == PICKLE and len(head) > 1 and head[1] in (2, 3, 4, 5):
        return "pickles"
    if BINARY.match(head):
        return None
    bare = head.removeprefix(b"\xd9\xd9\xf7")
    if bare.startswith(EVENT):
        return "dump"
    if MESSAGE.match(bare):
        return "raw"
    return "dump" if EVENT in head else None


def require_kind(path: Path, wanted: Kind) -> None:
    """Check that a file is of a kind.

    Raises
    ------
    BadRun
        It is of another one, or no capture.
    ConfigError
        It holds pickles.
    """
    found = kind_of(path)
    if found != wanted:
        raise BadRun(f"{path} is {NAMES[found]}; {NAMES[wanted]} is wanted here.")
