"""Scripts: what is refused before anything is computed, and what is left behind."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import phases
import pytest

from penstock.compat.spyral.parameters import (
    DEFAULT_MAP,
    ClusterParameters,
    ContinuityJoinParameters,
    DetectorParameters,
    EstimateParameters,
    FribParameters,
    GetParameters,
    HdbscanParameters,
    PadParameters,
    SolverParameters,
)
from penstock.compat.spyral.phase import ClusterPhase, EstimationPhase, InterpSolverPhase, PhaseLike, PointcloudPhase
from penstock.compat.spyral.pipeline import Pipeline, generate_assets, start_pipeline
from penstock.compat.spyral.runs import collect_runs, create_run_stacks
from penstock.compat.spyral.schema import PhaseResult
from penstock.compat.spyral.translation import stage_name, write_experiment
from penstock.config import load_registry
from penstock.core.errors import ConfigError
from penstock.core.params import field_paths
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

DETECTOR = DetectorParameters(2.5, 45000.0, 900.0, 20.0, 12.0, 500.0, 6.25, Path("garfield.txt"), do_garfield_correction=False)
HDBSCAN = HdbscanParameters(4, 0.05, 11, 12.0)


def spyrals() -> list[PhaseLike]:
    clusters = ClusterParameters(60, HDBSCAN, None, None, ContinuityJoinParameters(0.3, 0.25), 0.6, 0.05)
    return [
        PointcloudPhase(
            GetParameters(21.0, 50.0, 20.0, 50.0, 41.0),
            FribParameters(100.0, 50.0, 20.0, 500.0, 100.0, 1100, 1),
            DETECTOR,
            PadParameters(DEFAULT_MAP, DEFAULT_MAP, DEFAULT_MAP),
        ),
        ClusterPhase(clusters, DETECTOR),
        EstimationPhase(EstimateParameters(31, 90.0), DETECTOR),
    ]


def mine() -> PhaseLike:
    return phases.Solver(phases.SolverParameters())


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    folder.mkdir()
    for run, size in ((94, 30), (95, 10), (96, 20)):
        (folder / f"run_{run:04d}.h5").write_bytes(b"x" * size)
    return folder


def test_parameters_of_the_phases_become_those_of_the_stages(tmp_path: Path, traces: Path) -> None:
    file = write_experiment(spyrals(), [True] * 3, traces, (94, 96), 3, tmp_path / "workspace/penstock")

    text = tomllib.loads(file.read_text())
    params = text["params"]["tpc"]
    assert text["experiment"] == {
        "name": "workspace",
        "instrument": "attpc",
        "raw": str(traces),
        "pipeline": ["tpc.points", "tpc.clusters", "tpc.estimates"],
    }
    assert text["resources"] == {"executor": "local", "workers": 3}
    assert (params["points"]["pads"]["peak_threshold_adc"], params["points"]["window_time_bucket"]) == (41.0, 500.0)
    assert (params["clusters"]["hdbscan"]["cluster_selection_epsilon_mm"], params["clusters"]["join"]) == (12.0, "continuity")
    assert (params["estimates"]["smoothing_factor"], params["estimates"]["magnetic_field_t"]) == (90.0, 2.5)
    known = {f"{s.name}.{path}" for s in load_registry().stages.values() for path in field_paths(s.params)}
    assert {f"tpc.points.{name}" for name, value in params["points"].items() if not isinstance(value, dict)} <= known


def test_the_solver_becomes_mesh_and_fits(tmp_path: Path, traces: Path) -> None:
    solver = SolverParameters(
        *(Path("gas.json"), Path("gate.json"), 900.0, 1350.0, 1000, 0.1, 70.0, 350, 2.0, 88.0, 166), True, True, False, "leastsq"
    )
    given = [*spyrals(), InterpSolverPhase(solver, DETECTOR)]

    file = write_experiment(given, [True] * 4, traces, (94, 96), 1, tmp_path / "workspace/penstock")

    text = tomllib.loads(file.read_text())
    assert text["experiment"]["pipeline"] == ["tpc.points", "tpc.clusters", "tpc.estimates", "tpc.mesh", "tpc.fits"]
    assert (text["params"]["tpc"]["mesh"]["ke_max_mev"], text["params"]["tpc"]["fits"]["fit_azimuthal"]) == (70.0, False)


def test_a_value_that_a_stage_does_not_allow_is_named_as_the_script_has_it(tmp_path: Path, traces: Path) -> None:
    phases_ = [*spyrals()[:2], EstimationPhase(EstimateParameters(2, 90.0), DETECTOR)]

    with pytest.raises(
        ConfigError, match=r"EstimateParameters\.min_total_trajectory_points: Input should be greater than or equal to 5, found 2"
    ):
        write_experiment(phases_, [True] * 3, traces, (94, 96), 1, tmp_path / "workspace/penstock")


@dataclass
class Odd:
    """Holds what cannot be written down."""

    thing: object


class Other(phases.Reader):
    """Takes anything."""

    def __init__(self, odd: Odd) -> None:
        super().__init__()


def test_an_argument_that_cannot_be_written_down_is_refused(tmp_path: Path, traces: Path) -> None:
    message = "phase 'Reader': an argument of type 'object' cannot be handed to workers. Give numbers, text, paths, lists of these, or a dataclass of these."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        write_experiment([*spyrals(), Other(Odd(object()))], [True] * 4, traces, (94, 96), 1, tmp_path / "penstock")


@pytest.mark.parametrize(("name", "stage"), [("MySolver", "phases.my_solver"), ("Fit 2H", "phases.fit_2_h"), ("d-p", "phases.d_p")])
def test_a_phase_gives_its_stage_its_name(name: str, stage: str) -> None:
    phase = mine()
    phase.name = name

    assert stage_name(phase) == stage


@pytest.mark.parametrize(
    ("given", "active", "message"),
    [
        (lambda: spyrals(), [True], "pipeline: 3 phases, but 1 flags that say which are active. Give one for each."),
        (
            lambda: [*spyrals(), mine(), mine()],
            [True] * 5,
            "pipeline: two phases have the name 'Solver'. Folders are named after it; give each its own.",
        ),
        (
            lambda: [spyrals()[0], spyrals()[2]],
            [True] * 2,
            "pipeline: EstimationPhase cannot stand behind PointcloudPhase: its incoming schema is not the outgoing schema of that phase.",
        ),
    ],
    ids=["flags", "names", "order"],
)
def test_a_pipeline_that_cannot_work_is_refused(given: object, active: list[bool], message: str, tmp_path: Path, traces: Path) -> None:
    pipeline = Pipeline(given(), active, tmp_path / "workspace", traces)  # type: ignore[operator]

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        start_pipeline(pipeline, 94, 96)


def test_a_range_without_any_file_is_refused(tmp_path: Path, traces: Path) -> None:
    pipeline = Pipeline(spyrals(), [True] * 3, tmp_path / "workspace", traces)
    message = f"runs 1 to 5: {traces} has no file of any, such as run_0001.h5."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        start_pipeline(pipeline, 1, 5)
    with pytest.raises(ConfigError, match="no run has a file there"):
        generate_assets(Pipeline(spyrals(), [True] * 3, tmp_path / "workspace", tmp_path))


def test_files_that_penstock_did_not_write_are_never_replaced(tmp_path: Path, traces: Path) -> None:
    theirs = tmp_path / "workspace/Cluster/run_0095.h5"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("of Spyral")

    with pytest.raises(ConfigError, match=r"run_0095\.h5 was not written by penstock, and would be replaced\."):
        start_pipeline(Pipeline(spyrals(), [True] * 3, tmp_path / "workspace", traces), 94, 96)
    assert theirs.read_text() == "of Spyral"


def test_without_an_active_phase_there_is_nothing_to_do(tmp_path: Path, traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start_pipeline(Pipeline(spyrals(), [False] * 3, tmp_path / "workspace", traces), 94, 96)

    assert capsys.readouterr().err == "no phase is active, so there is nothing to do\n"


def test_phases_of_spyral_say_where_their_files_lie_and_do_not_run_by_themselves(tmp_path: Path) -> None:
    result = Pipeline([*spyrals(), mine()], [True] * 4, tmp_path, tmp_path).result_of(94)

    assert result == PhaseResult({"solved": tmp_path / "Solver/run_0094.parquet", "cluster": tmp_path / "Cluster/run_0094.h5"}, True, 94)
    with pytest.raises(ConfigError, match="a stage of penstock does its work, it cannot be run by itself"):
        spyrals()[0].run(result, tmp_path, None, None)  # type: ignore[arg-type]


def test_runs_are_found_by_size_and_dealt_evenly(traces: Path) -> None:
    assert list(collect_runs(traces, 90, 99).items()) == [(94, 30), (96, 20), (95, 10)]
    assert create_run_stacks(traces, 90, 99, 2) == ([[94], [96, 95]], [50.0, 50.0])
    assert create_run_stacks(traces, 90, 99, 4, [94]) == ([[96], [95]], [pytest.approx(66.7, abs=0.1), pytest.approx(33.3, abs=0.1)])
    assert create_run_stacks(traces, 1, 2, 3) == ([], [])


SCRIPT = """
from pathlib import Path
from phases import Solver, SolverParameters
from test_launch import spyrals
from penstock.compat.spyral.pipeline import Pipeline, generate_assets, start_pipeline


class Picky(Solver):
    def run(self, payload, workspace_path, msg_queue, rng):
        if payload.run_number == 2:
            raise ArithmeticError("run 2 is odd")
        return super().run(payload, workspace_path, msg_queue, rng)


if __name__ == "__main__":
    phases = [*spyrals(), Picky(SolverParameters(factor=4.0))]
    pipeline = Pipeline(phases, {active}, Path("workspace"), Path("traces"))
    {call}
"""


def run_script(folder: Path, active: Sequence[bool], call: str = "start_pipeline(pipeline, 1, 9)") -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT.format(active=list(active), call=call))
    path = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); sys.argv = ['m', 'script.py']"
    code = f"{path}; from penstock.compat.spyral.__main__ import main; main()"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A script with a phase of its own that cannot do the second of two runs."""
    folder = tmp_path_factory.mktemp("picky")
    (folder / "traces").mkdir()
    for run in (1, 2):
        write_run(folder / "traces", TpcSimulation(seed=run, downscale_probability=0.0), run, 3)
    return folder, run_script(folder, [True] * 4)


def test_a_run_that_fails_stops_no_other_and_the_exit_code_says_so(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, process = done
    found = {p.relative_to(folder / "workspace").as_posix() for p in (folder / "workspace").glob("*/run_*.[hp]*")}

    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "error: run 2, stage 'phases.solver', events 0:1: ArithmeticError: run 2 is odd"
    assert found == {
        f"{phase}/run_000{run}.{suffix}"
        for run in (1, 2)
        for phase, suffix in (("Pointcloud", "h5"), ("Cluster", "h5"), ("Estimation", "parquet"))
    } | {"Solver/run_0001.parquet"}


def test_a_class_of_the_script_itself_is_a_stage(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    (declared,) = (folder / "workspace/penstock").glob("spyral_phases_*.py")

    assert (
        "phase_stages('phases.solver', script.Picky, phases.SolverParameters(factor=4.0, asset='weights.npy'), after='tpc.estimates')"
        in declared.read_text()
    )


def test_inactive_phases_are_taken_from_the_store(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done

    process = run_script(folder, [False, False, True, False])

    assert process.returncode == 0, process.stderr
    assert "0 computed, 6 current, 0 failed" in process.stdout


def test_assets_can_be_made_before_any_run(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    write_run(tmp_path / "traces", TpcSimulation(seed=1), 1, 1)

    process = run_script(tmp_path, [True] * 4, "generate_assets(pipeline)")

    found = [p.relative_to(tmp_path / "workspace").as_posix() for p in (tmp_path / "workspace").glob("[A-Z]*/*")]
    assert process.returncode == 0, process.stderr
    assert found == ["Solver_assets/weights.npy"]


@pytest.mark.slow
def test_workers_do_the_same(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    other = folder.with_name(f"{folder.name}-workers")
    other.mkdir()
    (other / "traces").symlink_to(folder / "traces")

    process = run_script(other, [True] * 4, "start_pipeline(pipeline, 1, 9, 2)")

    assert process.returncode == 1, process.stderr
    for name in ("Pointcloud/run_0001.h5", "Solver/run_0001.parquet"):
        assert (other / "workspace" / name).read_bytes() == (folder / "workspace" / name).read_bytes()
