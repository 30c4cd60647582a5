from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toyfiles import raw_event, run_file

from penstock.formats.attpc import AttpcRun
from penstock.formats.attpc_write import Layout, RunNumbers
from penstock.formats.scalers import ScalerRecord, Scalers
from penstock.store import _tables

RECORDS = [ScalerRecord(np.arange(n, dtype=np.uint32) + n, 2 * n, 2 * n + 2, 1000 + n, 1, n) for n in (0, 3, 16)]
NUMBERS = RunNumbers(94, 1_700_000_000, 1_700_000_600, 600)


def test_records_come_back_as_they_went_in() -> None:
    again = Scalers.of(RECORDS, {}).records

    assert [(r.record, r.start_offset, r.stop_offset, r.timestamp, r.incremental) for r in again] == [
        (0, 0, 2, 1000, 1),
        (3, 6, 8, 1003, 1),
        (16, 32, 34, 1016, 1),
    ]
    assert [r.words.tolist() for r in again] == [r.words.tolist() for r in RECORDS]


def test_columns_have_the_types_and_rows_of_the_schema() -> None:
    scalers = Scalers.of(RECORDS, {"run": 94})

    rows = {t.name: {len(scalers[t.name][c.name]) for c in t.columns} for t in Scalers.tables}
    kinds = {scalers[t.name][c.name].dtype == np.dtype(c.dtype) for t in Scalers.tables for c in t.columns}
    assert (rows, kinds) == ({"scalers": {3}, "words": {19}, "run": {1}}, {True})
    assert {name: offsets.tolist() for name, offsets in scalers.offsets.items()} == {"scalers": [0, 3], "words": [0, 19], "run": [0, 1]}


def test_what_is_not_known_of_a_run_is_minus_one() -> None:
    assert Scalers.of([], {"run": 94, "frib_run": 95}).run_numbers == {
        "run": 94,
        "source": -1,
        "frib_run": 95,
        **dict.fromkeys(("frib_start", "frib_stop", "frib_elapsed", "min_event", "max_event"), -1),
        **dict.fromkeys(("min_get_timestamp", "max_get_timestamp", "min_record", "max_record"), -1),
    }


@pytest.mark.parametrize("layout", ["legacy", "merger-1.0", "merger-2.0", "synchronizer"])
def test_every_layout_with_scalers_gives_all_records_and_numbers_of_the_run(tmp_path: Path, layout: Layout) -> None:
    path = run_file(tmp_path, layout, scalers=RECORDS if layout != "legacy" else RECORDS[:1], numbers=NUMBERS)

    with AttpcRun(path) as run:
        scalers = run.scalers()

    known = scalers.run_numbers
    assert scalers["scalers"]["record"].tolist() == ([0] if layout == "legacy" else [0, 3, 16])
    assert [known[f"frib_{name}"] for name in ("run", "start", "stop", "elapsed")] == [94, 1_700_000_000, 1_700_000_600, 600]
    assert [known[name] for name in ("run", "min_event", "max_event", "min_get_timestamp", "max_get_timestamp")] == [42, 3, 5, 1003, 1005]
    assert known["source"] == ["legacy", "merger-1.0", "merger-2.0", "synchronizer"].index(layout)


def test_a_regrouped_file_has_no_scalers_and_no_numbers_of_a_run(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, "harmonizer", scalers=RECORDS)) as run:
        scalers = run.scalers()

    known = scalers.run_numbers
    assert (scalers.records, known["frib_run"], known["max_event"], known["max_record"]) == ([], -1, 5, -1)


def test_a_record_of_any_length_keeps_all_its_words(tmp_path: Path) -> None:
    path = run_file(tmp_path, events=(raw_event(3),), scalers=[ScalerRecord(np.array([2**32 - 1] * 32, np.uint32), 0, 1, 2)])

    with AttpcRun(path) as run:
        scalers = run.scalers()

    assert scalers["words"]["counts"].tolist() == [2**32 - 1] * 32
    assert scalers["scalers"]["ic_cfd"].tolist() == [2**32 - 1]


def test_scalers_are_stored_as_tables_that_read_back(tmp_path: Path) -> None:
    scalers = Scalers.of(RECORDS, {"run": 94})
    _tables.write_block(tmp_path / "block", scalers, 0)
    files = {}
    for table in Scalers.tables:
        files[table.name] = [(tmp_path / f"{table.name}.parquet", 0, 1)]
        _tables.append_blocks(files[table.name][0][0], Scalers, table, [tmp_path / "block"])

    again = _tables.read_events(files, Scalers, 0, 1)

    assert again.run_numbers == scalers.run_numbers  # type: ignore[attr-defined]
    assert [r.words.tolist() for r in again.records] == [r.words.tolist() for r in RECORDS]  # type: ignore[attr-defined]
