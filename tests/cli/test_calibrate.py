"""`calibrate drift`: edges of simulated runs, the table that it writes, and what it says where nothing is seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penstock.cli.calibrate import calibrate
from penstock.config import Resolver, load_experiment
from penstock.core.errors import ConfigError
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

MICROMEGAS, WINDOW = 31.4, 471.8
EXPERIMENT = '[experiment]\nname = "trial"\ninstrument = "attpc"\nraw = "raw"\n\n[resources]\nexecutor = "inline"\n'
THROUGH = {
    "seed": 3,
    "particles": ("p", "p"),
    "ke_max_mev": 12.0,
    "polar_min_deg": 10.0,
    "polar_max_deg": 170.0,
    "vertex_z_min_mm": 0.0,
    "vertex_z_max_mm": 1000.0,
    "micromegas_time_bucket": MICROMEGAS,
    "downscale_probability": 0.0,
}


@pytest.fixture(scope="module")
def _calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 shows both edges, in run 2 the window lies beyond the trace; points are there."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "raw").mkdir()
    for run, window in ((1, WINDOW), (2, 560.0)):
        write_run(folder / "raw", TpcSimulation(**THROUGH, window_time_bucket=window), run, 60 // run)
    (folder / "experiment.toml").write_text(EXPERIMENT)
    assert drift(folder).exit_code == 0
    return folder


@pytest.fixture
def folder(tmp_path: Path, _calibrated: Path) -> Path:
    return Path(shutil.copytree(_calibrated, tmp_path / "here"))


def drift(folder: Path, *options: object) -> Result:
    arguments = ["drift", str(folder / "experiment.toml"), *map(str, options)]
    return CliRunner().invoke(calibrate, arguments, catch_exceptions=False, standalone_mode=False)


def test_drift_finds_the_edges_within_their_errors(folder: Path) -> None:
    one, two = json.loads(drift(folder, "--json").stdout)["runs"]

    for side, true in (("micromegas", MICROMEGAS), ("window", WINDOW)):
        assert one[side]["error"] < 0.3
        assert abs(one[side]["bucket"] - true) < 0.1 + 3 * one[side]["error"]
    assert (two["run"], two["window"]["bucket"]) == (2, None)
    assert two["window"]["reason"] == "points go on to the end of the trace, so the window lies beyond it"


def test_drift_says_what_it_found_and_what_not(folder: Path) -> None:
    lines = drift(folder, "--runs", "2").stdout.splitlines()

    assert lines[0].split() == ["run", "micromegas", "window"]
    assert lines[1].endswith("not seen")
    assert lines[2] == "run 2: window not seen: points go on to the end of the trace, so the window lies beyond it"


def test_the_written_table_sets_the_drift_of_the_runs(folder: Path) -> None:
    result = drift(folder, "--write", folder / "drift.csv")
    (folder / "experiment.toml").write_text(f'{EXPERIMENT}\n[tables]\nruns = ["drift.csv"]\n')
    experiment = load_experiment(folder)
    (one, origins), (two, _) = (Resolver(experiment).params(experiment.registry.stage("tpc.points"), run) for run in (1, 2))

    assert result.stdout.splitlines()[-1] == f'{folder}/drift.csv written. Use it with [tables] runs = ["drift.csv"] in experiment.toml'
    assert one.window_time_bucket == pytest.approx(WINDOW, abs=1.0)  # type: ignore[attr-defined]
    assert two.window_time_bucket == 560.0  # type: ignore[attr-defined]
    assert two.micromegas_time_bucket == pytest.approx(MICROMEGAS, abs=1.0)  # type: ignore[attr-defined]
    assert origins["window_time_bucket"] == "drift.csv, line 5 (detector)"


def test_a_table_that_is_there_is_not_replaced(folder: Path) -> None:
    (folder / "drift.csv").write_text("mine")

    with pytest.raises(ConfigError, match=r"drift\.csv is there already\. Remove it, or name another file\.$"):
        drift(folder, "--write", folder / "drift.csv")

    assert (folder / "drift.csv").read_text() == "mine"


def test_without_an_edge_no_table_is_written(folder: Path) -> None:
    result = drift(folder, "--events", "first:1", "--write", folder / "drift.csv")

    assert result.exit_code == 1
    assert f"no edge was seen, so {folder}/drift.csv was not written" in result.stdout
    assert not (folder / "drift.csv").exists()


def test_drift_draws_a_figure_of_each_run(folder: Path) -> None:
    result = drift(folder, "--figures", folder / "figures", "--json")

    figures = [Path(row["figure"]) for row in json.loads(result.stdout)["runs"]]
    assert [f.name for f in figures] == ["run_0001.drift.png", "run_0002.drift.png"]
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in figures)


def test_a_run_that_fails_is_named_and_the_others_go_on(folder: Path) -> None:
    (folder / "raw" / "run_0003.h5").write_bytes(b"no HDF5")

    result = drift(folder, "--runs", "2,3", "--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [row["run"] for row in found["runs"]] == [2]
    assert [row["run"] for row in found["failed"]] == [3]
    assert "run_0003.h5" in found["failed"][0]["error"]


def test_a_pipeline_without_points_is_refused(toy) -> None:
    with pytest.raises(ConfigError, match=r"experiment\.toml makes no points: no stage of it writes schema 'tpc\.points'\.$"):
        drift(toy.folder)
