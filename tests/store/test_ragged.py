from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toybench import make_groups, make_hits, same_records

from penstock.core.errors import DamagedArtifact
from penstock.core.schema import Column, Records, Table
from penstock.store import _ragged


def write_parts(folder: Path, records: Records, block: int) -> list[Path]:
    paths = []
    for number, start in enumerate(range(0, max(1, records.n_events), block)):
        paths.append(folder / f"{number}.h5")
        _ragged.write_block(paths[-1], records.part(start, min(start + block, records.n_events)), block)
    return paths


class Waves(Records):
    """Rows that are arrays, at every level."""

    name = "toy.waves"
    tables = (
        Table("events", (Column("position", "f4", "mm", "of the event", shape=(3,)),), per=None),
        Table("waves", (Column("channel", "i2"), Column("samples", "i2", "ADC", "wave form", shape=(2, 5))), chunk=4),
        Table("marks", (Column("place", "u1", shape=(2,)),), per="waves", chunk=3),
    )


def make_waves(n_events: int, seed: int = 0) -> Waves:
    rng = np.random.default_rng(seed)
    waves = np.concatenate([[0], np.cumsum(rng.integers(0, 6, n_events))]).astype(np.int64)
    marks = np.concatenate([[0], np.cumsum(rng.integers(0, 4, waves[-1]))]).astype(np.int64)
    return Waves(
        n_events=n_events,
        columns={
            "events": {"position": rng.random((n_events, 3)).astype("f4")},
            "waves": {
                "channel": np.arange(waves[-1]).astype("i2"),
                "samples": rng.integers(-9, 4096, (waves[-1], 2, 5)).astype("i2"),
            },
            "marks": {"place": rng.integers(0, 255, (marks[-1], 2)).astype("u1")},
        },
        offsets={"waves": waves, "marks": marks},
    )


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([make_hits, make_groups, make_waves]), st.integers(0, 23), st.integers(1, 9), st.integers(0, 5))
def test_blocks_that_are_joined_read_back_as_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, make: object, n_events: int, block: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("joined")
    records: Records = make(n_events, seed=seed)  # type: ignore[operator]
    whole = folder / "whole.h5"

    _ragged.append_blocks(whole, type(records), write_parts(folder, records, block), n_events, block)

    assert same_records(_ragged.read_events([(whole, 0, n_events)], type(records), 0, n_events), records)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 20), st.integers(0, 20))
def test_any_events_can_be_read_alone(tmp_path_factory: pytest.TempPathFactory, one: int, other: int) -> None:
    folder = tmp_path_factory.mktemp("alone")
    records = make_groups(20)
    start, stop = sorted((one, other))
    whole = folder / "whole.h5"
    _ragged.append_blocks(whole, type(records), write_parts(folder, records, 6), 20, 6)

    found = _ragged.read_events([(whole, 0, 20)], type(records), start, stop)

    assert same_records(found, records.part(start, stop))


def test_events_are_read_across_parts(tmp_path: Path) -> None:
    records = make_groups(20)
    blocks = write_parts(tmp_path, records, 5)
    parts = [(tmp_path / "a.h5", 0, 10), (tmp_path / "b.h5", 10, 20)]
    _ragged.append_blocks(parts[0][0], type(records), blocks[:2], 10, 5)
    _ragged.append_blocks(parts[1][0], type(records), blocks[2:], 10, 5)

    assert same_records(_ragged.read_events(parts, type(records), 7, 13), records.part(7, 13))


def test_one_table_can_be_read_alone(tmp_path: Path) -> None:
    records = make_groups(8)
    (path,) = write_parts(tmp_path, records, 8)

    found = _ragged.read_events([(path, 0, 8)], type(records), 0, 8, tables=["groups"])

    assert sorted(found.columns) == ["events", "groups"]
    assert found["groups"]["size"].tolist() == records["groups"]["size"].tolist()


def test_a_file_can_be_read_with_h5py_alone(tmp_path: Path) -> None:
    records = make_hits(9)
    whole = tmp_path / "whole.h5"
    _ragged.append_blocks(whole, type(records), write_parts(tmp_path, records, 4), 9, 4)

    with h5py.File(whole) as file:
        first, count = int(file["events/hits_first"][5]), int(file["events/hits_count"][5])
        values = file["hits/value"][first : first + count]
        unit = file["hits/charge"].attrs["units"]

    assert values.tolist() == records.part(5, 6)["hits"]["value"].tolist()
    assert unit == "C"


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        blocks = write_parts(tmp_path / name, make_groups(9), 4)
        _ragged.append_blocks(tmp_path / name / "whole.h5", type(make_groups(1)), blocks, 9, 4)

    assert (tmp_path / "one/whole.h5").read_bytes() == (tmp_path / "other/whole.h5").read_bytes()


def test_rows_between_blocks_belong_to_no_event(tmp_path: Path) -> None:
    records = make_hits(8)
    whole = tmp_path / "whole.h5"
    _ragged.append_blocks(whole, type(records), write_parts(tmp_path, records, 2), 8, 2)

    with h5py.File(whole) as file:
        assert int(file["events/hits_count"][:].sum()) == records["hits"]["value"].size
        assert file["hits/value"].shape[0] % 16 == 0


def test_rows_that_are_arrays_can_be_read_with_h5py_alone(tmp_path: Path) -> None:
    records = make_waves(9)
    whole = tmp_path / "whole.h5"
    _ragged.append_blocks(whole, Waves, write_parts(tmp_path, records, 4), 9, 4)

    with h5py.File(whole) as file:
        first, count = int(file["events/waves_first"][5]), int(file["events/waves_count"][5])
        values, chunks = file["waves/samples"][first : first + count], file["waves/samples"].chunks

    assert np.array_equal(values, records.part(5, 6)["waves"]["samples"])
    assert chunks == (4, 2, 5)


def test_chunks_of_rows_that_are_arrays_are_copied_undecoded(tmp_path: Path) -> None:
    records = make_waves(8)
    parts = write_parts(tmp_path, records, 4)
    _ragged.append_blocks(tmp_path / "whole.h5", Waves, parts, 8, 4)

    with h5py.File(parts[0]) as part, h5py.File(tmp_path / "whole.h5") as whole:
        ours, theirs = (file["waves/samples"].id.read_direct_chunk((0, 0, 0)) for file in (part, whole))

    assert ours == theirs


def test_a_file_that_is_not_hdf5_is_a_damaged_artifact(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"nothing")

    with pytest.raises(DamagedArtifact, match=r"a\.h5: cannot be read .*Run: penstock store verify"):
        _ragged.read_events([(path, 0, 1)], type(make_hits(1)), 0, 1)


def test_values_of_another_dtype_are_stored_as_declared(tmp_path: Path) -> None:
    records = make_hits(3)
    records.columns["hits"]["value"] = records["hits"]["value"].astype("f8")  # type: ignore[index]
    path = tmp_path / "a.h5"

    _ragged.write_block(path, records, 3)

    assert _ragged.read_events([(path, 0, 3)], type(records), 0, 3)["hits"]["value"].dtype == np.float32
