"""`lost`: where the tracks of an event died, as text and as JSON."""

from __future__ import annotations


def test_lost_follows_an_event_through_all_stages(penstock, processed) -> None:
    result = penstock("lost", "1", "2", folder=processed)
    assert result.code == 0
    assert result.out.splitlines()[0] == "run 1, event 2"
    assert [line.split()[0] for line in result.out.splitlines()[1:5]] == ["traces", "tpc.points", "tpc.clusters", "tpc.estimates"]
    assert "  true track 0: p, " in result.out


def test_lost_takes_an_experiment_and_parameters(penstock, processed) -> None:
    setting = "tpc.estimates.min_total_trajectory_points=4000"
    result = penstock("lost", "experiment.toml", "1", "2", "--set", setting, "--json", folder=processed)
    assert result.code == 0
    assert {cluster["ended"] for cluster in result.json["clusters"]} == {"tpc.estimates"}
    assert [track["found"] for track in result.json["truth"]] == [False]


def test_lost_without_truth_tells_of_clusters_alone(penstock, own_raw) -> None:
    result = penstock("lost", "1", "2", "--json", folder=own_raw)
    assert result.code == 0
    assert result.json["truth"] is None
    assert result.json["clusters"]


def test_lost_says_how_it_wants_to_be_called(penstock, processed) -> None:
    result = penstock("lost", "one", folder=processed)
    assert result.code == 2
    assert "penstock lost wants [EXPERIMENT] RUN EVENT, such as 94 17; found 'one'." in result.err


def test_lost_of_an_event_that_is_not_there_names_the_range(penstock, processed) -> None:
    result = penstock("lost", "1", "77", folder=processed)
    assert result.code == 2
    assert "run 1: there is no event 77; the run has 6 events, numbers 0 to 5." in result.err
