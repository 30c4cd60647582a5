"""A simulated run as the data acquisition writes it holds the same events as its merged file, sample by sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penstock.core.schema import Records
from penstock.formats.attpc import AttpcRun
from penstock.formats.get.folders import find_runs
from penstock.formats.get.run import GetRun
from penstock.formats.scalers import Scalers
from penstock.formats.traces import Traces
from penstock.simulate.get_runs import simulated_boards, write_get_run
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.testing import explain_difference
from penstock.tpc.electronics import read_electronics_csv
from penstock.tpc.merge import merge_traces
from penstock.tpc.params import MergeParams

EVENTS = 4
SETTINGS = TpcSimulation(seed=3, downscale_probability=0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("daq")
    write_get_run(root, SETTINGS, 7, EVENTS, largest_file_bytes=100_000)
    return root


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Traces, Scalers]:
    with AttpcRun(write_run(tmp_path_factory.mktemp("merged"), SETTINGS, 7, EVENTS, layout="merger-2.0")) as run:
        return by_address(run.read(0, EVENTS)), run.scalers()


def by_address(traces: Traces) -> Traces:
    """The same with the pads of each event ascending by hardware address; mergers write them in any order."""
    pads = traces["pads"]
    event = np.repeat(np.arange(traces.n_events), np.diff(traces.offsets["pads"]))
    order = np.lexsort((pads["channel"], pads["aget"], pads["asad"], pads["cobo"], event))
    columns = {**traces.columns, "pads": {name: values[order] for name, values in pads.items()}}
    return Traces(n_events=traces.n_events, columns=columns, offsets=traces.offsets)


def test_no_sample_differs_from_the_merged_file_of_the_same_run(folder: Path, merged: tuple[Records, Scalers]) -> None:
    with GetRun(*find_runs(folder)[7].values()) as run:
        raw = run.read(0, EVENTS)

    ours = merge_traces(raw, MergeParams(), read_electronics_csv(folder / "electronics.csv"))

    assert explain_difference(ours, merged[0]) == ""
    assert len(ours.pad_samples) > 500


def test_scalers_are_those_of_the_merged_file(folder: Path, merged: tuple[Records, Scalers]) -> None:
    with GetRun(*find_runs(folder)[7].values()) as run:
        scalers = run.scalers()

    for table in ("scalers", "words"):
        for name, values in merged[1][table].items():
            np.testing.assert_array_equal(scalers[table][name], values)
    assert {**scalers.run_numbers, "source": 0} == {**merged[1].run_numbers, "source": 0}


def test_nothing_is_amiss_in_a_simulated_run(folder: Path) -> None:
    with GetRun(*find_runs(folder)[7].values()) as run:
        notes = run.notes()

    assert {name: number for name, number in notes.items() if number} == {
        "frames": EVENTS * len(simulated_boards()),
        "recordings": 1,
        "crate_events": EVENTS,
    }


def test_files_are_continued_in_others_and_the_truth_lies_beside(folder: Path) -> None:
    pieces = list((folder / "run_0007" / "mm0").glob("CoBo0_AsAd0_*"))

    assert len(pieces) > 1
    assert truth_path(folder / "run_0007.h5").exists()


def test_a_full_readout_holds_all_channels_and_the_same_signals(tmp_path: Path, folder: Path) -> None:
    write_get_run(tmp_path, SETTINGS, 7, 1, readout="full")

    with GetRun(*find_runs(tmp_path)[7].values()) as full, GetRun(*find_runs(folder)[7].values()) as partial:
        everything, some = full.read(0, 1), partial.read(0, 1)

    assert len(everything["pads"]["pad"]) == 40 * 272
    address = [
        {tuple(row): k for k, row in enumerate(zip(*(t["pads"][n] for n in ("cobo", "asad", "aget", "channel")), strict=True))}
        for t in (everything, some)
    ]
    rows = [address[0][key] for key in address[1]]
    np.testing.assert_array_equal(everything.pad_samples[rows], some.pad_samples)


def test_a_run_without_auxiliary_detectors_has_no_crate(tmp_path: Path) -> None:
    home = write_get_run(tmp_path, TpcSimulation(auxiliary=False), 1, 1, fpn=False)

    assert list(home.glob("*.evt")) == []
    with GetRun(*find_runs(tmp_path)[1].values()) as run:
        traces = run.read(0, 1)
    assert traces["events"]["parts"].tolist() == [61]
    assert not np.isin(traces["pads"]["channel"], (11, 22, 45, 56)).any()
