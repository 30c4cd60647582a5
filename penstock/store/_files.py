"""Files as the store keeps them: hashed, flushed to disk, read-only, shared by the store's group."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.core.errors import StoreError

__all__ = ["CACHE_MARKER", "hash_file", "link_file", "make_folder", "seal", "share", "sync_folder", "translate_errors", "write_atomically"]

CACHE_MARKER = "penstock-cache.json"
"""Says that a folder is the cache of a store in a bucket, and of which."""
_CHUNK = 4 << 20


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def link_file(source: Path, target: Path) -> None:
    """A file under a second name; a copy, read-only, where the system links no files of another user (Linux: protected_hardlinks)."""
    try:
        os.link(source, target)
    except PermissionError:
        shutil.copyfile(source, target)
        target.chmod(0o444)


def make_folder(folder: Path, root: Path) -> None:
    """Create `folder` below the store's `root`; where the root is shared by a group, so are its folders."""
    if folder.is_dir():
        return
    if folder != root:
        make_folder(folder.parent, root)
    folder.mkdir(exist_ok=True)
    mode = root.stat().st_mode
    if mode & stat.S_ISGID and folder.stat().st_uid == os.getuid():
        folder.chmod(stat.S_IMODE(mode))


def share(path: Path, root: Path) -> None:
    """Let the group write a file of ours where the store's `root` is shared by a group."""
    mode = root.stat().st_mode
    if mode & stat.S_ISGID and mode & stat.S_IWGRP and path.stat().st_uid == os.getuid():
        path.chmod(0o664)


def seal(path: Path) -> None:
    """Flush a finished file to disk and make it read-only."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    path.chmod(0o444)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file under a temporary name and rename it: it is whole or absent."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    with temporary.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


@contextmanager
def translate_errors(root: Path) -> Iterator[None]:
    """Turn errors of the disk into `StoreError` that says what to do; our own errors pass."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, RuntimeError) as error:
        number = _number(error)
        if number in (errno.ENOSPC, errno.EDQUOT):
            way = "penstock store gc --cache --hours 1" if (root / CACHE_MARKER).exists() else "penstock store gc"
            raise StoreError(
                f"store {root}: the disk is full ({os.strerror(number)}). Nothing was committed. Free space ({way}) and run the same command again."
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise StoreError(
                f"store {root}: cannot be written ({os.strerror(number)}). Give this user write permission, or name another store in experiment.toml."
            ) from error
        raise


def _number(error: OSError | RuntimeError) -> int | None:
    """The errno; HDF5 raises RuntimeError where a file cannot be closed, with the number in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else None
