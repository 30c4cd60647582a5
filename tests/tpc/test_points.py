from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import find_peaks

from penstock.core.schema import Rejection
from penstock.formats.attpc import AttpcRun
from penstock.tpc.assets import FieldMap, PadMap
from penstock.tpc.pads import pad_plane
from penstock.tpc.params import IonChamberParams, PointParams, PulseParams
from penstock.tpc.points import find_points
from penstock.tpc.schemas import PointCloud, Traces

PARAMS = PointParams()
OTHER_WRITER = Path(__file__).parents[3] / "shared/data/tpc"
NEAR_BEAM, FAR = 5, 0
TIME = np.arange(512)


def pulse(time: float, amplitude: float, sigma: float = 5.0, samples: int = 512) -> Any:
    return amplitude * np.exp(-0.5 * ((np.arange(samples) - time) / sigma) ** 2)


def traces_of(
    events: list[list[tuple[int, Any]]], ion_chamber: list[Any] | None = None, register: list[int] | None = None, rejections: Any = ()
) -> Traces:
    """Traces of events, each a list of (pad, trace), with an ion-chamber trace for each event or None."""
    rows = [row for event in events for row in event]
    auxiliary = [None] * len(events) if ion_chamber is None else ion_chamber
    frib = [np.asarray(a, np.uint16) for a in auxiliary if a is not None]
    n, pads = len(events), np.array([pad for pad, _ in rows], np.int16)
    return Traces(
        n_events=n,
        columns={
            "events": {
                "event": np.arange(10, 10 + n),
                "orig_run": np.full(n, 7),
                "orig_event": np.arange(100, 100 + n),
                **dict.fromkeys(("timestamp", "timestamp_other"), np.arange(n, dtype=np.uint64)),
                "coincidence": np.array([1] * n if register is None else register, np.int32),
                **dict.fromkeys(("get_event", "frib_event", "frib_timestamp"), np.full(n, -1)),
                "parts": np.ones(n, np.int32),
            },
            "pads": {
                **dict.fromkeys(("cobo", "asad", "aget", "channel"), np.zeros(len(rows), np.int16)),
                "pad": pads,
                "samples": np.array([t for _, t in rows], np.int16).reshape(len(rows), 512),
            },
            "silicon": Traces.empty()["silicon"],
            "frib": {"module": np.full(len(frib), 1903, np.int32), "channel": np.zeros(len(frib), np.int16)},
            "frib_samples": {"adc": np.concatenate([np.zeros(0, np.uint16), *frib])},
        },
        offsets={
            "pads": np.cumsum([0] + [len(e) for e in events]),
            "silicon": np.zeros(n + 1, np.int64),
            "frib": np.cumsum([0] + [int(a is not None) for a in auxiliary]),
            "frib_samples": np.cumsum([0] + [len(a) for a in frib]),
        },
        rejections=rejections,
    )


@cache
def random_events(seed: int, n: int) -> Traces:
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(n):
        rows = []
        for pad in rng.choice(10_240, rng.integers(0, 40), replace=False):
            trace = 350 + 5 * np.sin(TIME / rng.uniform(40, 90)) + rng.normal(0, 4, 512)
            for _ in range(rng.integers(0, 9)):
                trace += pulse(rng.uniform(0, 512), rng.uniform(20, 2500), rng.uniform(2, 12))
            rows.append((int(pad) if rng.random() < 0.95 else -1, np.clip(trace, 0, 4095)))
        events.append(rows)
    beam = [350 + rng.normal(0, 3, 2048) + pulse(1200, 1100, 9, 2048) + pulse(rng.uniform(0, 2048), 900, 9, 2048) for _ in range(n)]
    return traces_of(events, ion_chamber=beam, register=rng.integers(0, 5, n).tolist())


def flattened(samples: NDArray[Any], scale: float) -> Any:
    traces = samples.copy()
    traces[:, 0], traces[:, -1] = traces[:, 1], traces[:, -2]
    pulses = traces - traces.mean(axis=1, keepdims=True) > 1.5 * traces.std(axis=1, keepdims=True)
    base = np.where(pulses, np.mean(traces, axis=1, where=~pulses).astype(traces.dtype)[:, None], traces)
    n = traces.shape[1]
    transfer = np.fft.ifftshift(np.sinc(np.arange(-n // 2, n // 2) / scale))
    return traces - np.real(np.fft.ifft(np.fft.fft(base, axis=1) * transfer, axis=1))


def reference_pulses(trace: Any, params: PulseParams, least_width: float, rel_height: float) -> Any:
    whole = trace.astype(np.int32)
    peaks, found = find_peaks(
        whole,
        distance=params.peak_separation_samples,
        prominence=params.peak_prominence_adc,
        width=(least_width, params.peak_max_width_samples),
        rel_height=rel_height,
    )
    left, right = np.floor(found["left_ips"]).astype(int), np.ceil(found["right_ips"]).astype(int)
    integrals = [np.abs(whole[a:b]).sum() for a, b in zip(left, right, strict=True)]
    return [(p, whole[p], i) for p, i in zip(peaks, integrals, strict=True) if whole[p] > params.peak_threshold_adc]


def reference_points(traces: Traces, event: int, params: PointParams, pads: PadMap) -> Any:
    """(pad, sample of the peak, amplitude, integral) of the points of one event, in order of pad and sample."""
    rows = slice(*traces.offsets["pads"][event : event + 2])
    points = []
    for pad, trace in zip(traces["pads"]["pad"][rows], flattened(traces.pad_samples[rows], params.pads.baseline_window_scale), strict=True):
        if pad < 0 or np.hypot(pads["pads"]["x"][pad], pads["pads"]["y"][pad]) < params.beam_pad_radius_mm:
            continue
        found = reference_pulses(trace, params.pads, 1.0, 0.95)
        if len(found) <= params.max_pulses:
            points += [(int(pad), *f) for f in found]
    return np.array(sorted(points), np.float64).reshape(-1, 4)


def event_points(cloud: PointCloud, event: int) -> dict[str, Any]:
    return {name: column[slice(*cloud.offsets["points"][event : event + 2])] for name, column in cloud["points"].items()}


@pytest.mark.parametrize("seed", range(4))
def test_points_are_those_of_a_plain_implementation(seed: int) -> None:
    traces, params = random_events(seed, 12), PointParams(exclude_downscale=False)

    cloud = find_points(traces, params, pad_plane())

    found = cloud["points"]
    event = np.repeat(np.arange(12), np.diff(cloud.offsets["points"]))
    expected = [reference_points(traces, e, params, pad_plane()) for e in range(12)]
    rows = np.concatenate(expected)
    order = np.lexsort((found["time"], found["pad"], event))
    assert np.diff(cloud.offsets["points"]).tolist() == [len(e) for e in expected]
    assert np.array_equal(found["pad"][order], rows[:, 0])
    # A flat top may have its highest whole count a sample further, where the baselines differ in the third decimal.
    shifts = np.abs(found["time"][order] - rows[:, 1])
    assert np.mean(shifts <= 1.0) > 0.97
    assert shifts.max() < 4.0
    assert np.abs(found["amplitude"][order] - rows[:, 2]).max() <= 1.0
    assert np.median(np.abs(found["integral"][order] - rows[:, 3])) <= 1.0
    assert len(rows) > 100


@pytest.mark.parametrize("seed", range(4))
def test_ion_chamber_pulses_are_those_of_a_plain_implementation(seed: int) -> None:
    traces = random_events(seed, 12)
    flat = flattened(traces.frib_samples, PARAMS.ion_chamber.baseline_window_scale)
    late = [[p for p in reference_pulses(t, PARAMS.ion_chamber, 0.0, 0.85) if p[0] > 1100] for t in flat]

    events = find_points(traces, PARAMS, pad_plane())["events"]

    assert events["ic_multiplicity"].tolist() == [len(pulses) for pulses in late]
    assert events["ic_centroid"].tolist() == [pulses[0][0] if pulses else -1 for pulses in late]
    assert events["ic_amplitude"] == pytest.approx([pulses[0][1] if pulses else -1 for pulses in late], abs=1)
    assert events["ic_integral"] == pytest.approx([pulses[0][2] if pulses else -1 for pulses in late], abs=30)


@given(event=st.integers(0, 11), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_an_event_alone_has_the_bits_that_it_has_in_a_block(event: int, seed: int) -> None:
    traces = random_events(seed, 12)
    block = find_points(traces, PARAMS, pad_plane())

    alone = find_points(one_event(traces, event), PARAMS, pad_plane())

    assert [c.tobytes() for c in event_points(block, event).values()] == [c.tobytes() for c in alone["points"].values()]
    assert [c[event : event + 1].tobytes() for c in block["events"].values()] == [c.tobytes() for c in alone["events"].values()]


def one_event(traces: Traces, event: int) -> Traces:
    return traces.part(event, event + 1)


@given(seed=st.integers(0, 3))
@settings(max_examples=4, deadline=None)
def test_the_order_of_the_traces_does_not_matter(seed: int) -> None:
    traces = one_event(random_events(seed, 12), 3)
    shuffled = one_event(traces, 0)
    order = np.random.default_rng(seed).permutation(len(traces.pad_samples))
    shuffled.columns["pads"].update({name: c[order] for name, c in traces["pads"].items()})  # type: ignore[attr-defined]

    points, expected = (find_points(t, PARAMS, pad_plane())["points"] for t in (shuffled, traces))

    assert all(np.array_equal(points[name], expected[name]) for name in expected)


def test_a_pulse_becomes_a_point_at_its_pad_and_drift_time() -> None:
    pads = pad_plane()["pads"]
    cloud = find_points(traces_of([[(FAR, 350 + pulse(230.3, 800))]]), PARAMS, pad_plane())

    [x], [y], [scale] = (cloud["points"][name] for name in ("x", "y", "scale"))
    assert (x, y, scale) == (np.float32(pads["x"][FAR]), np.float32(pads["y"][FAR]), pads["scale"][FAR])
    assert cloud["points"]["time"] == pytest.approx([230.3], abs=0.1)
    assert cloud["points"]["z"] == pytest.approx([1000 * (560 - 230.3) / 550], abs=0.2)
    assert cloud["points"]["amplitude"] == pytest.approx([800], rel=0.1)


@given(time=st.floats(40, 470))
@settings(max_examples=50, deadline=None)
def test_times_are_finer_than_a_sample(time: float) -> None:
    cloud = find_points(traces_of([[(FAR, np.round(350 + pulse(time, 500)))]]), PARAMS, pad_plane())

    assert cloud["points"]["time"] == pytest.approx([time], abs=0.06)


def test_the_time_offset_of_a_pad_is_added_before_the_drift() -> None:
    columns = {**pad_plane()["pads"], "time_offset": np.full(10_240, 1.5)}
    shifted = PadMap(n_events=10_240, columns={"pads": columns})
    traces = traces_of([[(FAR, 350 + pulse(200, 800))]])

    plain, moved = (find_points(traces, PARAMS, pads)["points"] for pads in (pad_plane(), shifted))

    assert moved["time"] - plain["time"] == pytest.approx([1.5], abs=1e-4)
    assert plain["z"] - moved["z"] == pytest.approx([1000 * 1.5 / 550], abs=1e-3)


def test_height_and_integral_are_multiplied_by_the_gain_of_the_pad() -> None:
    gain = np.ones(10_240)
    gain[FAR] = 1.3
    adjusted = PadMap(n_events=10_240, columns={"pads": {**pad_plane()["pads"], "gain": gain}})
    traces = traces_of([[(FAR, 350 + pulse(200, 800)), (40, 350 + pulse(300, 800))]])

    plain, scaled = (find_points(traces, PARAMS, pads)["points"] for pads in (pad_plane(), adjusted))

    factor = np.where(plain["pad"] == FAR, 1.3, 1.0)
    assert scaled["amplitude"] == pytest.approx(plain["amplitude"] * factor)
    assert scaled["integral"] == pytest.approx(plain["integral"] * factor)
    assert np.array_equal(scaled["z"], plain["z"])


def test_a_field_map_moves_points_to_where_their_charge_was_set_free() -> None:
    traces = traces_of([[(FAR, 350 + pulse(230.3, 800)), (40, 350 + pulse(100, 800))]])

    plain, moved = (find_points(traces, PARAMS, pad_plane(), field)["points"] for field in (None, squeezed(0.9)))

    assert np.hypot(moved["x"], moved["y"]) == pytest.approx(np.hypot(plain["x"], plain["y"]) / 0.9, rel=1e-5)
    assert [np.array_equal(moved[name], plain[name]) for name in ("z", "time", "pad", "scale", "amplitude")] == [True] * 5


def test_points_stand_in_ascending_z_after_the_field_map() -> None:
    points = find_points(random_events(0, 12), PARAMS, pad_plane(), squeezed(0.9, lag_mm=150.0))

    for event in range(12):
        assert (np.diff(event_points(points, event)["z"]) >= 0).all()


def test_a_field_map_without_rows_changes_no_bit() -> None:
    traces = random_events(2, 12)

    one, other = (find_points(traces, PARAMS, pad_plane(), field)["points"] for field in (None, FieldMap.empty(0)))

    assert [c.tobytes() for c in one.values()] == [c.tobytes() for c in other.values()]


def squeezed(factor: float, lag_mm: float = 0.0) -> FieldMap:
    """A field in which electrons land at `factor` of their radius, and those 300 mm from the axis seem to come from further away."""
    distance, radius = (g.ravel() for g in np.meshgrid([0.0, 1000.0], [0.0, 300.0], indexing="ij"))
    nodes = {
        "distance": distance,
        "radius": radius,
        "landing_radius": factor * radius,
        "turn": 0 * radius,
        "apparent_distance": distance + lag_mm * (distance / 1000) * (radius / 300),
    }
    return FieldMap(n_events=4, columns={"nodes": nodes})


def test_points_stand_in_ascending_z_then_pad() -> None:
    early, late = 350 + pulse(100, 800), 350 + pulse(300, 800)

    points = find_points(traces_of([[(40, early), (30, late), (20, early), (10, late)]]), PARAMS, pad_plane())["points"]

    assert points["pad"].tolist() == [10, 30, 20, 40]
    assert (np.diff(points["z"]) >= 0).all()


def test_points_outside_of_the_detector_are_kept() -> None:
    params = PointParams(micromegas_time_bucket=150, window_time_bucket=250)
    trace = 350 + pulse(100, 800) + pulse(300, 800)

    z = find_points(traces_of([[(FAR, trace)]]), params, pad_plane())["points"]["z"]

    assert z == pytest.approx([-500, 1500], abs=2)


def test_pads_in_the_beam_give_no_point() -> None:
    near = int(np.argmin(np.hypot(pad_plane()["pads"]["x"], pad_plane()["pads"]["y"])))
    traces = traces_of([[(near, 350 + pulse(200, 800))]])

    found = [len(find_points(traces, PointParams(beam_pad_radius_mm=r), pad_plane())["points"]["pad"]) for r in (20, 0)]

    assert found == [0, 1]


@pytest.mark.parametrize("pad", [-1, 10_240, 32_767])
def test_unknown_pads_give_no_point(pad: int) -> None:
    assert len(find_points(traces_of([[(pad, 350 + pulse(200, 800))]]), PARAMS, pad_plane())["points"]["pad"]) == 0


@pytest.mark.parametrize("pulses, points", [(5, 5), (6, 0)])
def test_a_trace_with_too_many_pulses_gives_no_point(pulses: int, points: int) -> None:
    trace = 350 + sum(pulse(60 + 70 * k, 400) for k in range(pulses))

    assert len(find_points(traces_of([[(FAR, trace)]]), PARAMS, pad_plane())["points"]["pad"]) == points


def test_a_flat_trace_gives_no_point() -> None:
    assert len(find_points(traces_of([[(FAR, np.full(512, 4095))]]), PARAMS, pad_plane())["points"]["pad"]) == 0


def test_a_low_threshold_finds_small_pulses_too() -> None:
    traces = traces_of([[(FAR, 350 + pulse(200, 35))]])
    low = PointParams(pads=PulseParams(peak_threshold_adc=10))

    assert [len(find_points(traces, p, pad_plane())["points"]["pad"]) for p in (PARAMS, low)] == [0, 1]


def beam(*pulses: tuple[float, float], samples: int = 2048) -> Any:
    return 350 + sum((pulse(t, a, 9, samples) for t, a in pulses), np.zeros(samples))


def test_the_ion_chamber_pulse_is_the_first_after_the_delay() -> None:
    traces = traces_of([[]], ion_chamber=[beam((600, 2000), (1200, 1000), (1500, 1500))])

    events = find_points(traces, PARAMS, pad_plane())["events"]

    assert events["ic_multiplicity"].tolist() == [2]
    assert events["ic_centroid"].tolist() == [1200]
    assert events["ic_amplitude"] == pytest.approx([1000], rel=0.1)


def test_without_a_late_pulse_there_is_no_ion_chamber_amplitude() -> None:
    events = find_points(traces_of([[]], ion_chamber=[beam((600, 2000))]), PARAMS, pad_plane())["events"]

    assert [events[f"ic_{name}"].tolist() for name in ("multiplicity", "amplitude", "integral", "centroid")] == [[0], [-1], [-1], [-1]]


def test_without_an_ion_chamber_its_columns_are_minus_one() -> None:
    events = find_points(traces_of([[]]), PARAMS, pad_plane())["events"]

    assert [events[f"ic_{name}"].tolist() for name in ("multiplicity", "amplitude", "integral", "centroid")] == [[-1], [-1], [-1], [-1]]


def test_auxiliary_traces_of_any_length_are_read_up_to_their_length() -> None:
    params = PointParams(ion_chamber=IonChamberParams(delay_time_bucket=500, baseline_window_scale=50))
    traces = traces_of([[], [], []], ion_chamber=[beam((700, 900), samples=1024), beam((1200, 1000)), np.array([1, 2])])

    events = find_points(traces, params, pad_plane())["events"]

    assert events["ic_multiplicity"].tolist() == [1, 1, 0]
    assert events["ic_centroid"].tolist() == [700, 1200, -1]


def test_only_the_first_channel_of_the_sis3300_is_the_ion_chamber() -> None:
    traces = traces_of([[], [], []], ion_chamber=[beam((1200, 1000))] * 3)
    traces["frib"]["module"][1], traces["frib"]["channel"][2] = 1906, 1

    assert find_points(traces, PARAMS, pad_plane())["events"]["ic_multiplicity"].tolist() == [1, -1, -1]


def test_only_down_scaled_triggers_are_excluded() -> None:
    event = [(FAR, 350 + pulse(200, 800))]
    traces = traces_of([event] * 6, register=[-1, 0, 1, 2, 3, 9])

    cloud = find_points(traces, PARAMS, pad_plane())

    assert cloud.rejections == [Rejection(3, "ion-chamber down-scale trigger", excluded=True)]
    assert np.diff(cloud.offsets["points"]).tolist() == [1, 1, 1, 0, 1, 1]
    assert cloud["events"]["trigger"].tolist() == [-1, 0, 1, 2, 3, 9]


def test_down_scaled_triggers_are_kept_on_request() -> None:
    traces = traces_of([[(FAR, 350 + pulse(200, 800))]], register=[2])

    cloud = find_points(traces, PointParams(exclude_downscale=False), pad_plane())

    assert (list(cloud.rejections), len(cloud["points"]["pad"])) == ([], 1)


def test_rejections_of_the_reader_are_passed_on() -> None:
    bad = Rejection(1, "GET matrix holds values that are not finite")
    traces = traces_of([[], [], []], register=[2, 2, 1], rejections=[bad])

    cloud = find_points(traces, PARAMS, pad_plane())

    assert cloud.rejections == [Rejection(0, "ion-chamber down-scale trigger", excluded=True), bad]
    assert cloud["events"]["event"].tolist() == [10, 11, 12]


def test_columns_have_the_types_of_the_schema() -> None:
    cloud = find_points(random_events(0, 12), PARAMS, pad_plane())

    found = {f"{t.name}.{c.name}": cloud[t.name][c.name].dtype for t in PointCloud.tables for c in t.columns}
    assert found == {f"{t.name}.{c.name}": np.dtype(c.dtype) for t in PointCloud.tables for c in t.columns}


@pytest.mark.parametrize("n", [0, 3])
def test_events_without_traces_have_empty_clouds(n: int) -> None:
    cloud = find_points(Traces.empty(n), PARAMS, pad_plane())

    assert (cloud.n_events, cloud.offsets["points"].tolist()) == (n, [0] * (n + 1))


def test_the_traces_are_left_as_they_were() -> None:
    traces = random_events(1, 12)
    before = traces.pad_samples.copy()

    find_points(traces, PARAMS, pad_plane())

    assert np.array_equal(traces.pad_samples, before)


def test_points_of_another_simulation_lie_on_the_true_helices() -> None:
    path = OTHER_WRITER / "run_0001.h5"
    if not path.exists():
        pytest.skip("the run of the other writer is not here")
    with AttpcRun(path) as run:
        cloud = find_points(run.read(0, run.n_events), PARAMS, pad_plane())
    with h5py.File(path.with_suffix(".truth.h5")) as file:
        tracks = file["truth"][:]
    distances = np.concatenate([distances_to_helix(event_points(cloud, int(track["event"])), track) for track in tracks])

    assert len(distances) > 500
    assert np.median(distances) < 3.0


def distances_to_helix(points: dict[str, Any], track: Any, reach_mm: float = 120.0) -> Any:
    """Distances in mm of points to the first piece of a helix in 2.85 T, for points near that piece."""
    radius = 1000 * track["brho"] * np.sin(track["polar"]) / 2.85
    path = np.linspace(0, reach_mm, 400)
    turned = track["azimuthal"] + path * np.sin(track["polar"]) / radius
    helix = np.stack(
        [
            track["vertex_x"] + radius * (np.sin(turned) - np.sin(track["azimuthal"])),
            track["vertex_y"] - radius * (np.cos(turned) - np.cos(track["azimuthal"])),
            track["vertex_z"] + path * np.cos(track["polar"]),
        ]
    )
    cloud = np.stack([points[name] for name in "xyz"])
    distances = np.sqrt(((cloud[:, :, None] - helix[:, None, :]) ** 2).sum(axis=0)).min(axis=1) if cloud.size else np.zeros(0)
    return distances[distances < 20]


def test_an_event_whose_channels_have_no_pads_is_rejected_and_says_what_is_missing() -> None:
    traces = Traces.empty(2)
    columns = {name: dict(table) for name, table in traces.columns.items()}
    columns["pads"] = {c.name: np.full((3, *c.shape), -1 if c.name == "pad" else 0, c.dtype) for c in Traces.table("pads").columns}
    unmapped = Traces(n_events=2, columns=columns, offsets={**traces.offsets, "pads": np.array([0, 3, 3])})

    cloud = find_points(unmapped, PointParams(), pad_plane())

    assert [(r.index, r.reason) for r in cloud.rejections] == [
        (0, "no trace belongs to a pad: put tpc.merge, with a map of the electronics, before tpc.points")
    ]
