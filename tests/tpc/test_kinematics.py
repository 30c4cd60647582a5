import numpy as np
import pytest
from scipy.integrate import solve_ivp

from penstock.core.errors import ConfigError
from penstock.tpc.gas import gas_asset
from penstock.tpc.kinematics import NO_BEAM, NO_RESIDUE, OTHER_PARTICLE, beam_curve, beam_energy, reconstruct_reaction
from penstock.tpc.params import KinematicsParams
from penstock.tpc.reaction import emit, parse_reaction
from penstock.tpc.schemas import Fits

PARAMS = KinematicsParams(reaction="16O(d,p)17O", beam_energy_mev=160.0, gas="D2", pressure_torr=600.0)
REACTION = parse_reaction(PARAMS.reaction)


def fits_of(rows, events=None):
    """Fits with the named columns, one event a row unless `events` gives the rows of each; what is not named is 0."""
    n = len(next(iter(rows.values())))
    counts = events or [1] * n
    declared = Fits.table("fits").columns
    columns = {c.name: np.zeros(n, dtype=c.dtype) for c in declared} | {"Z": np.ones(n, dtype="i8"), "A": np.ones(n, dtype="i8")}
    columns |= {name: np.asarray(values, dtype=Fits.table("fits").column(name).dtype) for name, values in rows.items()}
    empty = Fits.empty(len(counts))
    offsets = {**empty.offsets, "fits": np.concatenate(([0], np.cumsum(counts))).astype(np.int64)}
    return Fits(n_events=len(counts), columns={**empty.columns, "fits": columns}, offsets=offsets)


def exact_fits(vertex_z, theta_cm, ex):
    """Fits without error of the protons of PARAMS, and the beam energies."""
    vertex_z, theta_cm, ex = (np.asarray(v, dtype=float) for v in (vertex_z, theta_cm, ex))
    beam_ke = beam_energy(REACTION, PARAMS, beam_curve(REACTION, PARAMS), vertex_z)
    polar, ke = emit(REACTION, beam_ke, ex, theta_cm)
    rows = {"vertex_z": vertex_z, "polar": polar, "ke": ke, "brho": REACTION.ejectile.rigidity_tm(ke)}
    return rows, beam_ke


def test_excitation_energy_comes_back_within_1_kev_and_angle_within_a_milliradian():
    theta_cm, ex, vertex_z = (v.ravel() for v in np.meshgrid(np.linspace(0.3, 3.0, 8), [0.0, 0.8707, 3.055], [0.0, 300.0, 900.0]))
    rows, beam_ke = exact_fits(vertex_z, theta_cm, ex)
    found = reconstruct_reaction(fits_of(rows), PARAMS)["kinematics"]
    np.testing.assert_allclose(found["ex"], ex, atol=1e-3)
    np.testing.assert_allclose(found["theta_cm"], theta_cm, atol=1e-3)
    np.testing.assert_allclose(found["beam_ke"], beam_ke)
    assert (found["status"] == 0).all()


def test_the_beam_loses_energy_to_gas_and_field_as_an_integrator_finds():
    curve = beam_curve(REACTION, PARAMS)
    flight = solve_ivp(lambda _, ke: -curve.loss(ke), (0.0, 700.0), [160.0], rtol=1e-9, atol=1e-9)
    assert beam_energy(REACTION, PARAMS, curve, np.array([700.0]))[0] == pytest.approx(flight.y[0, -1], abs=1e-4)


def test_window_and_field_take_energy_before_the_vertex():
    bare = PARAMS.model_copy(update={"electric_field_v_per_m": 0.0})
    window = bare.model_copy(update={"window_thickness_ug_per_cm2": 500.0})
    energies = [beam_energy(REACTION, p, beam_curve(REACTION, p), np.array([0.0, 500.0])) for p in (bare, PARAMS, window)]
    assert energies[0][0] == pytest.approx(160.0, rel=1e-9)
    assert energies[0][1] - energies[1][1] == pytest.approx(8 * 0.045 * 0.5, rel=0.1)
    assert energies[0][0] - energies[2][0] == pytest.approx(1.36, abs=0.02)


def test_a_vertex_before_the_window_sees_the_whole_beam():
    assert beam_energy(REACTION, PARAMS, beam_curve(REACTION, PARAMS), np.array([-5.0])) == pytest.approx(160.0, rel=1e-9)


def test_a_gas_file_wins(tmp_path):
    (tmp_path / "gas.json").write_text('{"compound": [[1, 2, 2]], "pressure(Torr)": 1200.0}')
    rows, _ = exact_fits([500.0], [2.0], [0.0])
    thin = reconstruct_reaction(fits_of(rows), PARAMS)["kinematics"]["beam_ke"]
    thick = reconstruct_reaction(fits_of(rows), PARAMS, gas=gas_asset({"gas": tmp_path / "gas.json"}))["kinematics"]["beam_ke"]
    assert 160.0 - thick[0] == pytest.approx(2 * (160.0 - thin[0]), rel=0.1)


def test_the_error_of_the_excitation_energy_is_that_of_a_sample():
    rows, _ = exact_fits([400.0], [1.8], [0.8707])
    sigma = {"vertex_z": 4.0, "brho": 4e-4, "polar": 2e-3}
    root = np.diag(list(sigma.values())) @ np.linalg.cholesky(np.array([[1.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 1.0]]))
    covariance = root @ root.T
    drawn = np.random.default_rng(3).standard_normal((20000, 3)) @ root.T
    measured = {name: rows[name] + drawn[:, i] for i, name in enumerate(sigma)}
    measured["ke"] = REACTION.ejectile.ke_mev(measured["brho"])
    spread = reconstruct_reaction(fits_of(measured), PARAMS)["kinematics"]["ex"].std()
    errors = {"sigma_vz": [4.0], "sigma_brho": [4e-4], "sigma_polar": [2e-3]}
    errors |= {"cov_vz_brho": [covariance[0, 1]], "cov_vz_polar": [covariance[0, 2]], "cov_brho_polar": [covariance[1, 2]]}
    found = reconstruct_reaction(fits_of(rows | errors), PARAMS)["kinematics"]["sigma_ex"]
    assert found[0] == pytest.approx(spread, rel=0.03)


def test_rows_without_a_reaction_say_why():
    rows, _ = exact_fits([300.0, 300.0, 3e5, 300.0], [2.0] * 4, [0.0] * 4)
    rows["Z"], rows["A"], rows["status"] = [1, 2, 1, 1], [1, 4, 1, 1], [2, 0, 0, 0]
    rows["polar"], rows["ke"], rows["brho"] = np.full(4, rows["polar"][0]), np.full(4, rows["ke"][0]), np.full(4, rows["brho"][0])
    rows["ke"][3] = 1e5
    found = reconstruct_reaction(fits_of(rows), PARAMS)["kinematics"]
    assert found["status"].tolist() == [2, OTHER_PARTICLE, NO_BEAM, NO_RESIDUE]
    assert np.isnan(found["ex"]).tolist() == [False, True, True, True]
    assert np.isnan(found["theta_cm"]).tolist() == [False, True, True, True]


def test_rows_stay_with_their_events_in_any_batch():
    rows, _ = exact_fits([200.0, 300.0, 400.0], [1.0, 1.5, 2.0], [0.0, 0.0, 0.8707])
    rows["event"] = [7, 7, 9]
    fits = fits_of(rows, events=[2, 0, 1])
    whole = reconstruct_reaction(fits, PARAMS)
    assert whole.offsets["kinematics"].tolist() == [0, 2, 2, 3]
    pieces = [reconstruct_reaction(fits.part(i, i + 1), PARAMS) for i in range(3)]
    joined = type(whole).concatenate(pieces)
    for name, values in whole["kinematics"].items():
        assert joined["kinematics"][name].tobytes() == values.tobytes()


def test_a_beam_that_stops_in_the_window_is_refused():
    params = PARAMS.model_copy(update={"beam_energy_mev": 5.0, "window_thickness_ug_per_cm2": 5000.0})
    with pytest.raises(ConfigError, match="a beam of 16O with 5 MeV stops in the window of 5000 µg/cm² C10H8O4"):
        reconstruct_reaction(fits_of({"ke": [1.0]}), params)
