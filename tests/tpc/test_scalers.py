from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from toyfiles import run_file

from penstock.core.errors import ConfigError
from penstock.core.stage import RunSource
from penstock.formats.attpc import AttpcRun
from penstock.formats.scalers import SCALER_WORDS, ScalerRecord, Scalers
from penstock.tpc.params import ScalerParams
from penstock.tpc.scalers import read_scalers_of_run, total_counts


def record(number: int, counts: Sequence[int] = range(11), incremental: int = 1) -> ScalerRecord:
    return ScalerRecord(np.array(counts, np.uint32), 2 * number, 2 * number + 2, 1000 + number, incremental, number)


def test_the_stage_reads_what_the_run_file_holds(tmp_path: Path) -> None:
    path = run_file(tmp_path, "merger-2.0", scalers=[record(0), record(1)])
    source = RunSource(42, {"traces": path}, {}, lambda: AttpcRun(path))

    scalers = read_scalers_of_run(source, ScalerParams())

    assert scalers.n_events == 1
    assert scalers["scalers"]["ic_cfd"].tolist() == [10, 10]
    assert scalers["run"]["frib_run"].tolist() == [42]


def test_an_instrument_without_scalers_is_told_to_leave_the_stage_out() -> None:
    class Silent:
        n_events = 0

        def __enter__(self) -> Silent:
            return self

        def __exit__(self, *_: object) -> None: ...

    source = RunSource(7, {}, {}, Silent)  # type: ignore[arg-type]

    with pytest.raises(ConfigError) as caught:
        read_scalers_of_run(source, ScalerParams())

    assert str(caught.value) == (
        "run 7: stage 'tpc.scalers' wants a reader with scalers, Silent has none. Take the stage out of the pipeline in experiment.toml."
    )


def test_incremental_records_are_added_up() -> None:
    scalers = Scalers.of([record(0), record(1), record(5, [100] * 16)], {})

    assert total_counts(scalers) == {word: 2 * k + 100 for k, word in enumerate(SCALER_WORDS)}


def test_the_last_of_cumulative_records_is_the_total() -> None:
    scalers = Scalers.of([record(0, [5] * 11, 0), record(1, [9] * 11, 0)], {})

    assert set(total_counts(scalers).values()) == {9}


def test_words_that_are_missing_count_nothing() -> None:
    totals = total_counts(Scalers.of([record(0, [4, 5]), record(1, [4])], {}))

    assert (totals["clock_free"], totals["clock_live"], totals["ic_cfd"]) == (8, 5, 0)


def test_a_run_without_scalers_has_counted_nothing() -> None:
    assert set(total_counts(Scalers.of([], {})).values()) == {0}
