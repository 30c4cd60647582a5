"""What became of each track of an event."""

from __future__ import annotations

import numpy as np
import pytest
from pyarrow import parquet

from penstock.core.errors import ConfigError, RunMissing
from penstock.simulate.tpc_runs import truth_path
from penstock.views.tpc_lost import EventFate, find_lost_tracks
from penstock.views.tpc_truth import judge_true_tracks

FIELD_T = 2.85


def fate_of(processed, event: int, run: int = 1, **overrides) -> EventFate:
    return find_lost_tracks(processed.experiment, processed.store, run, event, _flat(overrides))[0]


def _flat(overrides) -> dict[str, object]:
    return {name.replace("__", "."): value for name, value in overrides.items()}


def truth_of(processed, run: int = 1) -> dict[str, np.ndarray]:
    table = parquet.read_table(truth_path(processed.experiment.raw / f"run_{run:04d}.h5"))
    return {name: table[name].to_numpy() for name in table.column_names}


def test_clusters_with_a_row_are_not_lost_and_those_without_have_a_reason(processed) -> None:
    rows = processed.estimates.offsets["estimates"]
    for event in range(processed.points.n_events):
        fate = fate_of(processed, event)
        alive = [one.cluster for one in fate.clusters if not one.ended]
        assert alive == processed.estimates["estimates"]["cluster_index"][rows[event] : rows[event + 1]].tolist()
        assert all(one.why for one in fate.clusters if one.ended)


def test_the_steps_count_what_each_stage_gave(processed) -> None:
    points = np.diff(processed.points.offsets["points"])[2]

    fate = fate_of(processed, 2)

    assert [step.stage for step in fate.steps] == ["traces", "tpc.points", "tpc.clusters", "tpc.estimates"]
    assert fate.steps[1].found.startswith(f"{points:,} points on ")
    assert f"of {points:,} points" in fate.steps[2].found


def test_too_few_points_for_clusters_are_named_with_the_limit(processed) -> None:
    fate = fate_of(processed, 2, tpc__clusters__min_cloud_size=5000)

    assert fate.clusters == ()
    assert fate.steps[2].lost.endswith(" points, fewer than min_cloud_size (5000)")


def test_pads_without_a_point_are_told_apart(processed) -> None:
    usual, strict = (fate_of(processed, 2, tpc__points__max_pulses=most).steps[1].found for most in (5, 1))
    blind = fate_of(processed, 2, tpc__points__beam_pad_radius_mm=400.0).steps[1]

    assert "in the beam (beam_pad_radius_mm 20)" in usual
    assert "no pulse" in usual
    assert "more than 1 pulses (max_pulses)" in strict
    assert blind.lost == "no pad has a pulse"


def test_a_track_that_is_lost_at_the_estimates_is_named_with_the_limit(processed) -> None:
    fate = fate_of(processed, 2, tpc__estimates__min_total_trajectory_points=4000)

    assert {one.ended for one in fate.clusters} == {"tpc.estimates"}
    assert all("fewer than min_total_trajectory_points (4000)" in one.why for one in fate.clusters)


def test_an_excluded_event_says_at_which_stage_and_why(processed) -> None:
    fate = fate_of(processed, 0, run=3)

    assert ("tpc.points", "ion-chamber down-scale trigger") in [(step.stage, step.lost) for step in fate.steps]
    assert fate.clusters == ()


def test_true_tracks_are_found_or_have_a_reason(processed) -> None:
    truth = truth_of(processed)
    for event in range(processed.points.n_events):
        fate, chain = find_lost_tracks(processed.experiment, processed.store, 1, event)
        for one in judge_true_tracks(truth, fate, chain, FIELD_T):
            assert one.why
            assert one.found == (one.why.startswith("cluster "))
            assert not one.found or fate.clusters[one.cluster].ended == ""


def test_most_true_protons_are_found(processed) -> None:
    truth = truth_of(processed)
    found = []
    for event in range(processed.points.n_events):
        fate, chain = find_lost_tracks(processed.experiment, processed.store, 1, event)
        found += [one.found for one in judge_true_tracks(truth, fate, chain, FIELD_T) if one.particle == "p"]
    assert np.mean(found) >= 0.5


def test_the_points_of_a_true_track_are_found_in_its_cluster(processed) -> None:
    overrides = {"tpc.estimates.beam_region_radius_mm": 0.001}
    fate, chain = find_lost_tracks(processed.experiment, processed.store, 1, 2, overrides)

    proton = judge_true_tracks(truth_of(processed), fate, chain, FIELD_T)[0]

    assert not proton.found
    assert proton.cluster is not None
    assert proton.points > 30
    assert f"near to its path are in cluster {proton.cluster}, lost at tpc.estimates: its vertex lies " in proton.why


def test_a_true_track_of_an_excluded_event_is_lost_with_it(processed) -> None:
    fate, chain = find_lost_tracks(processed.experiment, processed.store, 3, 0)

    whys = {one.why for one in judge_true_tracks(truth_of(processed, 3), fate, chain, FIELD_T)}

    assert whys == {"tpc.points: ion-chamber down-scale trigger"}


def test_a_true_track_without_points_says_so(processed) -> None:
    fate, chain = find_lost_tracks(processed.experiment, processed.store, 1, 2)
    truth = truth_of(processed)
    truth["vertex_x"] = truth["vertex_x"] + 5000.0
    truth["brho"] = truth["brho"] * 3.0

    one = judge_true_tracks(truth, fate, chain, FIELD_T)[0]

    assert not one.found
    assert one.why == "no point lies within 20 mm of its path"


def test_an_event_that_is_not_there_is_refused_with_the_range(processed) -> None:
    with pytest.raises(ConfigError, match="run 1: there is no event 77; the run has 6 events, numbers 0 to 5"):
        fate_of(processed, 77)


def test_a_run_that_is_not_there_names_its_file(processed) -> None:
    with pytest.raises(RunMissing, match=r"run_0009\.h5"):
        fate_of(processed, 1, run=9)
