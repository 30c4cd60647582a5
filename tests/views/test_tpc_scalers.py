"""The figure of scalers: rates, live time, totals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toybench import commit

from penstock.formats.scalers import SCALER_WORDS, ScalerRecord, Scalers
from penstock.store import Store
from penstock.views.tpc_scalers import draw_scalers, live_fractions, scaler_rates, scalers_figure

WORDS = [2_000_000, 1_500_000, 120, 60, 20_000, 300, 10, 10, 0, 20, 19_000]


def record(number: int, words: list[int] = WORDS, incremental: int = 1) -> ScalerRecord:
    return ScalerRecord(np.array(words, np.uint32), 2 * number, 2 * number + 2, 1000, incremental, number)


def figure_of(store: Store, *records: ScalerRecord):
    return scalers_figure(store, store.manifest(commit(store, "scalers", Scalers.of(records, {"source": 2}))))


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_figure_is_a_png(store: Store, tmp_path: Path) -> None:
    manifest = store.manifest(commit(store, "scalers", Scalers.of([record(0), record(1)], {})))

    assert draw_scalers(store, manifest, tmp_path / "scalers.png").read_bytes().startswith(b"\x89PNG")


def test_the_subtitle_says_how_many_records_and_from_where(store: Store) -> None:
    assert "2 records, from libattpc_merger:2.0" in [text.get_text() for text in figure_of(store, record(0), record(1)).texts]


def test_rates_are_counts_over_the_time_of_the_record() -> None:
    times, rates = scaler_rates(Scalers.of([record(0), record(1)], {}))

    assert times.tolist() == [1.0, 3.0]
    assert {word: values.tolist() for word, values in rates.items()} == {
        word: [counts / 2] * 2 for word, counts in zip(SCALER_WORDS, WORDS, strict=True)
    }


def test_rates_of_cumulative_records_are_those_since_the_last_one() -> None:
    records = [ScalerRecord(np.array([n * c for c in WORDS], np.uint32), 0, 2 * n, 1000, 0, n) for n in (1, 2, 4)]

    times, rates = scaler_rates(Scalers.of(records, {}))

    assert times.tolist() == [1.0, 3.0, 6.0]
    assert rates["ic_sca"].tolist() == [10_000.0] * 3


def test_words_that_a_record_lacks_and_records_without_time_have_no_rate() -> None:
    _, rates = scaler_rates(Scalers.of([record(0, [4, 2]), ScalerRecord(np.array(WORDS, np.uint32), 2, 2, 0, 1, 1)], {}))

    assert np.isnan(rates["ic_cfd"]).tolist() == [True, True]
    assert rates["clock_free"][0] == 2.0


def test_live_fractions_are_those_of_clock_and_trigger() -> None:
    fractions = live_fractions(scaler_rates(Scalers.of([record(0), record(1, [0] * 11)], {}))[1])

    assert {name: values[0] for name, values in fractions.items()} == pytest.approx({"clock": 0.75, "trigger": 0.5})
    assert all(np.isnan(values[1]) for values in fractions.values())


def test_without_a_clock_the_live_time_is_that_of_the_triggers_alone(store: Store) -> None:
    figure = figure_of(store, record(0, [0, 0, *WORDS[2:]]))

    labels = [line.get_label() for axes in figure.axes if axes.get_ylabel() == "live fraction" for line in axes.get_lines()]
    assert labels == ["trigger, mean 50.0%"]


def test_totals_are_those_of_the_run(store: Store) -> None:
    assert f"{3 * 20_000:,}" in texts(figure_of(store, record(0), record(1), record(2)))


def test_a_run_without_scalers_has_a_figure_that_says_so(store: Store) -> None:
    assert {"nothing was counted", "neither clock nor trigger is counted"} <= set(texts(figure_of(store)))
