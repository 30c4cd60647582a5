from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toybench import make_summary, same_records
from toyline.schemas import Summary

from penstock.core.errors import DamagedArtifact
from penstock.store import _tables


def write_whole(folder: Path, records: Summary, block: int) -> Path:
    paths = []
    for number, start in enumerate(range(0, max(1, records.n_events), block)):
        paths.append(folder / f"{number}.arrow")
        _tables.write_block(paths[-1], records.part(start, min(start + block, records.n_events)), start)
    _tables.append_blocks(folder / "whole.parquet", Summary, Summary.tables[0], paths)
    return folder / "whole.parquet"


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 20), st.integers(1, 9), st.integers(0, 20), st.integers(0, 20))
def test_any_events_read_back_as_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, n_events: int, block: int, one: int, other: int
) -> None:
    records = make_summary(n_events)
    start, stop = sorted((min(one, n_events), min(other, n_events)))

    path = write_whole(tmp_path_factory.mktemp("whole"), records, block)

    assert same_records(_tables.read_events({"summary": [(path, 0, n_events)]}, Summary, start, stop), records.part(start, stop))


def test_the_bytes_do_not_depend_on_the_size_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tables, "_ROW_GROUP", 5)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    one, other = (write_whole(tmp_path / name, make_summary(40), size) for name, size in (("a", 3), ("b", 17)))

    assert one.read_bytes() == other.read_bytes()
    assert pq.ParquetFile(one).num_row_groups > 3


def test_a_file_can_be_read_with_pyarrow_alone(tmp_path: Path) -> None:
    table = pq.read_table(write_whole(tmp_path, make_summary(6), 4))

    assert table.column_names == ["event", "size", "total", "event_index"]
    assert table.schema.field("total").metadata == {b"units": b"V", b"description": b""}
    assert table.schema.metadata[b"schema"] == b"toy.summary/1"


def test_a_file_that_is_not_parquet_is_a_damaged_artifact(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"nothing")

    with pytest.raises(DamagedArtifact, match=r"a\.parquet: cannot be read .*Run: penstock store verify"):
        _tables.read_events({"summary": [(path, 0, 1)]}, Summary, 0, 1)
