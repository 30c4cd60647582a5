"""What a phase becomes: stages, their slots and names; and what is said where it cannot."""

from __future__ import annotations

import re

import phases
import pytest

from penstock.compat.spyral import PhaseWarning, phase_stages
from penstock.compat.spyral.schema import CLUSTER_SCHEMA, ESTIMATE_SCHEMA, POINTCLOUD_SCHEMA, TRACE_SCHEMA
from penstock.config import fingerprint
from penstock.core.errors import ConfigError, PipelineError
from penstock.core.stage import Pipeline, Stage
from penstock.instruments.attpc import INSTRUMENT
from penstock.tpc.schemas import Clusters, Estimates, PointCloud
from penstock.tpc.stages import clusters, estimates, points

SOLVER = (phases.Solver, phases.SolverParameters())


def pair() -> tuple[Stage, Stage]:
    setup, run = phase_stages("mine.solver", *SOLVER)
    return setup, run


def test_a_phase_is_set_up_once_and_run_for_each_run() -> None:
    setup, run = pair()

    assert (setup.name, setup.subject, setup.reads) == ("mine.solver_setup", "none", {})
    assert (run.name, run.subject, run.unit) == ("mine.solver", "run", "run")
    assert run.reads == {"setup": setup.writes, "estimates": Estimates, "clusters": Clusters}


def test_its_slots_are_filled_in_a_pipeline() -> None:
    setup, run = pair()

    pipeline = Pipeline((points, clusters, estimates, setup, run), (INSTRUMENT.raw,))

    assert pipeline.bindings["mine.solver"] == {
        "setup": "mine.solver_setup",
        "estimates": "tpc.estimates",
        "clusters": "tpc.clusters",
    }
    with pytest.raises(PipelineError, match=r"slot 'setup' wants schema 'mine\.solver_setup/1'"):
        Pipeline((points, clusters, estimates, run), (INSTRUMENT.raw,))


def test_equal_schemas_have_one_name_and_others_another() -> None:
    same = phase_stages("other.solver", *SOLVER)[1].writes
    other = phase_stages("mine.plain", phases.Plain, ESTIMATE_SCHEMA, '{"solved": {"extension": ".h5", "data": {}}}')[1].writes

    assert pair()[1].writes.schema_id() == same.schema_id()
    assert same.schema_id() != other.schema_id()


@pytest.mark.parametrize(
    ("outgoing", "written"), [(POINTCLOUD_SCHEMA, PointCloud), (CLUSTER_SCHEMA, Clusters), (ESTIMATE_SCHEMA, Estimates)]
)
def test_a_phase_that_makes_what_stages_read_is_one_stage(outgoing: str, written: type) -> None:
    (stage,) = phase_stages("mine.plain", phases.Plain, POINTCLOUD_SCHEMA, outgoing)

    assert (stage.reads, stage.writes, stage.unit) == ({"points": PointCloud}, written, "block")


def test_a_phase_behind_such_a_one_reads_its_records() -> None:
    (thinned,) = phase_stages("mine.plain", phases.Plain, POINTCLOUD_SCHEMA, POINTCLOUD_SCHEMA)

    (stage,) = phase_stages("mine.next", phases.Plain, POINTCLOUD_SCHEMA, CLUSTER_SCHEMA, after=thinned)

    assert stage.reads == {"points": PointCloud}


def test_a_phase_without_schemas_is_accepted_with_warnings() -> None:
    with pytest.warns(PhaseWarning) as caught:
        _, run = phase_stages("mine.plain", phases.Plain, after="tpc.clusters")

    assert [str(w.message) for w in caught] == [
        "stage 'mine.plain': phase 'Plain' has no incoming schema, so nobody checks that it can read what comes before it. Give it a ResultSchema.",
        "stage 'mine.plain': phase 'Plain' has no outgoing schema, so nobody checks that it makes what later phases read. Give it a ResultSchema.",
    ]
    assert (list(run.reads), run.writes.name) == (["setup", "clusters"], "mine.plain.files")


def test_a_phase_behind_another_reads_all_that_was_handed_on() -> None:
    _, run = pair()

    _, behind = phase_stages("mine.plain", phases.Plain, phases.SOLVED_SCHEMA, '{"x": {"extension": ".txt", "data": {}}}', after=run)

    assert list(behind.reads) == ["setup", "solver_setup", "estimates", "clusters", "solver_files"]


def test_the_code_of_the_phase_is_in_the_fingerprint_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, run = pair()

    assert all("phases" in stage.modules for stage in (setup, run))
    assert fingerprint(setup) != fingerprint(run)


@pytest.mark.filterwarnings("ignore::penstock.compat.spyral.stages.PhaseWarning")
@pytest.mark.parametrize(
    ("arguments", "after", "message"),
    [
        (
            ("", POINTCLOUD_SCHEMA),
            None,
            "stage 'mine.plain': phase 'Plain' has no incoming schema. Say what comes before it: after='tpc.estimates', or a stage.",
        ),
        (
            (phases.SOLVED_SCHEMA, ""),
            None,
            "stage 'mine.plain': phase 'Plain' reads 'solved', which no stage of penstock makes. Name the stage that does: after=...",
        ),
        (
            (ESTIMATE_SCHEMA, ""),
            "tpc.clusters",
            "stage 'mine.plain': phase 'Plain' reads 'estimation', but 'tpc.clusters' before it makes clusters.",
        ),
        (
            (ESTIMATE_SCHEMA, ""),
            "mine.other",
            "stage 'mine.plain': after='mine.other' is none of tpc.points, tpc.clusters, tpc.estimates, tpc.fits. Give the stage itself, as phase_stages returned it.",
        ),
        (
            (TRACE_SCHEMA, POINTCLOUD_SCHEMA),
            None,
            "stage 'mine.plain': phase 'Plain' makes tpc.points/1 out of traces, which is not possible for a phase. "
            "Write it as a stage (docs/how-to/write-a-stage.md), or give its result a schema of its own.",
        ),
    ],
    ids=["nothing known", "unknown artifact", "too early", "unknown stage", "from traces"],
)
def test_a_phase_that_does_not_fit_is_refused(arguments: tuple[str, str], after: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        phase_stages("mine.plain", phases.Plain, *arguments, after=after)


def test_a_phase_whose_schema_is_not_that_of_the_one_before_is_refused() -> None:
    _, run = pair()
    other = '{"solved": {"extension": ".parquet", "data": {"event": "int"}}}'

    with pytest.raises(
        ConfigError, match=r"phase 'Plain' wants spyral\.solved\.\w{8}, but 'mine\.solver' before it makes spyral\.solved\.\w{8}"
    ):
        phase_stages("mine.plain", phases.Plain, other, '{"x": {"extension": ".txt", "data": {}}}', after=run)


@pytest.mark.filterwarnings("ignore::penstock.compat.spyral.stages.PhaseWarning")
def test_a_stage_that_no_phase_can_read_is_refused() -> None:
    odd = Stage("odd.stage", 1, "a:b", points.params, {}, INSTRUMENT.raw, "tpc")
    message = f"stage 'mine.plain': no phase can read {INSTRUMENT.raw.schema_id()!r}, which 'odd.stage' before it writes."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        phase_stages("mine.plain", phases.Plain, after=odd)
