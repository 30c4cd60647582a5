"""The stages of ready reductions over synthetic captures, against what NumPy makes of the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from toyreduce import END, START, image, images_run, point, random_images, reduce_run, source_of, write_run

from penstock.core.errors import BadRun, ConfigError, RunCancelled
from penstock.core.schema import Rejection
from penstock.core.stage import RunSource, load_dotted
from penstock.events import stages
from penstock.events.reduction_params import ProfileParams
from penstock.events.reductions.blocks import BLOCK
from penstock.events.reductions.profile import complete_params
from penstock.formats.poni import read_poni
from penstock.kernels.azimuthal import AzimuthalIntegrator
from penstock.stream.models import StreamData

MANY = BLOCK + 40
PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [6, 8], "orientation": 3}
Distance: 0.01
Poni1: 0.0003
Poni2: 0.0004
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: 1e-10
"""


@pytest.fixture
def images() -> Any:
    found = random_images(MANY)
    found[::7, 2, 3] = 65535
    found[:, 0, 0] = 65535
    return found


@pytest.fixture
def run(tmp_path: Path, images: Any) -> Path:
    return images_run(tmp_path / "run_0007.cbors", images)


def masked(images: Any) -> Any:
    return np.ma.masked_equal(images, 65535)


def test_sums_are_those_of_numpy(run: Path, images: Any) -> None:
    found = reduce_run(stages.sums, run)

    assert found["sum"].dtype == np.uint64
    np.testing.assert_array_equal(found["sum"], masked(images).sum(axis=0, dtype="u8").filled(0))
    np.testing.assert_array_equal(found["masked"], (images == 65535).sum(axis=0))
    assert (found["events_used"], found["events_rejected"], found.records.n_events) == (MANY, 0, MANY + 2)


@pytest.mark.parametrize("dtype", ["i4", "i8", "f4"])
def test_sums_of_other_types_too(tmp_path: Path, dtype: str) -> None:
    values = (random_images(5, dtype=dtype) - 500).astype(dtype)

    found = reduce_run(stages.sums, images_run(tmp_path / "run_0001.cbors", values))["sum"]

    np.testing.assert_allclose(found, values.sum(axis=0, dtype="f8"), rtol=1e-12)
    assert found.dtype == (np.float64 if dtype == "f4" else np.int64)


def test_a_sum_beyond_64_bits_is_told(tmp_path: Path) -> None:
    values = np.full((3, 2, 2), 2**63 - 5, np.int64)

    with pytest.raises(BadRun, match=r"a sum needs more than 64 bits\. Set valid_max"):
        reduce_run(stages.sums, images_run(tmp_path / "run_0001.cbors", values))


@pytest.mark.parametrize(
    "values",
    [
        random_images(40),
        random_images(40, dtype="u4") + np.uint32(4_000_000_000),
        random_images(40, dtype="i4") - np.int32(2_000_000_000),
        random_images(40, dtype="f4"),
        random_images(40, dtype="f8") + 1e9,
        (random_images(40, dtype="u4") % 2) * np.uint32(4_294_967_290),
    ],
    ids=["u2", "great u4", "negative i4", "f4", "f8 far from zero", "wide u4"],
)
def test_means_and_variances_are_those_of_numpy(tmp_path: Path, values: Any) -> None:
    found = reduce_run(stages.mean, images_run(tmp_path / "run_0001.cbors", values))

    wide = values.astype(np.longdouble)
    np.testing.assert_allclose(found["mean"], wide.mean(axis=0).astype("f8"), rtol=1e-14)
    np.testing.assert_allclose(found["variance"], wide.var(axis=0, ddof=1).astype("f8"), rtol=1e-9)
    np.testing.assert_allclose(found["mean_errors"], (wide.std(axis=0, ddof=1) / np.sqrt(len(values))).astype("f8"), rtol=1e-9)


def test_masked_values_do_not_count_in_means(run: Path, images: Any) -> None:
    found = reduce_run(stages.mean, run)

    np.testing.assert_allclose(found["mean"], masked(images).mean(axis=0).filled(np.nan), rtol=1e-14)
    np.testing.assert_array_equal(found["count"], (images != 65535).sum(axis=0))
    assert np.isnan(found["mean"][0, 0])


def test_extremes_are_those_of_numpy_with_their_first_event(run: Path, images: Any) -> None:
    found = reduce_run(stages.extremes, run)

    np.testing.assert_array_equal(found["greatest"], masked(images).max(axis=0).filled(0))
    where = masked(images).argmax(axis=0) + 1
    where[0, 0] = -1
    np.testing.assert_array_equal(found["greatest_event"], where)
    with h5py.File(found.path) as file:
        np.testing.assert_array_equal(file["entry/least/least"][()], masked(images).min(axis=0).filled(0))


@pytest.mark.parametrize("dtype", ["u2", "f8"])
def test_histograms_are_those_of_numpy(tmp_path: Path, dtype: str) -> None:
    values = random_images(9, dtype=dtype)
    values[0, 0, :3] = 65535 if dtype == "u2" else np.nan

    found = reduce_run(stages.histogram, images_run(tmp_path / "run_0001.cbors", values), low=0.3, high=900.0, bins=37)

    counts, edges = np.histogram(values, bins=37, range=(0.3, 900.0))
    np.testing.assert_array_equal(found["counts"], counts)
    np.testing.assert_allclose(found["edges"], edges)
    valid = values[values < 65535]
    assert (found["underflow"], found["overflow"], found["masked"]) == ((valid < 0.3).sum(), (valid > 900).sum(), 3)


def test_a_histogram_of_one_number_an_event(run: Path, images: Any) -> None:
    found = reduce_run(stages.histogram, run, of="mean", low=400.0, high=600.0, bins=10, values={"region": "3:,:"})

    np.testing.assert_array_equal(found["counts"], np.histogram(images[:, 3:].mean(axis=(1, 2)), 10, (400.0, 600.0))[0])


def test_a_stack_holds_all_values_in_order(run: Path, images: Any) -> None:
    found = reduce_run(stages.stack, run, values={"region": "1:4,2:6"})

    np.testing.assert_array_equal(found["values"], images[:, 1:4, 2:6])
    np.testing.assert_array_equal(found["event"], np.arange(1, MANY + 1))
    np.testing.assert_array_equal(found["row"], [1, 2, 3])


def test_a_stack_that_is_too_large_is_refused_before_anything_is_done(run: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"a stack of 298 events of 48 values \(uint16\) takes 2.86e-05 GB, max_gb is 1e-06. Select a region"
    ):
        reduce_run(stages.stack, run, max_gb=1e-6)


def test_a_time_series_has_time_and_frame(run: Path, images: Any) -> None:
    found = reduce_run(stages.timeseries, run, values={"region": "3:,:", "statistic": "sum"}, against="time")

    np.testing.assert_array_equal(found["value"], images[:, 3:].sum(axis=(1, 2)))
    np.testing.assert_allclose(found["time"], np.arange(MANY) * 0.01, atol=1e-9)
    np.testing.assert_array_equal(found["frame"], np.arange(MANY))
    np.testing.assert_array_equal(found["created_at"][:2], [1_700_000_000_010_000_000, 1_700_000_000_020_000_000])
    assert list(found.attributes()["axes"]) == ["time"]


def scan_run(folder: Path) -> Path:
    """A snake scan over 3 rows of 4 points, twice; the image is its own number."""
    places = [(0.5 * x, 10.0 * y) for _ in range(2) for y in range(3) for x in range(4)]
    events = [
        {"det": image(np.full((2, 2), n, "u2"), n), "motors": point(samx=x + 0.01 * (n % 3), samy=y)} for n, (x, y) in enumerate(places)
    ]
    return write_run(folder / "run_0001.cbors", [{"det": START}, *events, {"det": END}, {"motors": point(samx=0.0, samy=0.0)}])


SIGNAL = {"stream": "det", "statistic": "mean"}


def test_a_map_is_made_of_rounded_positions(tmp_path: Path) -> None:
    found = reduce_run(
        stages.motor_map,
        scan_run(tmp_path),
        signal=SIGNAL,
        x={"stream": "motors", "field": "samx", "step": 0.5},
        y={"stream": "motors", "field": "samy", "step": 10},
    )

    first = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(found["mean"], first + 6)
    np.testing.assert_array_equal(found["count"], np.full((3, 4), 2))
    np.testing.assert_allclose(found["mean_errors"], np.full((3, 4), 6.0))
    np.testing.assert_array_equal(found["x"], [0.0, 0.5, 1.0, 1.5])
    np.testing.assert_array_equal(found["y"], [0.0, 10.0, 20.0])


def test_or_of_bins_along_one_axis(tmp_path: Path) -> None:
    found = reduce_run(
        stages.motor_map,
        scan_run(tmp_path),
        signal=SIGNAL,
        x={"stream": "motors", "field": "samx", "low": -0.25, "high": 1.25, "bins": 3},
    )

    np.testing.assert_array_equal(found["count"], [6, 6, 6])
    np.testing.assert_array_equal(found["mean"], [10.0, 11.0, 12.0])
    assert found["outside"] == 6
    assert list(found.attributes()["axes"]) == ["x"]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({}, "parameter 'x.field' is not set. Name a position"),
        ({"field": "samx"}, "its streams are det, motors. Name one as 'stream'"),
        ({"stream": "motor", "field": "samx"}, r"there is no stream 'motor', only det, motors. Did you mean 'motors'\?"),
    ],
    ids=["no field", "no stream", "unknown stream"],
)
def test_an_axis_that_is_not_there_is_told(tmp_path: Path, axis: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reduce_run(stages.motor_map, scan_run(tmp_path), signal=SIGNAL, x=axis)


def test_a_map_with_too_many_points_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match=r"positions from 0 to 1.52 in steps of 1e-09 are .* points, more than 10,000,000. Raise the step"):
        reduce_run(stages.motor_map, scan_run(tmp_path), signal=SIGNAL, x={"stream": "motors", "field": "samx", "step": 1e-9})


def test_profiles_are_those_of_the_integrator(run: Path, images: Any) -> None:
    (run.parent / "geo.poni").write_text(PONI)

    found = reduce_run(stages.profile, run, poni="geo.poni", bins=4)

    integrator = AzimuthalIntegrator(read_poni(PONI), 4)
    each = [integrator.integrate(frame) for frame in images]
    signal, norm = sum(p.signal for p in each), sum(p.norm for p in each)
    np.testing.assert_allclose(found["intensity"], signal / norm, rtol=1e-12)
    np.testing.assert_allclose(found["intensity_errors"], np.sqrt(signal) / norm, rtol=1e-5)
    np.testing.assert_allclose(found["q"], integrator.radial)
    assert found.attributes("q")["units"] == "1/nm"
    with h5py.File(found.path) as file:
        np.testing.assert_array_equal(file["entry/each_event/intensity"][()], [p.intensity for p in each])


def test_limits_mask_pixels_of_profiles(run: Path, images: Any) -> None:
    (run.parent / "geo.poni").write_text(PONI)

    found = reduce_run(stages.profile, run, poni="geo.poni", bins=4, image={"valid_max": 500}, each_event=False)

    assert found["count"].sum() == pytest.approx((images <= 500).sum())


def test_the_content_of_a_poni_file_stands_in_the_parameters(tmp_path: Path) -> None:
    (tmp_path / "geo.poni").write_text(PONI)
    (tmp_path / "copy.poni").write_text(PONI)

    one, other = (complete_params(ProfileParams(poni=name), tmp_path, lambda _: "") for name in ("geo.poni", "copy.poni"))

    assert one.geometry == PONI
    assert one == other == complete_params(one, tmp_path, lambda _: "")


@pytest.mark.parametrize(
    ("poni", "message"),
    [("", "parameter 'poni' is not set. Name a PONI file"), ("no.poni", "no.poni cannot be read")],
    ids=["none", "missing"],
)
def test_a_poni_file_that_is_not_there_is_told(tmp_path: Path, poni: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        complete_params(ProfileParams(poni=poni), tmp_path, lambda _: "")


def test_spectra_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "geo.poni").write_text(PONI)
    path = images_run(tmp_path / "run_0001.cbors", random_images(3, (5,)))

    with pytest.raises(ConfigError, match=r"the selected values have shape \(5,\); azimuthal integration wants images"):
        reduce_run(stages.profile, path, poni="geo.poni")


def test_damaged_events_are_rejected_with_their_reasons(tmp_path: Path) -> None:
    good = random_images(4)
    cut = image(good[1])
    cut.frames[1] = cut.frames[1][:-3]
    unknown = StreamData("STINS", [b'{"htype": "picture"}'])
    path = write_run(
        tmp_path / "run_0001.cbors", [{"det": d} for d in (START, image(good[0]), cut, image(good[2][:3]), unknown, image(good[3]))]
    )

    found = reduce_run(stages.sums, path)

    np.testing.assert_array_equal(found["sum"], good[0].astype("u8") + good[3])
    assert [r.index for r in found.records.rejections] == [2, 3, 4]
    assert isinstance(found.records.rejections[0], Rejection)
    assert "the data have 93 bytes, expected 96" in found.records.rejections[0].reason
    assert "that of the events before has (6, 8)" in found.records.rejections[1].reason
    assert "field 'htype' is 'picture'" in found.records.rejections[2].reason
    assert (found["events_used"], found["events_rejected"]) == (2, 3)


def test_a_run_without_what_is_selected_is_told(tmp_path: Path, run: Path) -> None:
    with pytest.raises(BadRun, match="run 7: no event has a data message of stream 'det'"):
        reduce_run(stages.sums, write_run(tmp_path / "run_0002.cbors", [{"det": START}, {"det": END}]))
    with pytest.raises(
        BadRun, match="run 7: no event has what is selected; the first that could: stream 'det', field 'dat' is not in StinsImage"
    ):
        reduce_run(stages.sums, run, values={"field": "dat"})


def test_a_region_outside_is_told_before_anything_is_done(run: Path) -> None:
    with pytest.raises(ConfigError, match="region '0:20' lies outside of it"):
        load_dotted(stages.sums.count)(source=source_of(run), params=stages.sums.params.model_validate({"values": {"region": "0:20"}}))


def test_lines_of_text_are_read_with_the_header_before_their_block(tmp_path: Path) -> None:
    header = "arm_time: 2026-11-21T10:00:00Z\nformat: ASCII\nfields:\n{0}\n"
    one, other = header.format(" A double Value\n B double Value\n"), header.format(" B double Value\n A double Value\n")
    lines = [one, *(f" {k} {-k}\n" for k in range(BLOCK + 50)), "END 306 Ok\n", other, *(f" {-k} {k}\n" for k in range(BLOCK))]
    path = write_run(tmp_path / "run_0001.cbors", [{"pos": StreamData("PCAP_RAW", [line.encode()])} for line in lines])

    found = reduce_run(stages.timeseries, path, values={"field": "fields.A.Value.value"})

    np.testing.assert_array_equal(found["value"], [*range(BLOCK + 50), *range(BLOCK)])
    assert found.records.rejections == []


def test_the_file_is_plotted_at_once_by_readers_of_nexus(run: Path) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata")

    found = reduce_run(stages.mean, run, values={"unit": "counts"})

    with h5py.File(found.path) as file:
        plot = nxdata.get_default(file)
        assert plot.is_valid
        assert (plot.signal_dataset_name, list(plot.axes_dataset_names), plot.errors.shape) == ("mean", ["row", "column"], (6, 8))
    assert found.attributes("mean")["units"] == "counts"


@pytest.mark.parametrize("stage", [s for s in stages.STAGES if s.name in ("events.sum", "events.stack", "events.timeseries")], ids=str)
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, run: Path, stage: Any) -> None:
    one, other = (reduce_run(stage, run, folder=tmp_path / name).path.read_bytes() for name in ("one", "other"))

    assert one == other


def test_blocks_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    path = images_run(tmp_path / "run_0001.cbors", random_images(3 * BLOCK, (2, 2), "f4"))
    wanted = reduce_run(stages.mean, path, folder=tmp_path / "wanted").path.read_bytes()
    source, params = source_of(path), stages.mean.params()
    parts = [tmp_path / f"part_{k}" for k in range(4)]
    for k in (2, 0, 3, 1):
        parts[k].mkdir()
        stages.mean.load_body()(source=source, part=k, folder=parts[k], params=params)
    result = tmp_path / "result"
    result.mkdir()

    load_dotted(stages.mean.finish)(source=source, parts=parts, folder=result, params=params)

    assert (result / "reduced.h5").read_bytes() == wanted


def test_a_stage_that_is_told_to_stop_does(tmp_path: Path, run: Path) -> None:
    source, params = source_of(run), stages.sums.params()
    parts = [tmp_path / "part_0"]
    parts[0].mkdir()
    stages.sums.load_body()(source=source, part=0, folder=parts[0], params=params)
    stopped = RunSource(source.run, source.raw, {}, source.reader, source.base, lambda: True)

    with pytest.raises(RunCancelled, match="run 7: cancelled"):
        load_dotted(stages.sums.finish)(source=stopped, parts=parts, folder=tmp_path, params=params)
