"""Blocks and results that are folders: plain arrays, several tables, files of a stage's own."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from toybench import attempt_of, make_manifest, same_records
from toyline.wholes import Curve, CurveParams, Report, Tally, make_curve

from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact, SameKeyOtherBytes
from penstock.core.schema import Records
from penstock.store import Manifest, Store
from penstock.store._folders import link_folder
from penstock.store.attempts import Attempt, keep_files, read_note

KEY = Key("b" * 32)
PAGES = {"page.txt": b"page", "lists/hits.txt": b"1\n2\n", "empty.txt": b""}


def curve(rows: int = 11, power: float = 2.0) -> Curve:
    return make_curve(range(rows), CurveParams(power=power))


def tally(n_events: int = 9) -> Tally:
    counts = np.arange(n_events) % 3
    of_event = np.repeat(np.arange(n_events), counts)
    return Tally(
        n_events=n_events,
        columns={
            "events": {},
            "events_of_run": {"event": of_event, "values": 10 * of_event},
            "totals": {"values": np.arange(n_events)},
        },
        offsets={"events_of_run": np.append(0, np.cumsum(counts)), "totals": np.arange(n_events + 1)},
    )


def report_of(store: Store, pages: Mapping[str, bytes] = PAGES) -> tuple[Attempt, Manifest]:
    """An attempt with files of a stage's own, ready to be published."""
    attempt = Attempt.begin(store.root, store.home(KEY))
    note = keep_files(attempt.blocks, write_pages(attempt.blocks / ".made", pages), Report.empty(1), cpu_s=0.0)
    return attempt, make_manifest(KEY, Report.empty(1), files=attempt.join(Report, [note], 1, "report"))


def write_pages(folder: Path, pages: Mapping[str, bytes]) -> Path:
    for name, content in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def publish(store: Store, records: Records) -> Manifest:
    attempt, manifest = attempt_of(store, KEY, records)
    store.enter(attempt.publish(manifest, type(records), 0.0), None)
    return manifest


def spoil(path: Path) -> None:
    """Change one byte of a sealed file in the middle of its content."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def array_file(store: Store, column: str) -> Path:
    (path,) = store.data_folder(KEY).glob(f"*.{column}.npy")
    return path


@pytest.mark.parametrize("records", [curve(), tally()], ids=["arrays", "several tables"])
def test_folder_blocks_read_back_as_one_artifact(store: Store, records: Records) -> None:
    manifest = publish(store, records)

    assert same_records(store.read(manifest, type(records)), records)
    assert same_records(store.read(manifest, type(records), 3, 8), records.part(3, 8))


def test_joined_arrays_have_the_bytes_that_numpy_writes(store: Store, tmp_path: Path) -> None:
    records = curve()
    publish(store, records)

    for name, values in records["events"].items():
        np.save(tmp_path / "whole.npy", values)
        assert array_file(store, name).read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("records", [curve(), tally()], ids=["arrays", "several tables"])
def test_an_attempt_takes_over_the_folder_blocks_of_a_dead_one(store: Store, records: Records) -> None:
    dead, _ = attempt_of(store, KEY, records)
    alive = Attempt.begin(store.root, store.home(KEY))

    notes = alive.adopt()
    files = alive.join(type(records), [notes[number] for number in sorted(notes)], 4, "data")
    alive.publish(make_manifest(KEY, records, files=files), type(records), 0.0)

    assert sorted(notes) == [0, 1, 2]
    assert not dead.folder.exists()
    assert same_records(store.read(store.manifest(KEY), type(records)), records)


def test_files_of_a_stage_are_taken_over_from_a_dead_attempt(store: Store) -> None:
    dead = Attempt.begin(store.root, store.home(KEY))
    note = keep_files(dead.blocks, write_pages(dead.blocks / ".made", PAGES), Report.empty(1), cpu_s=0.5)

    alive = Attempt.begin(store.root, store.home(KEY))

    assert alive.adopt() == {0: note}
    assert {p.relative_to(alive.blocks / note.file).as_posix(): p.read_bytes() for p in (alive.blocks / note.file).rglob("*.txt")} == PAGES


def change_a_byte(block: Path) -> None:
    spoil(block / "x.npy")


def drop_a_file(block: Path) -> None:
    (block / "powers.npy").unlink()


def add_a_file(block: Path) -> None:
    (block / "z.npy").write_bytes(b"")


def rename_a_file(block: Path) -> None:
    (block / "x.npy").rename(block / "y.npy")


@pytest.mark.parametrize("change", [change_a_byte, drop_a_file, add_a_file, rename_a_file])
def test_a_folder_block_that_is_not_what_its_note_says_is_not_taken_over(store: Store, change: object) -> None:
    dead, _ = attempt_of(store, KEY, curve())
    change(next(dead.blocks.glob("00000001.*.folder")))  # type: ignore[operator]

    assert sorted(Attempt.begin(store.root, store.home(KEY)).adopt()) == [0, 2]


def test_a_folder_that_a_killed_worker_left_half_written_is_no_block(store: Store) -> None:
    dead, _ = attempt_of(store, KEY, curve())
    (dead.blocks / "00000002.json").unlink()
    write_pages(dead.blocks / ".00000002.feedbeef.folder.1-feedbeef", {"x.npy": b"\x93NUMPY"})

    alive = Attempt.begin(store.root, store.home(KEY))

    assert sorted(alive.adopt()) == [0, 1]
    assert read_note(alive.blocks, 2) is None
    assert len(list(alive.blocks.glob("*.folder"))) == 2


def test_two_writers_of_one_block_do_not_mix_their_files(store: Store) -> None:
    attempt = Attempt.begin(store.root, store.home(KEY))

    first, last = (
        keep_files(attempt.blocks, write_pages(attempt.blocks / f".{name}", {name: b"x"}), Report.empty(1), cpu_s=0.0)
        for name in ("one", "other")
    )

    assert first.file != last.file
    assert read_note(attempt.blocks, 0) == last


def test_files_of_a_stage_keep_their_names_and_are_read_only(store: Store) -> None:
    attempt, manifest = report_of(store)
    attempt.publish(manifest, Report, 0.0)

    folder = store.data_folder(KEY)

    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == PAGES
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file()} == {0o444}
    assert not attempt.blocks.exists()


def test_a_second_writer_of_equal_files_lets_the_first_stand(store: Store) -> None:
    attempt, manifest = report_of(store)
    first = attempt.publish(manifest, Report, 0.0)
    attempt, manifest = report_of(store)

    assert attempt.publish(manifest, Report, 0.0) == first
    assert not attempt.folder.exists()


def test_other_bytes_in_files_of_a_stage_are_an_error_whatever_the_tolerance(store: Store) -> None:
    attempt, manifest = report_of(store)
    attempt.publish(manifest, Report, 0.0)
    attempt, manifest = report_of(store, {**PAGES, "page.txt": b"Page"})
    message = (
        "run-0001: stage 'toy.made', artifact bbbbbbbbbb: two computations under one key differ by inf relative, the stage allows 1e+09. "
        "The first one stands (here, numerics 'any'); compare the environments with: penstock explain bbbbbbbbbb"
    )

    with pytest.raises(SameKeyOtherBytes, match=f"^{re.escape(message)}$"):
        attempt.publish(manifest, Report, 1e9)
    assert (store.data_folder(KEY) / "page.txt").read_bytes() == b"page"


def test_other_names_of_equal_files_are_an_error(store: Store) -> None:
    attempt, manifest = report_of(store)
    attempt.publish(manifest, Report, 0.0)
    attempt, manifest = report_of(store, {"lists/hits.txt": PAGES["lists/hits.txt"], "empty.txt": b"", "sheet.txt": b"page"})

    with pytest.raises(SameKeyOtherBytes):
        attempt.publish(manifest, Report, 0.0)


def test_arrays_that_differ_within_the_tolerance_let_the_first_stand(store: Store) -> None:
    first = publish(store, curve(power=2.0))
    attempt, manifest = attempt_of(store, KEY, curve(power=2.0 + 1e-7))

    assert attempt.publish(manifest, Curve, 1e-5) == first


def test_arrays_that_differ_beyond_the_tolerance_are_an_error(store: Store) -> None:
    publish(store, curve(power=2.0))
    attempt, manifest = attempt_of(store, KEY, curve(power=2.1))

    with pytest.raises(SameKeyOtherBytes, match=f"differ by {12**0.1 - 1:.3g} relative, the stage allows 0.1"):
        attempt.publish(manifest, Curve, 0.1)


def test_verify_finds_a_changed_array_and_sets_the_artifact_aside(store: Store) -> None:
    publish(store, curve())
    spoil(array_file(store, "powers"))

    ((key, damage),) = store.verify([KEY])

    assert key == KEY
    assert damage is not None
    assert damage.problem.endswith("powers.npy does not match its checksum")
    assert not store.has(KEY)


def test_verify_finds_a_file_of_a_stage_that_is_gone(store: Store) -> None:
    attempt, manifest = report_of(store)
    store.enter(attempt.publish(manifest, Report, 0.0), None)
    (store.data_folder(KEY) / "lists/hits.txt").unlink()

    ((_, damage),) = store.verify([KEY])

    assert damage is not None
    assert damage.problem.endswith("files/lists/hits.txt is missing")


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def cut_rows(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [cut_header, cut_rows, remove])
def test_an_array_that_cannot_be_read_says_where_and_what_to_do(store: Store, change: object) -> None:
    manifest = publish(store, curve())
    path = array_file(store, "powers")
    path.chmod(0o644)
    change(path)  # type: ignore[operator]

    with pytest.raises(DamagedArtifact, match=rf"^{re.escape(str(path.parent))}: cannot be read \(.+\)\. Run: penstock store verify$"):
        store.read(manifest, Curve)


def test_a_table_that_cannot_be_read_says_where_and_what_to_do(store: Store) -> None:
    manifest = publish(store, tally())
    (path,) = store.data_folder(KEY).glob("*.totals.parquet")
    path.chmod(0o644)
    path.write_bytes(b"PAR1")

    with pytest.raises(DamagedArtifact, match=rf"^{re.escape(str(path))}: cannot be read \(.+\)\. Run: penstock store verify$"):
        store.read(manifest, Tally)


def test_files_of_another_user_are_copied_where_they_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for protected_hardlinks, which needs two users."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "page.txt").write_bytes(b"page")
    monkeypatch.setattr("os.link", refuse)
    link_folder(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to" / "page.txt").read_bytes() == b"page"
    assert stat.S_IMODE((tmp_path / "to" / "page.txt").stat().st_mode) == 0o444
