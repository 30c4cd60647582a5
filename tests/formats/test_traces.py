from __future__ import annotations

from pathlib import Path

import numpy as np
from toyfiles import matrix, raw_event, run_file, sis

from penstock.formats.attpc import AttpcRun
from penstock.formats.traces import Traces
from penstock.testing import explain_difference


def some_traces(folder: Path, lengths: tuple[int, ...] = (64, 64, 64)) -> Traces:
    events = tuple(raw_event(3 + k, frib=sis(k, n), silicon={"upstream_back": matrix(k, k)}) for k, n in enumerate(lengths))
    with AttpcRun(run_file(folder, "merger-2.0", events)) as run:
        return run.read(0, len(lengths))


def test_events_that_hold_nothing_have_no_numbers() -> None:
    traces = Traces.empty(2)

    unknown = {name: traces["events"][name].tolist() for name in ("coincidence", "get_event", "frib_event", "frib_timestamp", "parts")}
    assert unknown == {name: [0, 0] if name == "parts" else [-1, -1] for name in unknown}
    assert (traces.pad_samples.shape, traces.frib_samples.shape) == ((0, 512), (0, 0))


def test_traces_of_one_length_are_seen_without_a_copy(tmp_path: Path) -> None:
    traces = some_traces(tmp_path)

    assert np.shares_memory(traces.frib_samples, traces["frib_samples"]["adc"])
    assert np.array_equal(traces.frib_samples, np.concatenate([sis(k).T for k in range(3)]))


def test_traces_of_unlike_lengths_are_padded_with_zeros(tmp_path: Path) -> None:
    traces = some_traces(tmp_path, (64, 20, 1))

    assert traces.frib_samples.shape == (24, 64)
    assert [traces.frib_samples[8 * k :][:8, :n].tolist() for k, n in enumerate((64, 20, 1))] == [
        sis(k, n).T.tolist() for k, n in enumerate((64, 20, 1))
    ]
    assert not traces.frib_samples[8:16, 20:].any()


def test_some_traces_of_one_length_can_be_taken(tmp_path: Path) -> None:
    traces = some_traces(tmp_path, (64, 20, 64))

    assert np.array_equal(traces.frib_traces(np.array([2, 23])), np.stack([sis(0)[:, 2], sis(2)[:, 7]]))
    assert traces.frib_traces(np.zeros(0, np.int64)).shape == (0, 0)


def test_events_can_be_parted_and_joined_again(tmp_path: Path) -> None:
    traces = some_traces(tmp_path, (64, 20, 64))

    assert explain_difference(Traces.concatenate([traces.part(0, 1), traces.part(1, 3)]), traces) == ""
