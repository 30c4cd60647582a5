"""What our stages find, compared with what was simulated."""

from collections.abc import Mapping

import numpy as np
import pytest
from mygroup_stages.energies import find_energies
from mygroup_stages.inside import keep_inside
from mygroup_stages.one_track import take_all_points
from mygroup_stages.params import EnergyParams, InsideParams, OneTrackParams

from penstock.core.schema import Records
from penstock.tpc.schemas import Clusters, Estimates


def test_the_energy_of_a_proton_is_that_of_the_simulation(made: Mapping[str, Records], truth: Mapping[int, Mapping[str, float]]) -> None:
    found = find_energies(made["clusters"], made["estimates"], EnergyParams())["energies"]

    wanted = np.array([truth[event]["ke"] for event in found["event"]])
    assert len(wanted) >= 5
    assert np.median(np.abs(found["energy"] / wanted - 1)) < 0.03


def test_an_alpha_of_the_same_rigidity_has_another_energy(made: Mapping[str, Records]) -> None:
    proton = find_energies(made["clusters"], made["estimates"], EnergyParams())["energies"]["energy"]
    alpha = find_energies(made["clusters"], made["estimates"], EnergyParams(mass_mev=3727.379, charge=2))["energies"]["energy"]

    np.testing.assert_allclose(alpha / proton, 1.007, atol=5e-3)


def test_the_radius_is_that_of_the_points_of_the_cluster_that_the_estimate_names() -> None:
    angle = np.linspace(0, 3, 40)
    circles = [np.array([30 + r * np.cos(angle), r * np.sin(angle)]) for r in (50.0, 80.0)]
    x, y = np.concatenate(circles, axis=1)
    clusters = Clusters.empty(2)
    clusters = Clusters(
        n_events=2,
        columns={
            **clusters.columns,
            "clusters": {"label": np.zeros(2, "i4"), "direction": np.ones(2, "i4")},
            "points": {"x": x, "y": y, "z": np.zeros(80), "integral": np.ones(80), "scale": np.ones(80), "index": np.zeros(80)},
        },
        offsets={"clusters": np.array([0, 0, 2]), "points": np.array([0, 40, 80])},
    )
    rows = {c.name: np.ones(1) for c in Estimates.table("estimates").columns}
    rows |= {"event": np.array([1]), "cluster_index": np.array([1]), "center_x": np.array([30.0]), "center_y": np.array([0.0])}
    estimates = Estimates(n_events=2, columns={"events": {}, "estimates": rows}, offsets={"estimates": np.array([0, 0, 1])})

    found = find_energies(clusters, estimates, EnergyParams())

    assert found["energies"]["radius"] == pytest.approx([80.0])


def test_points_outside_of_the_detector_are_left_out_and_no_event_is(made: Mapping[str, Records]) -> None:
    params = InsideParams(z_min_mm=200.0, z_max_mm=600.0)

    kept = keep_inside(made["points"], params)

    z = made["points"]["points"]["z"]
    assert kept.n_events == made["points"].n_events
    np.testing.assert_array_equal(kept["points"]["z"], z[(z >= 200.0) & (z <= 600.0)])


def test_every_point_of_a_large_event_belongs_to_its_track(made: Mapping[str, Records]) -> None:
    tracks = take_all_points(made["points"], OneTrackParams(min_points=50))

    sizes = np.diff(made["points"].offsets["points"])
    np.testing.assert_array_equal(np.diff(tracks.offsets["points"]), sizes[sizes >= 50])
    np.testing.assert_array_equal(np.diff(tracks.offsets["clusters"]), sizes >= 50)
    first = int(np.flatnonzero(sizes >= 50)[0])
    np.testing.assert_array_equal(tracks["points"]["index"][: sizes[first]], np.arange(sizes[first]))


def test_a_forward_track_has_a_forward_direction(made: Mapping[str, Records], truth: Mapping[int, Mapping[str, float]]) -> None:
    tracks = take_all_points(made["points"], OneTrackParams())

    numbers = np.repeat(tracks["events"]["event"], np.diff(tracks.offsets["clusters"]))
    forward = np.array([truth[event]["polar"] < np.pi / 2 for event in numbers])
    assert forward.any()
    assert np.mean(tracks["clusters"]["direction"][forward] == 1) > 0.8
