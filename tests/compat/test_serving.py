"""Which ``spyral`` an import finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGE_IMPORTS = """
from spyral import PhaseLike, PhaseResult, ResultSchema, ESTIMATE_SCHEMA
from spyral.core.run_stacks import form_run_string
from spyral import Pipeline, start_pipeline, PointcloudPhase, ClusterPhase, EstimationPhase
from spyral import PadParameters, GetParameters, FribParameters, DetectorParameters, ClusterParameters, EstimateParameters, DEFAULT_MAP
from spyral import InterpSolverPhase, SolverParameters, generate_assets, ArtifactSchema, calculate_window_time, ESTIMATION_SCHEMA
from spyral import TRACE_SCHEMA, POINTCLOUD_SCHEMA, CLUSTER_SCHEMA, INTERP_SOLVER_SCHEMA
from spyral import HdbscanParameters, TripclustParameters, OverlapJoinParameters, ContinuityJoinParameters
import spyral.core.phase, spyral.core.schema, spyral.core.pipeline
from spyral.core.config import GetParameters as Same
from spyral.core.status_message import StatusMessage
from spyral.core.spy_log import spyral_info
from spyral.phases import ClusterPhase as SamePhase
from spyral.phases.schema import CLUSTER_SCHEMA as SAME_SCHEMA
assert Same is GetParameters and SamePhase is ClusterPhase
print(form_run_string(94), StatusMessage("Mine", 1, 10, 94))
"""


def run(code: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path) if path else ""}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of installed packages with a spyral in it."""
    (tmp_path / "spyral").mkdir()
    (tmp_path / "spyral" / "__init__.py").write_text("REAL = True\n")
    return tmp_path


def test_names_that_phases_and_scripts_import_are_found_after_install() -> None:
    done = run(f"from penstock.compat.spyral import install\nassert install()\nassert install()\n{PAGE_IMPORTS}")

    assert done.stdout == "run_0094 Run 94 | Task: Mine |\n", done.stderr


def test_nothing_is_called_spyral_without_install() -> None:
    done = run("import penstock.compat.spyral\nimport spyral")

    assert "ModuleNotFoundError: No module named 'spyral'" in done.stderr


def test_an_installed_spyral_is_left_alone(installed: Path) -> None:
    done = run("from penstock.compat.spyral import install\nprint(install())\nimport spyral\nprint(spyral.REAL)", path=installed)

    assert done.stdout == "False\nTrue\n", done.stderr


def test_it_is_replaced_where_that_is_asked_for(installed: Path) -> None:
    code = "from penstock.compat.spyral import install\nprint(install(instead=True))\nimport spyral\nprint(hasattr(spyral, 'PhaseLike'))"

    assert run(code, path=installed).stdout == "True\nTrue\n"


def test_it_is_not_replaced_once_it_is_imported(installed: Path) -> None:
    done = run("import spyral\nfrom penstock.compat.spyral import install\nprint(install())\ninstall(instead=True)", path=installed)

    assert done.stdout == "False\n"
    assert f"spyral has been imported from {installed}/spyral/__init__.py already." in done.stderr
    assert "Call penstock.compat.spyral.install(instead=True) before any import of it." in done.stderr


def test_a_name_that_is_not_served_says_so() -> None:
    done = run("from penstock.compat.spyral import install\ninstall()\nfrom spyral import TraceReader")

    assert (
        "ImportError: spyral.TraceReader: not served by penstock.compat.spyral. Install attpc_spyral, if you need its own code."
        in done.stderr
    )


def test_child_processes_find_the_same(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import multiprocessing\nfrom spyral import DEFAULT_MAP\n\ndef work(queue):\n    queue.put(str(DEFAULT_MAP))\n\n"
        "if __name__ == '__main__':\n    context = multiprocessing.get_context('spawn')\n    queue = context.SimpleQueue()\n"
        "    child = context.Process(target=work, args=(queue,))\n    child.start()\n    print(queue.get())\n    child.join()\n"
    )
    command = [sys.executable, "-m", "penstock.compat.spyral", "script.py"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "DefaultPath\n", done.stderr


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "penstock.compat.spyral", str(tmp_path / "absent.py")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m penstock.compat.spyral SCRIPT.py")
