"""What a command that only looks must not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("prefect", "numba", "rerun", "distributed", "matplotlib", "h5py", "pyarrow", "scipy", "cryptography")
PLAN = """
from pathlib import Path
from penstock.config import load_experiment
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request
from penstock.store import Store
with Store(Path("store")) as store:
    rows = Planner(load_experiment(Path("experiment.toml")), store, Request(RunRange("1-3"))).plan()
assert len(rows) == 9
"""


@pytest.mark.parametrize(
    "code", ["import penstock", "import penstock.config, penstock.execute, penstock.store", PLAN], ids=["import", "packages", "plan"]
)
def test_looking_imports_nothing_heavy(tmp_path: Path, code: str) -> None:
    (tmp_path / "experiment.toml").write_text('[experiment]\nname = "e"\ninstrument = "attpc"\nraw = "raw"\n')
    program = f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
