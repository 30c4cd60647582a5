"""Files that only their owner may read, made so from their first byte on."""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path

__all__ = ["OPEN", "PRIVATE", "write_file"]

PRIVATE = 0o600
OPEN = 0o644


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file with this mode, whole or not at all.

    What had the name before is replaced, and who could read that can read this: a key that a service's user or group holds
    stays theirs when the administrator makes it anew.
    """
    before = path.stat() if path.exists() else None
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode if before is None else _hand_over(stream.fileno(), before, mode))
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _hand_over(handle: int, before: os.stat_result, mode: int) -> int:
    """Give a new file the owner and the group of the old one where we may; its mode, open to the group where the old one was."""
    for user, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with suppress(PermissionError):
            os.fchown(handle, user, group)
    same_group = os.fstat(handle).st_gid == before.st_gid
    return mode | (before.st_mode & stat.S_IRGRP if same_group else 0)
