"""An experiment in a notebook: plan, run, tables, events, figures."""

from __future__ import annotations

import numpy as np
import pytest

import penstock
from penstock.core.errors import ArtifactMissing, ConfigError
from penstock.core.plan import State
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import TpcSimulation

EVENTS = 5
EXPERIMENT = """[experiment]
name = "trial"
instrument = "attpc"
raw = "raw"

[resources]
executor = "inline"
"""


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    """An experiment whose runs 1 and 2 are current, and whose run 3 was never computed."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "raw").mkdir()
    for run in (1, 2, 3):
        write_run(folder / "raw", TpcSimulation(seed=3, downscale_probability=0.0), run, EVENTS, compression="gzip")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    opened = penstock.open(folder)
    opened.run("1-2", progress=False)
    return opened


def test_it_says_what_it_is(exp) -> None:
    assert repr(exp) == "<experiment trial: attpc, 3 runs, preset default>"


def test_a_run_reports_each_step(exp) -> None:
    report = exp.run(1, progress=False)
    assert report.ok
    assert [(r.run, r.stage, r.state) for r in report.results] == [
        (1, s, State.CURRENT) for s in ("tpc.points", "tpc.clusters", "tpc.estimates")
    ]


def test_a_run_shows_bars(exp, capsys) -> None:
    exp.run(1, stages="tpc.clusters", params={"tpc.clusters.min_cloud_size": 45})
    assert "run 1  tpc.clusters  computed  5 -> 5 events" in capsys.readouterr().err


def test_parameters_are_dotted_names_or_nested_mappings(exp) -> None:
    dotted = exp.plan(1, params={"tpc.clusters.hdbscan.min_points": 5})
    mapped = exp.plan(1, params={"tpc": {"clusters": {"hdbscan": {"min_points": 5}}}})
    assert [r.key for r in dotted] == [r.key for r in mapped]
    assert [r.state for r in dotted] == [State.CURRENT, State.STALE, State.STALE]


def test_a_parameter_that_is_not_known_is_told_as_one_of_the_call(exp) -> None:
    with pytest.raises(ConfigError, match=r"^params: parameter 'tpc\.clusters\.nope' is not known"):
        exp.plan(1, params={"tpc.clusters.nope": 5})


def test_a_table_joins_runs_and_names_them(exp) -> None:
    table = exp.table("tpc.estimates", runs="1-2")
    assert table.column_names[:3] == ["run", "event", "cluster_index"]
    assert set(table["run"].to_pylist()) == {1, 2}


def test_a_table_carries_units(exp) -> None:
    assert exp.table("tpc.estimates", runs=1).schema.field("brho").metadata == {b"units": "T·m".encode()}


def test_a_table_is_a_frame(exp) -> None:
    frame = exp.table("tpc.points", runs=1, table="events").to_pandas()
    assert frame.event.tolist() == list(range(EVENTS))


def test_rows_of_a_ragged_table_know_their_event(exp) -> None:
    points = exp.table("tpc.points", runs=1, table="points").to_pandas()
    counts = {event["event"]: len(event["points"]["x"]) for event in exp.events("tpc.points", run=1)}
    assert points.groupby("event").size().to_dict() == {e: n for e, n in counts.items() if n}


def test_rows_of_a_table_below_another_know_their_event(exp) -> None:
    points = exp.table("tpc.clusters", runs=1, table="points").to_pandas()
    counts = {event["event"]: len(event["points"]["x"]) for event in exp.events("tpc.clusters", run=1)}
    assert points.groupby("event").size().to_dict() == {e: n for e, n in counts.items() if n}


def test_events_come_in_order_with_their_tables(exp) -> None:
    events = list(exp.events("tpc.points", run=1))
    assert [e["event"] for e in events] == list(range(EVENTS))
    assert all(np.all(np.diff(e["points"]["z"]) >= 0) for e in events)


def test_points_of_clusters_know_their_cluster(exp) -> None:
    events = list(exp.events("tpc.clusters", run=1))
    assert any(len(e["clusters"]["label"]) for e in events)
    assert all(set(e["points"]["clusters"]) == set(range(len(e["clusters"]["label"]))) for e in events)


def test_estimates_are_near_to_the_truth(exp) -> None:
    import pandas as pd

    truth = pd.read_parquet(truth_path(exp.experiment.raw / "run_0001.h5"))
    both = exp.table("tpc.estimates", runs=1).to_pandas().merge(truth, on="event", suffixes=("", "_true"))
    assert len(both) >= EVENTS - 2
    assert abs(both.brho / both.brho_true - 1).median() < 0.1


def test_what_is_not_current_says_how_to_compute_it(exp) -> None:
    with pytest.raises(
        ArtifactMissing, match=r"run 3: tpc.points is missing \(not registered\). Compute it with: exp.run\('3', stages='tpc.points'\)"
    ):
        exp.table("tpc.points", runs=3)


def test_a_stage_that_is_not_there_is_answered_with_the_nearest(exp) -> None:
    with pytest.raises(ConfigError, match=r"stage 'tpc.point' is not in the pipeline .* Did you mean 'tpc.points'\?"):
        exp.table("tpc.point", runs=1)


def test_a_negative_run_is_refused(exp) -> None:
    with pytest.raises(ConfigError, match=r"run -1 is negative\."):
        exp.plan(-1)


def test_the_run_table_has_a_row_for_each_run(exp) -> None:
    assert len(exp.runs("1-2").as_json()) == 2


def test_a_figure_is_drawn(exp, tmp_path) -> None:
    path = exp.figure("tpc.estimates", 1, tmp_path / "estimates.png")
    assert path.read_bytes().startswith(b"\x89PNG")
