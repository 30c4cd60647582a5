"""Simulated runs, an experiment that is processed once, and the command line as a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

EVENTS = 6
EXPERIMENT = """[experiment]
name = "trial"
instrument = "attpc"
raw = "{raw}"

[resources]
executor = "inline"
"""


@dataclass(frozen=True)
class Result:
    """What a process left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, all of which is JSON."""
        return json.loads(self.out)


Penstock = Callable[..., Result]


@pytest.fixture(scope="session")
def penstock() -> Penstock:
    """Call the command line: ``penstock("plan", "--json", folder=...)``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {"PYTHONWARNINGS": "ignore"}

    def call(*args: object, folder: Path) -> Result:
        command = [sys.executable, "-m", "penstock.cli", *map(str, args)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=200, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 to 3."""
    folder = tmp_path_factory.mktemp("raw")
    for run in (1, 2, 3):
        write_run(folder, TpcSimulation(seed=5, downscale_probability=0.0), run, EVENTS, compression="gzip")
    return folder


@pytest.fixture(scope="session")
def _processed(tmp_path_factory: pytest.TempPathFactory, raw: Path, penstock: Penstock) -> Path:
    folder = tmp_path_factory.mktemp("processed")
    (folder / "experiment.toml").write_text(EXPERIMENT.format(raw=raw))
    assert penstock("run", folder=folder).code == 0
    return folder


@pytest.fixture
def processed(tmp_path: Path, _processed: Path) -> Path:
    """The folder of an experiment whose three runs are current; a copy of its own for every test."""
    return Path(shutil.copytree(_processed, tmp_path / "processed"))


@pytest.fixture
def fresh(tmp_path: Path, raw: Path) -> Path:
    """The folder of an experiment that was never run."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    (folder / "experiment.toml").write_text(EXPERIMENT.format(raw=raw))
    return folder


@pytest.fixture
def own_raw(tmp_path: Path, raw: Path) -> Path:
    """The folder of an experiment with raw files of its own, which a test may spoil: run 1, good."""
    folder = tmp_path / "own"
    (folder / "raw").mkdir(parents=True)
    shutil.copy(raw / "run_0001.h5", folder / "raw")
    (folder / "experiment.toml").write_text(EXPERIMENT.format(raw="raw"))
    return folder
