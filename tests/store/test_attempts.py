from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from reals3 import Bench
from toybench import attempt_of, make_groups, make_hits, make_manifest, make_summary, same_records
from toyline.schemas import Groups, Hits

from penstock.core.canonical import Key
from penstock.core.errors import SameKeyOtherBytes
from penstock.core.schema import Records, Rejection
from penstock.store import Store, attempts
from penstock.store.attempts import Attempt, read_note, rejections_of, tally, write_block

KEY = Key("a" * 32)
in_a_folder = pytest.mark.parametrize("bench", ["folder"], indirect=True)


@pytest.fixture
def store(bench: Bench) -> Store:
    """An empty store, in a folder and in a bucket."""
    return bench.store


def publish(store: Store, records: Records, tolerance: float = 0.0) -> None:
    attempt, manifest = attempt_of(store, KEY, records)
    store.enter(attempt.publish(manifest, type(records), tolerance), None)


@pytest.mark.parametrize("make", [make_hits, make_groups, make_summary])
def test_a_published_artifact_reads_back(store: Store, make: object) -> None:
    records: Records = make(11)  # type: ignore[operator]

    publish(store, records)

    assert same_records(store.read(store.manifest(KEY), type(records)), records)


def test_an_artifact_exists_only_when_its_manifest_does(store: Store) -> None:
    attempt, manifest = attempt_of(store, KEY, make_hits(5))

    assert not store.has(KEY)

    attempt.publish(manifest, Hits, 0.0)

    assert store.has(KEY)


@in_a_folder
def test_the_manifest_is_published_by_hard_link(store: Store) -> None:
    attempt, manifest = attempt_of(store, KEY, make_hits(5))

    attempt.publish(manifest, Hits, 0.0)

    assert (store.home(KEY) / "manifest.json").samefile(attempt.folder / "manifest.json")


def test_a_second_writer_adopts_the_first_result_and_drops_its_own(store: Store) -> None:
    publish(store, make_hits(5))
    first = store.manifest(KEY)
    attempt, manifest = attempt_of(store, KEY, make_hits(5))

    standing = attempt.publish(manifest, Hits, 0.0)

    assert standing == first
    assert not attempt.folder.exists()


def test_a_difference_within_the_tolerance_lets_the_first_result_stand(store: Store) -> None:
    publish(store, make_hits(5))
    other = make_hits(5)
    other["hits"]["charge"][:] *= 1 + 1e-9
    attempt, manifest = attempt_of(store, KEY, other)

    standing = attempt.publish(manifest, Hits, 1e-6)

    assert standing == store.manifest(KEY)
    assert standing.files != manifest.files


def test_other_bytes_under_the_same_key_are_an_error_that_names_both_numbers(store: Store) -> None:
    publish(store, make_hits(5))
    other = make_hits(5)
    other["hits"]["charge"][:] *= 1.5
    attempt, manifest = attempt_of(store, KEY, other)
    message = (
        "run-0001: stage 'toy.made', artifact aaaaaaaaaa: two computations under one key differ by 0.5 relative, the stage allows 0.1. "
        "The first one stands (here, numerics 'any'); compare the environments with: penstock explain aaaaaaaaaa"
    )

    with pytest.raises(SameKeyOtherBytes, match=f"^{re.escape(message)}$"):
        attempt.publish(manifest, Hits, 0.1)


def shift_row(records: Hits) -> None:
    records.offsets["hits"][1:-1] = np.minimum(records.offsets["hits"][1:-1] + 1, records.offsets["hits"][-1])


def put_nan(records: Hits) -> None:
    records["hits"]["charge"][2] = np.nan


def put_infinity(records: Hits) -> None:
    records["hits"]["value"][2] = np.inf


def drop_row(records: Hits) -> None:
    np.minimum(records.offsets["hits"], records.offsets["hits"][-1] - 1, out=records.offsets["hits"])
    records.columns = {**records.columns, "hits": {n: v[:-1] for n, v in records["hits"].items()}}


def reject(records: Hits) -> None:
    records.rejections = [Rejection(2, "noise burst")]


@pytest.mark.parametrize("change", [shift_row, put_nan, put_infinity, drop_row, reject])
def test_no_tolerance_covers_other_rows_or_missing_values(store: Store, change: object) -> None:
    publish(store, make_hits(7))
    other = make_hits(7)
    change(other)  # type: ignore[operator]
    attempt, manifest = attempt_of(store, KEY, other)

    with pytest.raises(SameKeyOtherBytes, match="differ by inf relative"):
        attempt.publish(manifest, Hits, 1e9)


def test_nan_at_the_same_place_is_no_difference(store: Store) -> None:
    one, other = make_hits(7), make_hits(7)
    put_nan(one)
    put_nan(other)
    other["hits"]["charge"][3] *= 1 + 1e-9
    publish(store, one)
    attempt, manifest = attempt_of(store, KEY, other)

    assert attempt.publish(manifest, Hits, 1e-6) == store.manifest(KEY)


@in_a_folder
def test_data_files_and_manifest_are_read_only(store: Store) -> None:
    publish(store, make_hits(5))

    files = [p for p in store.home(KEY).rglob("*") if p.is_file()]

    assert len(files) == 3
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o444}


def test_folders_of_a_shared_store_carry_its_group(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    group = os.getgroups()[-1] if os.getuid() else 12345
    os.chown(root, -1, group)
    root.chmod(0o2775)

    with Store(root) as store:
        publish(store, make_hits(5))
        store.set_ref("e/default/run-0001/toy.made", KEY)
        folders = [p for p in root.rglob("*") if p.is_dir()]
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in root.glob("index.sqlite*")}
        groups = {p.stat().st_gid for p in root.rglob("*")}

    assert {stat.S_IMODE(p.stat().st_mode) for p in folders} == {0o2775}
    assert groups == {group}
    assert modes == dict.fromkeys(("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"), 0o664)


def test_an_attempt_takes_over_the_whole_blocks_of_a_dead_one(store: Store) -> None:
    dead, _ = attempt_of(store, KEY, make_hits(12))
    alive = Attempt.begin(store.root, store.home(KEY))

    notes = alive.adopt()

    assert sorted(notes) == [0, 1, 2]
    assert read_note(alive.blocks, 1) == notes[1]
    assert not dead.folder.exists()


def test_a_block_that_is_not_what_its_note_says_is_not_taken_over(store: Store) -> None:
    dead, _ = attempt_of(store, KEY, make_hits(12))
    data = dead.blocks / "00000001.h5"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    (dead.blocks / "00000002.json").write_text('{"block": 2}')

    assert sorted(Attempt.begin(store.root, store.home(KEY)).adopt()) == [0]


def test_a_block_without_its_note_is_not_taken_over(store: Store) -> None:
    dead, _ = attempt_of(store, KEY, make_hits(12))
    (dead.blocks / "00000000.json").unlink()

    assert sorted(Attempt.begin(store.root, store.home(KEY)).adopt()) == [1, 2]


def test_large_results_go_on_in_further_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PART_BYTES", 1)
    records = make_groups(10)

    publish(store, records)
    manifest = store.manifest(KEY)

    assert [Path(f.name).name for f in manifest.files] == ["data.h5", "data.001.h5", "data.002.h5"]
    assert [(f.start, f.stop) for f in manifest.files] == [(0, 4), (4, 8), (8, 10)]
    assert same_records(store.read(manifest, Groups, 3, 9), records.part(3, 9))


@in_a_folder
def test_a_link_that_was_made_although_an_error_came_back_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, manifest = attempt_of(store, KEY, make_hits(5))
    link = os.link

    def link_and_fail(source: Path, target: Path) -> None:
        link(source, target)
        raise OSError(errno.EIO, "the answer was lost")

    monkeypatch.setattr(os, "link", link_and_fail)

    assert attempt.publish(manifest, Hits, 0.0) == manifest


@in_a_folder
def test_a_link_that_cannot_be_made_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, manifest = attempt_of(store, KEY, make_hits(5))

    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(os, "link", fail)

    with pytest.raises(OSError, match="no answer"):
        attempt.publish(manifest, Hits, 0.0)
    assert not store.has(KEY)


def test_events_without_a_result_before_stay_so_and_are_not_counted_again(store: Store) -> None:
    attempt = Attempt.begin(store.root, store.home(KEY))
    records = make_hits(4)
    records.rejections = [Rejection(3, "noise burst"), Rejection(0, "down-scale", excluded=True)]

    note = write_block(attempt.blocks, records, block=2, size=4, events_in=3, cpu_s=0.0, inherited=[Rejection(1, "earlier")])

    assert rejections_of([note], 4) == ((8, "down-scale", True), (9, "earlier", False), (11, "noise burst", False))
    assert tally([note]) == ({"noise burst": 1}, {"down-scale": 1})


def test_a_manifest_of_an_empty_run_names_a_file_without_rows(store: Store) -> None:
    publish(store, make_hits(0))

    assert store.read(store.manifest(KEY), Hits).n_events == 0
    assert make_manifest(KEY, make_hits(0)).n_events == 0
