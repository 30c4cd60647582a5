"""Importing penstock, and planning, stay light."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("prefect", "numba", "rerun", "distributed", "dask", "matplotlib", "h5py", "scipy", "pyarrow", "numpy")
WATCHED = f"""
import sys
try:
    {{body}}
except SystemExit:
    pass
print(",".join(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)
"""


def _imported(body: str, folder: object) -> str:
    done = subprocess.run([sys.executable, "-c", WATCHED.format(body=body)], cwd=folder, capture_output=True, text=True, check=True)
    return done.stderr.strip()


def test_importing_penstock_imports_nothing_heavy(tmp_path) -> None:
    assert _imported("import penstock", tmp_path) == ""


def test_importing_penstock_takes_less_than_a_third_of_a_second(tmp_path) -> None:
    code = "import time; began = time.perf_counter(); import penstock; print(time.perf_counter() - began)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(times) < 0.3


def test_planning_an_unregistered_experiment_imports_nothing_heavy(fresh) -> None:
    assert _imported("sys.argv = ['penstock', 'plan']; from penstock.cli import main; main()", fresh) == ""


def test_planning_a_processed_experiment_imports_nothing_heavy(processed) -> None:
    assert _imported("sys.argv = ['penstock', 'plan', '--json']; from penstock.cli import main; main()", processed) == ""


def test_help_imports_nothing_heavy(tmp_path) -> None:
    assert _imported("sys.argv = ['penstock', '--help']; from penstock.cli import main; main()", tmp_path) == ""
