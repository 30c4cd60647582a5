"""The example package of `examples/extension`: its own tests pass, and penstock finds its stages where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "extension"
TUTORIAL = ROOT / "docs" / "tutorial" / "extend.md"


def run(*command: str | Path, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def test_its_own_tests_pass() -> None:
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", PACKAGE, path=PACKAGE / "src")

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of installed packages with the example in it, as an installer leaves it."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    (tmp_path / "mygroup_stages").symlink_to(PACKAGE / "src" / "mygroup_stages")
    described = tmp_path / f"mygroup_stages-{project['version']}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["penstock.stages"]
    lines = [f"{name} = {module}" for name, module in points.items()]
    (described / "entry_points.txt").write_text("\n".join(["[penstock.stages]", *lines]) + "\n")
    return tmp_path


def test_its_entry_point_makes_its_stages_known(installed: Path) -> None:
    penstock = Path(sys.executable).parent / "penstock"

    done = run(penstock, "stages", "ls", path=installed)

    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"mygroup.inside", "mygroup.one_track", "mygroup.energies"} <= set(names), done.stdout + done.stderr
    assert "broken plug-in" not in done.stdout


def test_its_experiment_is_one_that_can_be_planned(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "run_0001.h5").touch()
    (tmp_path / "experiment.toml").write_text((PACKAGE / "experiment.toml").read_text())
    penstock = Path(sys.executable).parent / "penstock"

    done = run(penstock, "plan", tmp_path / "experiment.toml", path=installed)

    stages = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("1 ")]
    assert stages == ["tpc.points", "mygroup.inside", "tpc.clusters", "tpc.estimates", "mygroup.energies"], done.stdout + done.stderr


@pytest.mark.parametrize(
    ("title", "file"),
    [
        *((f"mygroup_stages/{name}.py", f"{name}.py") for name in ("params", "schemas", "energies", "inside", "one_track")),
        ("our_stages.py", "stages.py"),
    ],
    ids=lambda value: value,
)
def test_the_tutorial_shows_the_files_as_they_are(title: str, file: str) -> None:
    shown = TUTORIAL.read_text().partition(f'```python title="{title}"\n')[2].partition("```\n")[0]

    assert shown == (PACKAGE / "src" / "mygroup_stages" / file).read_text()
