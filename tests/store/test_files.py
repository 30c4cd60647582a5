from __future__ import annotations

import errno
import hashlib
import re
import stat
from pathlib import Path

import pytest

from penstock.core.errors import DamagedArtifact, StoreError
from penstock.store import hash_file, translate_errors
from penstock.store._files import share, write_atomically

FULL = "store {}: the disk is full ({}). Nothing was committed. Free space (penstock store gc) and run the same command again."
CLOSED = "store {}: cannot be written ({}). Give this user write permission, or name another store in experiment.toml."


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (OSError(errno.ENOSPC, "long text"), "No space left on device", FULL),
        (OSError(errno.EDQUOT, "long text"), "Disk quota exceeded", FULL),
        (RuntimeError("Can't decrement id ref count (errno = 28, error message = 'long text')"), "No space left on device", FULL),
        (OSError(errno.EROFS, "long text"), "Read-only file system", CLOSED),
        (PermissionError(errno.EACCES, "long text"), "Permission denied", CLOSED),
    ],
    ids=["full", "quota", "full as HDF5 tells it", "read-only", "permission"],
)
def test_errors_of_the_disk_say_what_to_do(tmp_path: Path, error: Exception, reason: str, message: str) -> None:
    expected = message.format(tmp_path, reason)

    with pytest.raises(StoreError, match=f"^{re.escape(expected)}$"), translate_errors(tmp_path):
        raise error


def test_a_full_disk_of_a_cache_says_how_to_make_room_there(tmp_path: Path) -> None:
    (tmp_path / "penstock-cache.json").touch()

    with pytest.raises(StoreError, match=r"Free space \(penstock store gc --cache --hours 1\) and"), translate_errors(tmp_path):
        raise OSError(errno.ENOSPC, "long text")


@pytest.mark.parametrize(("mode", "expected"), [(0o2775, 0o664), (0o2755, 0o600), (0o775, 0o600)], ids=["group", "readers", "alone"])
def test_a_file_may_be_written_by_the_group_that_shares_the_store(tmp_path: Path, mode: int, expected: int) -> None:
    tmp_path.chmod(mode)
    (tmp_path / "lock").touch(0o600)

    share(tmp_path / "lock", tmp_path)

    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == expected


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), RuntimeError("something else"), DamagedArtifact("damaged")])
def test_other_errors_pass_as_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translate_errors(tmp_path):
        raise error

    assert caught.value is error


def test_a_file_is_hashed_with_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"detector")

    assert hash_file(tmp_path / "a") == hashlib.sha256(b"detector").hexdigest()


def test_a_text_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ref", "one\n")
    write_atomically(tmp_path / "ref", "two\n")

    assert [p.name for p in tmp_path.iterdir()] == ["ref"]
    assert (tmp_path / "ref").read_text() == "two\n"
