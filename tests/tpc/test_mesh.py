import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.gas import gas_asset, parse_gas
from penstock.tpc.mesh import count_nodes, inside_mesh, interpolate_track, make_mesh, mesh_grids
from penstock.tpc.nuclei import parse_nucleus
from penstock.tpc.params import MeshParams
from penstock.tpc.schemas import TrackMesh
from penstock.tpc.stopping import stopping_asset, stopping_curve, write_stopping_csv
from penstock.tpc.trajectory import circles_to_track, sample_track

SMALL = MeshParams(ke_min_mev=1.5, ke_max_mev=2.5, ke_bins=12, polar_min_deg=40.0, polar_max_deg=60.0, polar_bins=11)


@pytest.fixture(scope="module")
def mesh():
    return make_mesh(range(count_nodes(SMALL)), SMALL)


@pytest.fixture(scope="module")
def grid(mesh):
    return mesh_grids(mesh)[1, 1]


def straight(ke, polar, params=SMALL, name="p"):
    particle = parse_nucleus(name)
    curve = stopping_curve(particle, parse_gas(params.gas, params.pressure_torr, params.temperature_k))
    return sample_track(particle, curve, ke, polar, (params.magnetic_field_t, params.electric_field_v_per_m), params.path_max_mm)


def lagrange(place, size):
    """Weights of the four nodes nearest to a place, and their derivatives, by NumPy."""
    first = int(np.clip(np.floor(place) - 1, 0, size - 4))
    nodes = np.arange(first, first + 4)
    basis = [np.poly(np.delete(nodes, k)) / np.prod(nodes[k] - np.delete(nodes, k)) for k in range(4)]
    return first, np.array([np.polyval(b, place) for b in basis]), np.array([np.polyval(np.polyder(b), place) for b in basis])


def reference_interpolation(grid, ke, polar):
    """Track and derivatives at an energy and angle: the same formulas, written with arrays."""
    first_ke, step_ke, first_polar, step_polar = grid.axes
    row, w_ke, d_ke = lagrange((np.log(ke) - first_ke) / step_ke, grid.lengths.shape[0])
    column, w_polar, d_polar = lagrange((polar - first_polar) / step_polar, grid.lengths.shape[1])
    block = grid.samples[row : row + 4, column : column + 4].astype(np.float64)
    weights = [(w_ke, w_polar), (d_ke / (step_ke * ke), w_polar), (w_ke, d_polar / step_polar)]
    value, by_ke, by_polar = (np.einsum("i,j,ijsk->sk", a, b, block) for a, b in weights)

    def change(by):
        turn = value[:, 2] * by[:, 3]
        cosine, sine = np.cos(value[:, 3]), np.sin(value[:, 3])
        return np.stack(
            [by[:, 0] + by[:, 2] * cosine - turn * sine, by[:, 1] + by[:, 2] * sine + turn * cosine, by[:, 4], by[:, 5]], axis=1
        )

    length = np.einsum("i,j,ij->", w_ke, w_polar, grid.lengths[row : row + 4, column : column + 4])
    return circles_to_track(value), change(by_ke), change(by_polar), length


def test_the_mesh_has_a_row_for_each_particle_energy_and_angle(mesh):
    events = mesh["events"]
    assert mesh.n_events == count_nodes(SMALL) == 132
    assert [(c.name, events[c.name].dtype.str[1:], events[c.name].shape[1:]) for c in TrackMesh.table("events").columns] == [
        (c.name, c.dtype, c.shape) for c in TrackMesh.table("events").columns
    ]
    np.testing.assert_allclose(np.unique(events["ke"]), np.geomspace(1.5, 2.5, 12))
    np.testing.assert_allclose(np.rad2deg(events["polar"][:11]), np.linspace(40, 60, 11))


def test_any_batching_gives_the_same_bytes(mesh):
    pieces = [make_mesh(range(start, min(start + 17, 132)), SMALL) for start in range(0, 132, 17)]
    joined = TrackMesh.concatenate(pieces)
    for name, values in mesh["events"].items():
        assert joined["events"][name].tobytes() == values.tobytes()


def test_a_node_holds_the_integrated_track(grid):
    expected, length = straight(1.5, np.deg2rad(50.0))
    np.testing.assert_array_equal(circles_to_track(grid.samples[0, 5]), expected)
    assert grid.lengths[0, 5] == length


def test_interpolation_agrees_with_its_reference_on_random_input(grid):
    rng = np.random.default_rng(1)
    for ke, polar in zip(rng.uniform(1.5, 2.5, 30), np.deg2rad(rng.uniform(40, 60, 30)), strict=True):
        for found, expected in zip(grid.track(ke, polar), reference_interpolation(grid, ke, polar), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_a_track_between_nodes_agrees_with_direct_integration_within_5_micrometres(grid):
    rng = np.random.default_rng(2)
    for ke, polar in zip(rng.uniform(1.5, 2.5, 40), np.deg2rad(rng.uniform(40, 60, 40)), strict=True):
        expected, length = straight(ke, polar)
        found, _, _, found_length = grid.track(ke, polar)
        np.testing.assert_allclose(found[:-1, :3], expected[:-1, :3], atol=0.005)
        assert found_length == pytest.approx(length, abs=0.005)


def test_straight_lines_between_the_places_of_nodes_would_err_a_hundred_times_more(grid):
    middle_ke, middle_polar = np.exp(grid.axes[0] + 4.5 * grid.axes[1]), grid.axes[2] + 4.5 * grid.axes[3]
    expected, _ = straight(middle_ke, middle_polar)
    bilinear = circles_to_track(grid.samples[4:6, 4:6]).mean(axis=(0, 1))
    cubic, _, _, _ = grid.track(middle_ke, middle_polar)
    error = [np.abs(track[:-1, :3] - expected[:-1, :3]).max() for track in (bilinear, cubic)]
    assert error[0] > 100 * error[1]


def test_derivatives_are_those_of_the_interpolated_track(grid):
    ke, polar, step = 1.87, np.deg2rad(47.3), 1e-5
    _, by_ke, by_polar, _ = grid.track(ke, polar)
    np.testing.assert_allclose(
        by_ke, (grid.track(ke + step, polar)[0] - grid.track(ke - step, polar)[0]) / (2 * step), rtol=1e-5, atol=1e-3
    )
    np.testing.assert_allclose(
        by_polar, (grid.track(ke, polar + step)[0] - grid.track(ke, polar - step)[0]) / (2 * step), rtol=1e-5, atol=1e-3
    )


@pytest.mark.parametrize("row", [0, 11], ids=["least energy", "greatest energy"])
@pytest.mark.parametrize("column", [0, 10], ids=["least angle", "greatest angle"])
def test_the_corners_of_the_mesh_are_their_nodes(grid, row, column):
    ke, polar = grid.ke_range_mev[row > 0], grid.polar_range_rad[column > 0]
    assert grid.holds(ke, polar)
    track, _, _, length = grid.track(ke, polar)
    np.testing.assert_allclose(track, circles_to_track(grid.samples[row, column]), atol=1e-6)
    assert length == pytest.approx(grid.lengths[row, column], rel=1e-12)


@pytest.mark.parametrize(
    "ke, polar_deg",
    [(1.49999, 50), (2.50001, 50), (2.0, 39.999), (2.0, 60.001), (-1.0, 50), (np.nan, 50), (2.0, np.nan)],
    ids=["low", "high", "forward", "backward", "negative", "no energy", "no angle"],
)
def test_outside_of_the_mesh_nothing_is_extrapolated(grid, ke, polar_deg):
    assert not grid.holds(ke, np.deg2rad(polar_deg))
    assert not inside_mesh(grid.lengths, grid.axes, ke, np.deg2rad(polar_deg))
    values = interpolate_track(grid.samples, grid.lengths, grid.axes, ke, np.deg2rad(polar_deg))
    assert all(np.isnan(value).all() for value in values)


def test_a_mesh_in_a_file_gives_the_same_track(grid, tmp_path):
    np.save(tmp_path / "samples.npy", grid.samples)
    mapped = np.asarray(np.load(tmp_path / "samples.npy", mmap_mode="r"))
    here = interpolate_track(grid.samples, grid.lengths, grid.axes, 2.0, 0.9)
    there = interpolate_track(mapped, grid.lengths, grid.axes, 2.0, 0.9)
    np.testing.assert_array_equal(here[0], there[0])


def test_each_particle_has_its_grid():
    params = SMALL.model_copy(update={"particles": ("1H", "4He"), "ke_bins": 4, "polar_bins": 5, "ke_min_mev": 2.0, "ke_max_mev": 2.2})
    grids = mesh_grids(make_mesh(range(count_nodes(params)), params))
    assert [(key, grid.nucleus.symbol, grid.samples.shape[:2]) for key, grid in grids.items()] == [
        ((1, 1), "1H", (4, 5)),
        ((2, 4), "4He", (4, 5)),
    ]
    expected, _ = straight(2.1, 0.9, params, "4He")
    np.testing.assert_allclose(grids[2, 4].track(2.1, 0.9)[0][:-1, :3], expected[:-1, :3], atol=0.01)


def test_gas_file_and_stopping_table_change_the_mesh(tmp_path, mesh):
    (tmp_path / "gas.json").write_text('{"compound": [[1, 1, 2]], "pressure(Torr)": 600.0}')
    denser = make_mesh(range(3), SMALL, gas=gas_asset({"gas": tmp_path / "gas.json"}))
    assert denser["events"]["length"][0] == pytest.approx(mesh["events"]["length"][0] / 2, rel=0.01)
    ke = np.geomspace(1e-3, 10, 50)
    write_stopping_csv(tmp_path / "p.csv", parse_nucleus("p"), ke, 500.0 * ke**-0.7)
    own = make_mesh(
        range(1), SMALL.model_copy(update={"electric_field_v_per_m": 0.0}), stopping=stopping_asset({"stopping": tmp_path / "p.csv"})
    )
    density = parse_gas("H2", 300.0, 293.0).g_per_cm3 / 10
    assert own["events"]["length"][0] == pytest.approx((1.5**1.7 - 1e-3**1.7) / 1.7 / 500.0 / density, rel=1e-4)


def test_a_particle_named_twice_is_refused():
    with pytest.raises(ConfigError, match="a nucleus is named twice"):
        make_mesh(range(1), SMALL.model_copy(update={"particles": ("p", "1H")}))


def test_a_part_of_a_mesh_is_no_grid(mesh):
    with pytest.raises(ConfigError, match="track mesh: 130 rows with 11 polar angles are no whole grid; read all of the artifact"):
        mesh_grids(mesh.part(0, 130))
