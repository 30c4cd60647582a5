"""Files that only their owner may read, made so from their first byte on."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["OPEN", "PRIVATE", "write_file"]

PRIVATE = 0o600
OPEN = 0o644


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file with this mode, whole or not at all; what had the name before is replaced."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
