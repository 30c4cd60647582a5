"""Channels become pads and silicon channels; the noise that the channels of a chip share goes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.core.schema import Records
from penstock.formats.traces import Traces
from penstock.testing import StageContract, explain_difference
from penstock.tpc.assets import Electronics
from penstock.tpc.merge import FPN_CHANNELS, merge_traces, subtract_noise
from penstock.tpc.params import MergeParams
from penstock.tpc.stages import merge


def electronics(*rows: tuple[int, int, int, int, int, int]) -> Electronics:
    table = np.array(rows, np.int16).reshape(-1, 6)
    names = [column.name for column in Electronics.table("channels").columns]
    return Electronics(n_events=len(table), columns={"channels": {name: table[:, k] for k, name in enumerate(names)}})


def events(*addresses: list[tuple[int, int, int, int]], seed: int = 1) -> Traces:
    """Events with random samples on the given channels."""
    traces = Traces.empty(len(addresses))
    rows = np.array([row for event in addresses for row in event], np.int16).reshape(-1, 4)
    samples = np.random.default_rng(seed).integers(1, 4096, (len(rows), 512)).astype(np.int16)
    pads = {
        **{name: rows[:, k].copy() for k, name in enumerate(("cobo", "asad", "aget", "channel"))},
        "pad": np.full(len(rows), -1, np.int16),
        "samples": samples,
    }
    offsets = {**traces.offsets, "pads": np.concatenate([[0], np.cumsum([len(event) for event in addresses])])}
    return Traces(n_events=len(addresses), columns={**traces.columns, "pads": pads}, offsets=offsets)


MAP = electronics((0, 0, 0, 1, -1, 100), (0, 0, 0, 2, -1, 7), (0, 0, 1, 3, 2, 55), (1, 0, 0, 1, 0, 3))
NOISE = [(0, 0, 0, channel) for channel in FPN_CHANNELS]
MIXED = events(
    [(0, 0, 0, 2), *NOISE, (0, 0, 1, 3), (1, 0, 0, 1)],
    [],
    [(1, 0, 0, 1), (0, 0, 0, 1), (9, 9, 0, 1)],
    [(0, 0, 0, 1), (0, 0, 0, 11)],
)


def test_channels_get_the_pad_of_the_map_and_silicon_stands_apart() -> None:
    merged = merge_traces(MIXED, MergeParams(), MAP)

    assert merged["pads"]["pad"].tolist() == [7, 100, 100]
    assert merged.offsets["pads"].tolist() == [0, 1, 1, 2, 3]
    assert list(zip(merged["silicon"]["set"].tolist(), merged["silicon"]["strip"].tolist(), strict=True)) == [(2, 55), (0, 3), (0, 3)]
    assert merged.offsets["silicon"].tolist() == [0, 2, 2, 3, 3]
    np.testing.assert_array_equal(merged.pad_samples, MIXED.pad_samples[[0, 8, 10]])
    np.testing.assert_array_equal(merged["silicon"]["samples"], MIXED.pad_samples[[5, 6, 7]])


def test_channels_that_the_map_does_not_know_can_be_kept() -> None:
    merged = merge_traces(MIXED, MergeParams(unmapped="keep"), MAP)

    assert merged["pads"]["pad"].tolist() == [7, -1, -1, -1, -1, 100, -1, 100, -1]


def test_without_a_map_events_stay_as_they_are() -> None:
    assert explain_difference(merge_traces(MIXED, MergeParams(), Electronics.empty()), MIXED) == ""


def test_silicon_that_the_file_has_stands_before_that_of_the_map() -> None:
    there = merge_traces(MIXED, MergeParams(unmapped="keep"), MAP)

    again = merge_traces(there, MergeParams(), electronics((0, 0, 0, 1, 3, 9)))

    assert again["silicon"]["strip"].tolist() == [55, 3, 3, 9, 9]
    assert again.offsets["silicon"].tolist() == [0, 2, 2, 4, 5]


def plain_noise(traces: Traces, *, median: bool) -> NDArray[np.int16]:
    """The formula in plain NumPy, chip by chip."""
    pads = traces["pads"]
    event = np.repeat(np.arange(traces.n_events), np.diff(traces.offsets["pads"]))
    keys = np.stack([event, pads["cobo"], pads["asad"], pads["aget"]], axis=1)
    out = traces.pad_samples.copy()
    for key in np.unique(keys, axis=0):
        rows = np.flatnonzero((keys == key).all(axis=1))
        noise = traces.pad_samples[[row for row in rows if pads["channel"][row] in FPN_CHANNELS]].astype(float)
        if len(noise):
            free = noise - noise.mean(axis=1, keepdims=True)
            shared = np.median(free, axis=0) if median else free.mean(axis=0)
            samples = traces.pad_samples[rows]
            out[rows] = np.where(samples == 0, 0, np.clip(np.rint(samples - shared), 0, 4095))
    return out


@pytest.mark.parametrize("median", [False, True], ids=["mean", "median"])
@pytest.mark.parametrize("seed", range(3))
def test_subtraction_agrees_with_plain_numpy(seed: int, median: bool) -> None:
    rng = np.random.default_rng(seed)
    channels = [
        (cobo, asad, aget, channel) for cobo in (0, 9) for asad in (1, 2) for aget in range(4) for channel in (0, *FPN_CHANNELS, 67)
    ]
    picked = [[channels[k] for k in sorted(rng.choice(len(channels), n, replace=False))] for n in (60, 3, 90)]
    traces = events(*picked, seed=seed)
    noise = np.isin(traces["pads"]["channel"], FPN_CHANNELS)

    found = subtract_noise(dict(traces["pads"]), traces.offsets["pads"], noise, median=median)

    assert np.abs(found.astype(int) - plain_noise(traces, median=median)).max() <= 1
    assert (found == plain_noise(traces, median=median)).mean() > 0.999


@pytest.mark.parametrize("method", ["mean", "median"])
def test_noise_that_all_channels_share_is_taken_out(method: str) -> None:
    rng = np.random.default_rng(5)
    common = np.rint(40 * np.sin(np.arange(512) / 9) + 15 * rng.standard_normal(512))
    traces = events([(0, 0, 0, 1), *NOISE])
    traces.pad_samples[:] = (np.array([350, 300, 310, 320, 330])[:, None] + common).astype(np.int16)

    merged = merge_traces(traces, MergeParams(fixed_pattern_noise=method), MAP)

    assert merged["pads"]["pad"].tolist() == [100]
    assert np.ptp(merged.pad_samples) <= 1
    assert abs(float(merged.pad_samples.mean()) - (350 + common.mean())) <= 1


def test_a_pulse_stays_where_only_one_noise_channel_is_wild_and_the_median_is_taken() -> None:
    traces = events([(0, 0, 0, 1), *NOISE])
    traces.pad_samples[:] = 300
    traces.pad_samples[2, 100] = 4000
    traces.pad_samples[0, 200:210] = 900

    merged = merge_traces(traces, MergeParams(fixed_pattern_noise="median"), MAP)

    assert np.abs(merged.pad_samples[0].astype(int) - traces.pad_samples[0]).max() <= 8


def test_samples_that_were_not_read_out_stay_zero() -> None:
    traces = events([(0, 0, 0, 1), *NOISE])
    traces.pad_samples[0, :300] = 0

    merged = merge_traces(traces, MergeParams(fixed_pattern_noise="mean"), MAP)

    assert not merged.pad_samples[0, :300].any()


def test_a_mapped_run_loses_its_noise_channels_once_they_are_subtracted() -> None:
    merged = merge_traces(MIXED, MergeParams(fixed_pattern_noise="mean"), Electronics.empty())

    assert np.diff(merged.offsets["pads"]).tolist() == [3, 0, 3, 1]


class TestMerge(StageContract):
    stage = merge

    def inputs(self) -> Mapping[str, Records]:
        return {"traces": MIXED.part(0, MIXED.n_events)}

    def assets(self) -> Mapping[str, Records]:
        return {"electronics": MAP}


class TestMergeWithSubtraction(TestMerge):
    def params(self) -> MergeParams:
        return MergeParams(fixed_pattern_noise="median", unmapped="keep")


class TestMergeWithoutMap(TestMerge):
    def assets(self) -> Mapping[str, Records]:
        return {"electronics": electronics()}
