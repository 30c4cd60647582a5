from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from penstock.simulate.tpc_ions import IONS, Ion, StoppingTable, rigidity_tm, stopping_table
from penstock.simulate.tpc_transport import ENDS, follow_tracks

GAS = stopping_table("p", "H2", 300.0)
VACUUM = StoppingTable(GAS.ke_mev, np.zeros_like(GAS.mev_per_mm), 0.0)
FIELDS = (2.85, 45000.0)
ROOM = (1e6, 1e6)
C_MM_PER_S = 299_792_458e3


def start_at(z: float, polar: float, azimuthal: float, ke: float) -> NDArray[np.float64]:
    return np.array([0.0, 0.0, z, np.sin(polar) * np.cos(azimuthal), np.sin(polar) * np.sin(azimuthal), np.cos(polar), ke])


def fly(
    start: NDArray[np.float64],
    table: StoppingTable = GAS,
    fields: tuple[float, float] = FIELDS,
    bounds: tuple[float, float] = ROOM,
    steps: tuple[float, float] = (1.0, 6000.0),
    ion: Ion = IONS["p"],
) -> tuple[NDArray[np.float64], str]:
    points, counts, ends = follow_tracks(
        start[None], np.array([float(ion.charge)]), np.array([ion.mass_mev]), table.mev_per_mm[None], fields, bounds, steps
    )
    return points[0, : counts[0]], ENDS[ends[0]]


def reference_end(start: NDArray[np.float64], path_mm: float) -> NDArray[np.float64]:
    """Place after `path_mm`, by SciPy from the equation of motion in time: dp/dt = q (E + v × B) - S v/|v|."""
    mass = IONS["p"].mass_mev
    magnetic, electric = np.array([0, 0, -FIELDS[0]]), np.array([0, 0, -FIELDS[1]])

    def motion(_: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        momentum = state[3:6]
        size = np.linalg.norm(momentum)
        ke = np.sqrt(size**2 + mass**2) - mass
        beta = momentum / (ke + mass)
        loss = np.interp(np.log10(ke), np.log10(GAS.ke_mev), GAS.mev_per_mm)
        force = electric * 1e-9 + np.cross(beta * 299_792_458, magnetic) * 1e-9 - loss * momentum / size
        return np.concatenate([beta, force, [np.linalg.norm(beta)]])

    def arrival(_: float, state: NDArray[np.float64]) -> float:
        return float(state[6] - path_mm)

    arrival.terminal = True  # type: ignore[attr-defined]
    momentum = np.sqrt(start[6] * (start[6] + 2 * mass)) * start[3:6]
    first = np.concatenate([start[:3], momentum, [0.0]])
    flight = solve_ivp(motion, (0, 1e6), first, events=arrival, rtol=1e-9, atol=1e-9)
    return np.asarray(flight.y[:3, -1])


@settings(max_examples=15, deadline=None)
@given(polar=st.floats(0.3, 2.8), azimuthal=st.floats(0, 6.28), ke=st.floats(1.5, 8.0))
def test_tracks_agree_with_an_integration_in_time(polar: float, azimuthal: float, ke: float) -> None:
    start = start_at(5e5, polar, azimuthal, ke)

    points, _ = fly(start, steps=(1.0, 200.0))

    assert points[-1, :3] == pytest.approx(reference_end(start, points[-1, 4]), abs=0.02)


def test_positive_ions_turn_counter_clockwise() -> None:
    points, _ = fly(start_at(500.0, 1.2, 0.3, 3.0), steps=(1.0, 100.0))

    headings = np.unwrap(np.arctan2(np.diff(points[:, 1]), np.diff(points[:, 0])))
    assert np.all(np.diff(headings) > 0)


def test_radius_in_vacuum_is_the_rigidity_over_the_field() -> None:
    points, _ = fly(start_at(500.0, np.pi / 2, 0.0, 3.0), VACUUM, (2.85, 0.0), steps=(1.0, 1000.0))

    radius_mm = np.ptp(points[:, 1]) / 2
    assert radius_mm == pytest.approx(rigidity_tm(IONS["p"], 3.0) / 2.85 * 1000, rel=1e-4)


def test_alpha_particles_in_vacuum_keep_their_energy() -> None:
    points, _ = fly(start_at(500.0, 1.0, 0.0, 6.0), VACUUM, (2.85, 0.0), steps=(1.0, 500.0), ion=IONS["4He"])

    assert points[:, 3] == pytest.approx(6.0)


def test_electric_field_slows_ions_that_move_away_from_the_window() -> None:
    points, _ = fly(start_at(0.0, 0.0, 0.0, 3.0), VACUUM, (0.0, 45000.0), steps=(1.0, 1000.0))

    assert points[0, 3] - points[-1, 3] == pytest.approx(45000.0 * 1e-6, rel=1e-6)


def test_energy_loss_adds_up_to_the_range() -> None:
    fine = np.linspace(1e-3, 2.0, 200_001)
    loss = np.interp(np.log10(fine), np.log10(GAS.ke_mev), GAS.mev_per_mm)
    expected = np.trapezoid(1 / loss, fine)

    points, end = fly(start_at(0.0, 0.0, 0.0, 2.0), fields=(0.0, 0.0))

    assert end == "stopped"
    assert points[-1, 4] == pytest.approx(expected, rel=1e-3)


def test_step_length_hardly_moves_the_end() -> None:
    start = start_at(300.0, 1.0, 0.5, 2.5)

    coarse, fine = fly(start)[0], fly(start, steps=(0.1, 6000.0))[0]

    assert coarse[-1] == pytest.approx(fine[-1], abs=0.05)


@pytest.mark.parametrize(
    ("start", "bounds", "path", "end"),
    [
        (start_at(900.0, 0.2, 0.0, 6.0), (1000.0, 292.0), 6000.0, "zedge"),
        (start_at(50.0, 2.9, 0.0, 6.0), (1000.0, 292.0), 6000.0, "zedge"),
        (start_at(500.0, 1.5, 0.0, 20.0), (1000.0, 292.0), 6000.0, "redge"),
        (start_at(500.0, 1.5, 0.0, 1.0), (1000.0, 292.0), 6000.0, "stopped"),
        (start_at(500.0, 1.5, 0.0, 3.0), (1000.0, 292.0), 100.0, "maxpath"),
    ],
    ids=["micromegas", "window", "wall", "at rest", "longest path"],
)
def test_tracks_end_for_the_right_reason(start: NDArray[np.float64], bounds: tuple[float, float], path: float, end: str) -> None:
    assert fly(start, bounds=bounds, steps=(1.0, path))[1] == end


def test_a_track_is_the_same_alone_and_in_company() -> None:
    starts = np.stack([start_at(300.0, 0.5 + 0.1 * i, i, 2.0 + i) for i in range(4)])
    charge, mass, loss = np.ones(4), np.full(4, IONS["p"].mass_mev), np.tile(GAS.mev_per_mm, (4, 1))

    together = follow_tracks(starts, charge, mass, loss, FIELDS, (1000.0, 292.0), (1.0, 6000.0))
    alone = follow_tracks(starts[2:3], charge[:1], mass[:1], loss[:1], FIELDS, (1000.0, 292.0), (1.0, 6000.0))

    assert np.array_equal(together[0][2], alone[0][0])
