from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from toybench import attempt_of, commit, make_groups, make_hits

from penstock.core.canonical import Key
from penstock.core.errors import StoreError
from penstock.store import Store, translate_errors
from penstock.store._index_sqlite import SqliteIndex


def fill(disk: Path) -> Path:
    """Fill a disk to the last byte."""
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(os.urandom(8 << 20))
    return filler


def test_a_store_on_a_read_only_disk_is_refused_with_the_way_out(small_disk: Path) -> None:
    Store(small_disk / "store").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    message = f"store {small_disk}/store: cannot be written. Give this user write permission, or name another store in experiment.toml."

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        Store(small_disk / "store")


def test_a_store_that_cannot_be_made_is_refused_with_the_way_out(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(
        StoreError, match=r"^store .*/new: cannot be written \(.*Read-only file system.*name another store in experiment\.toml\.$"
    ):
        Store(small_disk / "new")


def test_an_index_that_cannot_be_written_is_refused_with_the_way_out(small_disk: Path, tmp_path: Path) -> None:
    SqliteIndex(small_disk / "index.sqlite").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(StoreError, match=r"index .*index\.sqlite: cannot be written \(.*\)\. Give this user write permission"):
        Store(tmp_path / "store", index=small_disk / "index.sqlite")


@pytest.mark.parametrize("records", [make_hits(2000), make_groups(2000)], ids=["hits", "groups"])
def test_a_full_disk_stops_an_attempt_with_the_way_out_and_publishes_nothing(small_disk: Path, records: object) -> None:
    with Store(small_disk / "store") as store:
        filler = fill(small_disk)
        key = Key("a" * 32)

        with pytest.raises(StoreError, match=r"the disk is full .*Nothing was committed\. Free space"), translate_errors(store.root):
            attempt_of(store, key, records, block=2000)  # type: ignore[arg-type]

        assert not store.has(key)
        filler.unlink()
        commit(store, "one")
        assert all(damage is None for _, damage in store.verify())


def test_an_index_on_a_full_disk_says_so(small_disk: Path) -> None:
    with Store(small_disk / "store") as store:
        fill(small_disk)

        with pytest.raises(StoreError, match=r"index\.sqlite: the disk is full\. Free space"):
            store.index.set_ref("e/default/run-1/toy.hits", "k" * 100_000)
