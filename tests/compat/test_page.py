"""The project of Spyral's page "Extending Spyral", cut out of the page, runs on penstock.

The page is not part of this repository; the tests look for it beside it. What the page itself gets wrong is put right
by the corrections below, each with its reason; nothing else is changed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.store import Store

SEEDS = Path(__file__).parents[2].parent / "shared" / "seeds"
Corrections = Sequence[tuple[str, str, str]]

CONFIG: Corrections = ()
SCHEMA: Corrections = [('"exetension"', '"extension"', "misspelt; Spyral's own ResultSchema refuses it")]
PHASE: Corrections = [
    ("ResultSchema(ESTIMATION_SCHEMA)", "ResultSchema(ESTIMATE_SCHEMA)", "the name that is imported, and that Spyral has"),
    (
        "from pathlib import Path\n",
        "from pathlib import Path\nimport numpy as np\nimport pyarrow.parquet as pq\n",
        "numpy is used and not imported",
    ),
    ('.h5"', '.parquet"', "the schema says .parquet"),
    ("payload.artifact_path", 'payload.artifacts["estimation"]', "there is no such member"),
    ("-> SomeType:", "-> str:", "stands for a type"),
    ("    return SomeType", "    return path.read_text()", "stands for a value"),
    ("    # do some stuff", '    path.write_text("asset")', "left out by the page"),
    (
        "        # Do a whole bunch of stuff!",
        """        estimates = pq.read_table(estimation_path).select(["polar", "center_x", "brho"]).rename_columns(["angle", "radius", "energy"])
        energy = np.asarray(estimates["energy"]) * self.params.a + self.params.b * len(asset)
        pq.write_table(estimates.set_column(2, "energy", [energy]), result.artifacts["my_solver"])""",
        "left out by the page",
    ),
]
SCRIPT: Corrections = [
    ('Path("/path/to/your/workspace/")', 'Path("workspace")', "stands for a path"),
    ('Path("/path/to/your/attpc/traces/")', 'Path("traces")', "stands for a path"),
    ("n_processes = 4", "n_processes = 1", "stands for a number of cores"),
    (
        "cluster_selection_epsilon=0.3",
        "cluster_selection_epsilon=10.0",
        "of a generation that scaled the points otherwise; it is refused, see below",
    ),
]
LISTINGS: dict[str, tuple[str, str, Corrections]] = {
    "my_phases/config.py": ("from dataclasses import dataclass\n", "Easy as that!", CONFIG),
    "my_phases/schema.py": ('MY_SOLVER_SCHEMA = """', "Still not anything too crazy", SCHEMA),
    "my_phases/my_solver_phase.py": ("from spyral import PhaseLike", "This is a bit more complicated", PHASE),
    "script.py": ("from spyral import (\n    Pipeline,", "And that's it!", SCRIPT),
}


def page() -> str:
    found = [p.read_text(encoding="utf-8") for p in sorted(SEEDS.glob("000_*.txt"))]
    if not found or "Extending Spyral" not in found[0]:
        pytest.skip(f"the page 'Extending Spyral' is not in {SEEDS.parent.name}/{SEEDS.name} beside the repository")
    return found[0]


def cut(text: str, begin: str, end: str) -> str:
    start = text.index(begin)
    return text[start : text.index(end, start)]


def write_project(folder: Path, *, without: str = "") -> Path:
    """The project of the page with its corrections, but for the one of `without`, and a run for it."""
    text = page()
    (folder / "my_phases").mkdir(parents=True)
    (folder / "my_phases" / "__init__.py").touch()
    for name, (begin, end, corrections) in LISTINGS.items():
        listing = cut(text, begin, end)
        for wrong, right, _ in corrections:
            assert wrong in listing, f"{name}: the page has no {wrong!r} any more"
            listing = listing if wrong == without else listing.replace(wrong, right)
        (folder / name).write_text(listing)
    (folder / "traces").mkdir()
    write_run(folder / "traces", TpcSimulation(seed=7, downscale_probability=0.0), 94, 6)
    return folder


def run_script(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.compat.spyral", "script.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the page, after its script has run."""
    folder = write_project(tmp_path_factory.mktemp("page") / "my_project")
    done = run_script(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_script_leaves_the_files_of_every_phase(project: Path) -> None:
    workspace = project / "workspace"
    found = {p.relative_to(workspace).as_posix() for p in workspace.rglob("*") if p.is_file() and "penstock" not in p.parts}

    assert found == {
        "Pointcloud/run_0094.h5",
        "Pointcloud/run_0094_gated_ic_scaler.txt",
        "Cluster/run_0094.h5",
        "Estimation/run_0094.parquet",
        "MySolver/run_0094.parquet",
        "MySolver_assets/some_stuff",
    }


def test_the_phase_has_read_estimates_asset_and_parameters(project: Path) -> None:
    estimates = pq.read_table(project / "workspace/Estimation/run_0094.parquet")
    solved = pq.read_table(project / "workspace/MySolver/run_0094.parquet")

    assert solved.num_rows >= 5
    assert solved["angle"].to_pylist() == estimates["polar"].to_pylist()
    assert solved["energy"].to_pylist() == pytest.approx([b + 2.0 * len("asset") for b in estimates["brho"].to_pylist()])


def test_parameters_of_the_script_are_those_of_the_stages(project: Path) -> None:
    experiment = tomllib.loads((project / "workspace/penstock/experiment.toml").read_text())
    stages, params = experiment["experiment"]["pipeline"], experiment["params"]["tpc"]

    assert stages == ["tpc.points", "tpc.clusters", "tpc.estimates", "phases.my_solver_setup", "phases.my_solver"]
    assert params["points"]["ion_chamber"]["delay_time_bucket"] == 1100
    assert params["points"]["window_time_bucket"] == 560.0
    assert params["clusters"]["hdbscan"]["min_size_scale_factor"] == 0.05
    assert params["clusters"]["join"] == "overlap"
    assert params["estimates"]["min_total_trajectory_points"] == 30


def test_the_second_time_nothing_is_computed(project: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (project / "workspace").glob("*/run_*")}

    done = run_script(project)

    assert "0 computed, 5 current, 0 failed" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_the_experiment_that_it_leaves_is_planned_like_any_other(project: Path) -> None:
    command = [Path(sys.executable).parent / "penstock", "plan", "workspace/penstock/experiment.toml", "--runs", "94", "--json"]
    command += ["--set", "phases.my_solver_setup.solver_params.c=other_stuff"]

    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=True)

    why = {row["stage"]: (row["state"], row["why"]) for row in json.loads(done.stdout)}
    assert why["tpc.estimates"][0] == "current"
    assert why["phases.my_solver_setup"] == ("stale", "solver_params.c: some_stuff -> other_stuff")
    assert why["phases.my_solver"] == ("stale", "phases.my_solver_setup: solver_params.c: some_stuff -> other_stuff")


def test_the_result_lies_in_the_store_as_the_phase_wrote_it(project: Path) -> None:
    with Store(project / "workspace/penstock/store", create=False) as store:
        key = next(key for name, key in store.refs() if name.endswith("phases.my_solver"))
        folder = store.data_folder(key)

    assert (folder / "MySolver/run_0094.parquet").read_bytes() == (project / "workspace/MySolver/run_0094.parquet").read_bytes()
    assert json.loads((folder / "result.json").read_text()) == {"artifacts": {"my_solver": "MySolver/run_0094.parquet"}, "metadata": {}}


def test_the_epsilon_of_the_page_is_refused_with_the_reason(tmp_path: Path) -> None:
    done = run_script(write_project(tmp_path, without="cluster_selection_epsilon=0.3"))

    assert done.returncode == 2
    assert "script.py: ClusterParameters.cluster_selection_epsilon" in done.stderr
    assert "0.3" in done.stderr
    assert "Write a distance in mm" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "workspace/Pointcloud").exists()


def test_a_misspelt_schema_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    done = run_script(write_project(tmp_path, without='"exetension"'))

    assert done.returncode == 2
    assert "schema of a phase: artifact 'my_solver' has no 'extension' (found: exetension, data)." in done.stderr
