"""Azimuthal integration: sums, splitting, invalid pixels, laws."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.core.errors import BadEvent, ConfigError
from penstock.kernels import azimuthal
from penstock.kernels._binning import whole
from penstock.kernels._scatter import LANES, sum_pairs, sum_split, sum_type, sum_whole
from penstock.kernels.azimuthal import AzimuthalIntegrator, Profile
from penstock.kernels.geometry import Detector, Geometry

F8 = NDArray[np.float64]
SHAPE = (61, 83)
GEOMETRY = Geometry(Detector(75e-6, 80e-6, SHAPE), 0.05, 30.2e-4 * 0.75, 0.0031, 0.1, -0.05, 0.2, 1e-10)
ROUND = Geometry(Detector(1e-3, 1e-3, (40, 40)), 0.1, 0.02, 0.02, wavelength_m=1e-10)
MASK = np.random.default_rng(1).random(SHAPE) < 0.05


def random_frame(dtype: str, *, seed: int = 0) -> NDArray[Any]:
    """Counts, with invalid pixels as the type marks them."""
    rng = np.random.default_rng(seed)
    frame = rng.poisson(30, SHAPE).astype(dtype)
    bad = rng.random(SHAPE) < 0.03
    kind = frame.dtype.kind
    frame[bad] = np.nan if kind == "f" else -rng.integers(1, 100, bad.sum()) if kind == "i" else np.iinfo(frame.dtype).max
    return frame


def valid(frame: NDArray[Any]) -> NDArray[np.bool_]:
    """What counts where ``invalid="auto"``."""
    if frame.dtype.kind == "f":
        return ~np.isnan(frame)
    return frame >= 0 if frame.dtype.kind == "i" else frame != np.iinfo(frame.dtype).max


def plain(integrator: AzimuthalIntegrator, frame: NDArray[Any], good: NDArray[np.bool_], weights: F8) -> Profile:
    """The profile without splitting, by NumPy alone."""
    index = integrator.pixel_bins
    take = good & (index >= 0)
    at, values = index[take], frame[take].astype(np.float64)
    n = int(np.prod(integrator.shape))
    count, signal, norm = (np.bincount(at, w, n) for w in (np.ones(len(at)), values, weights[take]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return Profile(*(a.reshape(integrator.shape) for a in (signal / norm, np.sqrt(signal) / norm, count, signal, norm)))


def assert_close(found: Profile, wanted: Profile, rtol: float = 1e-6) -> None:
    for name in Profile.__slots__:
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=rtol, err_msg=name)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int32", "float32", "int64"])
def test_profile_equals_that_of_plain_numpy(dtype: str) -> None:
    integrator = AzimuthalIntegrator(GEOMETRY, 40, mask=MASK, polarization=0.9)
    frame = random_frame(dtype)

    found = integrator.integrate(frame)

    weights = GEOMETRY.solid_angle() * GEOMETRY.polarization(0.9)
    assert_close(found, plain(integrator, frame, valid(frame), weights))


def test_kernel_equals_plain_numpy_for_any_map_and_for_one_sum_a_bin() -> None:
    rng = np.random.default_rng(5)
    frame = rng.integers(0, 300, 10_001).astype(np.uint16)
    index = rng.integers(0, 8, 10_001)
    ends = np.array([250], np.uint16), np.array([260], np.uint16)
    weights = rng.random(10_001).astype(np.float32)
    invalid = (frame >= 250) & (frame <= 260)
    counts = invalid & (index < 7)

    for lanes in (1, LANES):
        sums, lost = np.zeros(8 * lanes, np.uint64), np.zeros((8, 2))
        n_lost = sum_whole(frame, (index * lanes).astype(np.uint16), lanes, *ends, False, weights, sums, lost)

        assert n_lost == counts.sum()
        assert np.array_equal(sums.reshape(8, lanes).sum(axis=1)[:7], np.bincount(index, np.where(invalid, 0, frame), 8)[:7])
        np.testing.assert_allclose(lost[:, 0], np.bincount(index, counts, 8))
        np.testing.assert_allclose(lost[:, 1], np.bincount(index, counts * weights.astype(float), 8))


@pytest.mark.parametrize("share_invalid", [0.0, 1e-4, 0.2])
def test_sums_by_pairs_equal_those_pixel_by_pixel(share_invalid: float) -> None:
    rng = np.random.default_rng(8)
    frame = rng.integers(0, 65535, 20_001).astype(np.uint16)
    frame[rng.random(len(frame)) < share_invalid] = 65535
    found = whole(rng.integers(0, 8, len(frame)), 7)
    ends = 2 * [np.array([65535], np.uint16)]
    weights = rng.random(len(frame)).astype(np.float32)
    (sums, lost), (by_pairs, lost_by_pairs) = ((np.zeros(8 * found.lanes, np.uint64), np.zeros((8, 2))) for _ in range(2))

    n_lost = sum_whole(frame, found.places, found.lanes, *ends, False, weights, sums, lost)
    assert found.pairs is not None
    pairs = found.pairs.pairs, found.pairs.firsts, found.pairs.seconds
    n_lost_by_pairs = sum_pairs(frame, found.places, found.lanes, *pairs, *ends, weights, by_pairs, lost_by_pairs)

    assert np.array_equal(by_pairs.reshape(8, -1).sum(axis=1)[:7], sums.reshape(8, -1).sum(axis=1)[:7])
    assert np.array_equal(lost_by_pairs, lost)
    assert n_lost_by_pairs == n_lost


def test_pairs_are_used_only_where_no_half_can_overflow() -> None:
    most = 2**16
    found = whole(np.zeros(2 * most, np.int64), 1)
    never = np.empty(0, np.uint16)
    sums = np.zeros(2 * found.lanes, np.uint64)

    assert found.pairs is not None
    pairs = found.pairs.pairs, found.pairs.firsts, found.pairs.seconds
    frame = np.full(2 * most, 65535, np.uint16)
    sum_pairs(frame, found.places, found.lanes, *pairs, never, never, np.ones(2 * most, np.float32), sums, np.zeros((2, 2)))
    assert sums.sum() == 2 * most * 65535
    assert whole(np.zeros(2 * most + 2, np.int64), 1).pairs is None
    assert whole(np.arange(2 * 2**15 + 2), 2 * 2**15 + 2).pairs is None
    assert whole(np.zeros(1, np.int64), 1).pairs is None


def test_kernel_of_parts_equals_plain_numpy() -> None:
    rng = np.random.default_rng(6)
    frame = rng.integers(0, 300, 1000).astype(np.uint16)
    pixels = np.sort(rng.integers(0, 1000, 3000)).astype(np.int32)
    bins = rng.integers(0, 7, 3000).astype(np.uint16)
    parts, factors = rng.random((2, 3000)).astype(np.float32)
    weights = rng.random(1000).astype(np.float32)
    invalid = frame[pixels] == 7
    sums, lost = np.zeros((7, 2)), np.zeros((7, 2))

    n_lost = sum_split(frame, pixels, bins, parts, factors, *(2 * [np.array([7], np.uint16)]), False, weights, sums, lost)

    values = np.where(invalid, 0.0, frame[pixels])
    part, factor = parts.astype(float), factors.astype(float)
    assert n_lost == invalid.sum() > 0
    np.testing.assert_allclose(sums[:, 0], np.bincount(bins, factor * values, 7))
    np.testing.assert_allclose(sums[:, 1], np.bincount(bins, factor**2 * values, 7))
    np.testing.assert_allclose(lost[:, 0], np.bincount(bins, part * invalid, 7))
    np.testing.assert_allclose(lost[:, 1], np.bincount(bins, part * weights[pixels] * invalid, 7))


@pytest.mark.parametrize("dtype", ["uint32", "int32"])
def test_sums_of_the_greatest_values_do_not_overflow(dtype: str) -> None:
    integrator = AzimuthalIntegrator(ROUND, 1, radial_range=(0.0, 1e3), invalid=None)
    greatest = int(np.iinfo(dtype).max)

    assert integrator.integrate(np.full((40, 40), greatest, dtype)).signal[0] == 1600 * greatest
    assert sum_type(np.dtype(dtype)) == dtype[0] + "8"


def test_invalid_pixels_are_left_out_of_signal_norm_and_count_of_that_frame_only() -> None:
    integrator = AzimuthalIntegrator(ROUND, 10)
    frame = np.full((40, 40), 6, np.uint16)
    broken = frame.copy()
    broken[::3] = 65535

    whole, part = integrator.integrate(frame), integrator.integrate(broken)

    assert part.count.sum() == 40 * 26
    np.testing.assert_allclose(part.signal, 6 * part.count)
    np.testing.assert_allclose(part.intensity, whole.intensity, rtol=0.05)
    assert_close(integrator.integrate(frame), whole, rtol=0)


@pytest.mark.parametrize("splitting", ["bbox", 3])
def test_invalid_pixels_are_left_out_of_split_bins_too(splitting: azimuthal.Splitting) -> None:
    frame = random_frame("uint16")
    by_value = AzimuthalIntegrator(GEOMETRY, 30, splitting=splitting, radial_range=(1, 20)).integrate(frame)
    by_mask = AzimuthalIntegrator(GEOMETRY, 30, splitting=splitting, radial_range=(1, 20), mask=~valid(frame)).integrate(frame)

    assert_close(by_value, by_mask, rtol=1e-5)


@pytest.mark.parametrize(
    ("invalid", "dtype", "left"),
    [("auto", "uint16", 2), ([3, 5], "uint16", 1), ([3], "float32", 1), (None, "uint16", 3), ([1e9, -1, 0.5], "uint16", 3)],
    ids=["greatest", "a set", "a set and NaN", "none", "values that the type has not"],
)
def test_invalid_values_are_those_asked_for(invalid: azimuthal.Invalid, dtype: str, left: int) -> None:
    geometry = Geometry(Detector(1e-3, 1e-3, (1, 3)), 0.1, 0.0, 0.0)
    integrator = AzimuthalIntegrator(geometry, 1, unit="r_mm", radial_range=(0, 9), invalid=invalid)
    frame = np.array([[3, 5, 65535]], dtype) if dtype == "uint16" else np.array([[3, 5, np.nan]], dtype)

    assert integrator.integrate(frame).count[0] == left


def test_nan_stays_where_no_value_is_invalid() -> None:
    integrator = AzimuthalIntegrator(ROUND, 1, radial_range=(0.0, 1e3), invalid=None)
    frame = np.ones((40, 40))
    frame[3, 4] = np.nan

    assert np.isnan(integrator.integrate(frame).signal[0])


def test_bins_without_a_valid_pixel_are_nan() -> None:
    integrator = AzimuthalIntegrator(ROUND, 4, unit="r_mm", radial_range=(0.0, 80.0))
    dead = np.where(integrator.pixel_bins == 0, 65535, 2).astype(np.uint16)

    profile = integrator.integrate(dead)

    assert np.isnan(profile.intensity).tolist() == [True, False, True, True]
    assert np.isnan(profile.sigma).tolist() == [True, False, True, True]
    assert profile.count.tolist() == [0, (integrator.pixel_bins == 1).sum(), 0, 0]


def test_mask_of_one_frame_equals_a_constant_one() -> None:
    frame = random_frame("uint16")

    once = AzimuthalIntegrator(GEOMETRY, 20).integrate(frame, mask=MASK)

    constant = AzimuthalIntegrator(GEOMETRY, 20, mask=MASK).integrate(frame)
    np.testing.assert_allclose(once.intensity, constant.intensity, rtol=1e-6)
    assert np.array_equal(once.count, constant.count)


def test_flat_scattering_is_flat_and_its_error_is_poissons() -> None:
    rng = np.random.default_rng(7)
    integrator = AzimuthalIntegrator(ROUND, 8, polarization=0.99)
    seen = 400 * ROUND.solid_angle() * ROUND.polarization(0.99)
    pulls = []
    for _ in range(60):
        profile = integrator.integrate(rng.poisson(seen).astype(np.uint16))
        pulls.append((profile.intensity - 400) / profile.sigma)

    assert abs(np.mean(pulls)) < 0.15
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)


def test_mean_of_corrected_pixels_is_their_mean() -> None:
    frame = random_frame("float64")
    ratio = AzimuthalIntegrator(GEOMETRY, 25)
    mean = AzimuthalIntegrator(GEOMETRY, 25, average="mean").integrate(frame)

    wanted = plain(ratio, frame / GEOMETRY.solid_angle(), valid(frame), np.ones(SHAPE))
    np.testing.assert_allclose(mean.intensity, wanted.intensity, rtol=1e-6)
    np.testing.assert_allclose(mean.norm, wanted.count)
    variance = plain(ratio, frame / GEOMETRY.solid_angle() ** 2, valid(frame), np.ones(SHAPE)).signal
    np.testing.assert_allclose(mean.sigma, np.sqrt(variance) / mean.norm, rtol=1e-6)


def test_points_of_a_split_pixel_are_shared_as_if_pixels_were_smaller() -> None:
    fine = Geometry(Detector(0.25e-3, 0.25e-3, (160, 160)), 0.1, 0.02, 0.02, wavelength_m=1e-10)
    frame = np.random.default_rng(2).integers(0, 100, (40, 40)).astype(np.uint16)

    split = AzimuthalIntegrator(ROUND, 30, radial_range=(0, 20), splitting=4, solid_angle=False).integrate(frame)

    smaller = AzimuthalIntegrator(fine, 30, radial_range=(0, 20), solid_angle=False).integrate(np.repeat(np.repeat(frame, 4, 0), 4, 1))
    np.testing.assert_allclose(split.signal, smaller.signal / 16)
    np.testing.assert_allclose(split.count, smaller.count / 16)


@pytest.mark.parametrize("splitting", ["none", "bbox", 2, 3])
def test_splitting_keeps_all_counts(splitting: azimuthal.Splitting) -> None:
    frame = np.random.default_rng(3).integers(0, 60_000, SHAPE).astype(np.uint16)

    profile = AzimuthalIntegrator(GEOMETRY, 200, radial_range=(0.0, 100.0), splitting=splitting).integrate(frame)

    assert profile.signal.sum() == pytest.approx(frame.sum(), rel=1e-6)
    assert profile.count.sum() == pytest.approx(frame.size, rel=1e-6)


def test_a_box_gives_each_bin_its_share_of_the_stretch() -> None:
    geometry = Geometry(Detector(1.0, 1e-9, (2, 1)), 1e9, 0.0, 0.0)
    integrator = AzimuthalIntegrator(geometry, [500.0, 1250.0, 1500.0, 3000.0], unit="r_mm", splitting="bbox", solid_angle=False)

    signal = integrator.integrate(np.array([[8], [4]], np.uint16)).signal

    np.testing.assert_allclose(signal, [8 * 0.5 + 4 * 0.25, 4 * 0.25, 4 * 0.5], rtol=1e-5)


def test_sectors_add_up_to_the_whole() -> None:
    frame = random_frame("uint16")
    cake = AzimuthalIntegrator(GEOMETRY, 20, azimuthal_bins=12, mask=MASK).integrate(frame)
    whole = AzimuthalIntegrator(GEOMETRY, 20, mask=MASK).integrate(frame)

    assert cake.intensity.shape == (12, 20)
    assert np.array_equal(cake.signal.sum(axis=0), whole.signal)
    assert np.array_equal(cake.count.sum(axis=0), whole.count)


@pytest.mark.parametrize("given_edges", [[-44.0, 44.0], [316.0, 404.0], (-44.0, 44.0)], ids=["edges", "a turn later", "range"])
def test_a_sector_takes_the_pixels_of_its_azimuths(given_edges: Sequence[float]) -> None:
    if isinstance(given_edges, tuple):
        integrator = AzimuthalIntegrator(ROUND, 5, azimuthal_range_deg=given_edges)
        assert integrator.shape == (5,)
    else:
        integrator = AzimuthalIntegrator(ROUND, 5, azimuthal_bins=given_edges)
        assert integrator.shape == (1, 5)

    rows, columns = np.mgrid[0:40, 0:40] - 19.5
    assert np.array_equal(integrator.pixel_bins >= 0, columns > np.abs(rows))


def test_many_bins_are_summed_as_few_are() -> None:
    frame = np.random.default_rng(4).integers(0, 50, (40, 40)).astype(np.uint16)
    integrator = AzimuthalIntegrator(ROUND, 600, azimuthal_bins=200, azimuthal_range_deg=(-180, 180))

    profile = integrator.integrate(frame)

    assert_close(profile, plain(integrator, frame, valid(frame), ROUND.solid_angle()))


def test_range_holds_its_ends_and_nothing_below() -> None:
    geometry = Geometry(Detector(1e-3, 1e-6, (6, 1)), 0.1, 0.5e-3, 0.5e-6)
    integrator = AzimuthalIntegrator(geometry, 2, unit="r_mm", radial_range=(2.0, 4.0))

    # The middle pixel lies on the edge, which the upper end has moved up by single precision.
    assert integrator.pixel_bins[:, 0].tolist() == [-1, -1, 0, 0, 1, -1]
    np.testing.assert_allclose(integrator.radial_edges, [2.0, 3.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(integrator.radial, [2.5, 3.5], rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5))
def test_integration_is_linear(seed: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 1000, (2, 40, 40)).astype(np.uint16)
    for integrator in LINEAR:
        together = integrator.integrate((a * one + b * other).astype(np.uint16)).signal
        np.testing.assert_allclose(together, a * integrator.integrate(one).signal + b * integrator.integrate(other).signal, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pixels_of_a_bin_can_be_exchanged(seed: int) -> None:
    integrator = LINEAR[0]
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 65536, (40, 40)).astype(np.uint16)
    index = integrator.pixel_bins.ravel()
    order = np.lexsort((rng.random(1600), index))
    exchanged = np.empty(1600, np.uint16)
    exchanged[np.argsort(index, kind="stable")] = frame.ravel()[order]

    found, wanted = integrator.integrate(exchanged.reshape(40, 40)), integrator.integrate(frame)

    assert np.array_equal(found.signal, wanted.signal)
    assert np.array_equal(found.count, wanted.count)


LINEAR = [AzimuthalIntegrator(ROUND, 15, invalid=None), AzimuthalIntegrator(ROUND, 15, splitting=2, invalid=None)]


@pytest.mark.parametrize("splitting", ["none", 2])
def test_a_pickled_integrator_gives_the_same_bits(splitting: azimuthal.Splitting) -> None:
    integrator = AzimuthalIntegrator(GEOMETRY, 50, splitting=splitting, polarization=0.5)
    frame = random_frame("uint16")

    copy = pickle.loads(pickle.dumps(integrator))

    assert_close(copy.integrate(frame), integrator.integrate(frame), rtol=0)


@pytest.mark.parametrize(
    "other",
    [lambda f: f.astype(">u2"), lambda f: np.asfortranarray(f), lambda f: f[:, ::-1][:, ::-1], lambda f: unaligned(f)],
    ids=["other byte order", "by columns", "a view", "unaligned"],
)
def test_a_frame_of_any_layout_gives_the_same(other: Any) -> None:
    integrator = AzimuthalIntegrator(GEOMETRY, 50)
    frame = random_frame("uint16")
    kept = frame.copy()

    assert_close(integrator.integrate(other(frame)), integrator.integrate(frame), rtol=0)
    assert np.array_equal(frame, kept)
    assert frame.flags.writeable


def unaligned(frame: NDArray[Any]) -> NDArray[Any]:
    """The frame in bytes that begin at an odd address, as in captures."""
    found: NDArray[Any] = np.frombuffer(b"x" + frame.tobytes(), frame.dtype, offset=1).reshape(frame.shape)
    return found


def test_truth_values_are_counted() -> None:
    integrator = AzimuthalIntegrator(ROUND, 3, invalid=None)

    profile = integrator.integrate(np.ones((40, 40), bool))

    assert np.array_equal(profile.signal, profile.count)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (np.zeros((3, 4), np.uint16), r"the frame has shape \(3, 4\), the geometry's detector \(40, 40\)"),
        (np.zeros((40, 40), complex), "the frame has type complex128; integers or floats are wanted"),
    ],
    ids=["shape", "type"],
)
def test_a_frame_that_does_not_fit_is_a_bad_event(frame: NDArray[Any], said: str) -> None:
    with pytest.raises(BadEvent, match=said):
        LINEAR[0].integrate(frame)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"bins": 0}, "0 radial bins; at least 1 is wanted"),
        ({"bins": [1.0, 1.0]}, r"radial bins: the edges of bins must be at least two finite numbers that ascend, found \[1.0, 1.0\]"),
        ({"bins": [1, 2], "radial_range": (1, 2)}, "radial_range belongs to a number of bins"),
        ({"radial_range": (2.0, 1.0)}, r"radial_range \(2.0, 1.0\) is not two finite numbers that ascend"),
        ({"radial_range": (1e6, 1e7)}, "no pixel lies in any bin"),
        ({"unit": "d_A"}, "radial unit 'd_A' is not known. Give one of q_nm"),
        ({"splitting": "full"}, "splitting 'full' is not 'none', 'bbox' or a number of points along a side, 1 to 64"),
        ({"splitting": 0}, "splitting 0 is not"),
        ({"splitting": "bbox", "azimuthal_bins": 3}, "splitting 'bbox' knows one azimuthal bin only"),
        ({"splitting": "bbox", "mask": np.ones((40, 40))}, "the mask leaves no pixel"),
        ({"azimuthal_bins": 0}, "0 azimuthal bins; at least 1 is wanted"),
        ({"azimuthal_bins": [0, 400]}, "azimuthal bins: the edges span 400, more than once around"),
        ({"azimuthal_bins": [0, 90], "azimuthal_range_deg": (0, 90)}, "azimuthal_range_deg belongs to a number of bins"),
        ({"azimuthal_range_deg": (0, 361)}, r"azimuthal_range_deg \(0, 361\) is more than once around"),
        ({"mask": np.zeros((2, 2))}, r"the mask has shape \(2, 2\), the geometry's detector \(40, 40\)"),
        ({"average": "median"}, "average 'median' is not 'ratio' or 'mean'"),
        ({"polarization": 2.0}, "polarisation factor 2.0 lies outside -1"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AzimuthalIntegrator(ROUND, **{"bins": 10, **parameters})


def test_invalid_that_is_no_list_is_told() -> None:
    integrator = AzimuthalIntegrator(ROUND, 3, invalid="never")  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match="invalid 'never' is not 'auto', a list of values, or None"):
        integrator.integrate(np.zeros((40, 40), np.uint16))


def test_split_pixels_have_no_single_bin() -> None:
    with pytest.raises(ConfigError, match="pixels lie in several bins"):
        _ = LINEAR[1].pixel_bins
