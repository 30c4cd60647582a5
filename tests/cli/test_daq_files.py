"""Files of the data acquisition, from `simulate` to points, against the merged file of the same events."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

MERGED = """[experiment]
name = "merged"
instrument = "attpc"
raw = "merged"
pipeline = ["tpc.points"]

[store]
path = "store-merged"

[resources]
executor = "inline"
"""
STAGES = "tpc.readout,tpc.points"


@pytest.fixture(scope="module")
def _processed_daq(tmp_path_factory: pytest.TempPathFactory, penstock) -> Path:
    folder = tmp_path_factory.mktemp("daq")
    for layout, out in (("graw", "daq"), ("merger-2.0", "merged")):
        assert penstock("simulate", "tpc", "--out", out, "--events", 4, "--seed", 6, "--layout", layout, folder=folder).code == 0
    assert penstock("init", "e1", "--instrument", "attpc-get", "--raw", "daq", folder=folder).code == 0
    toml = folder / "e1/experiment.toml"
    toml.write_text(toml.read_text().replace('"local"', '"inline"').replace("path/to/electronics", "../daq/electronics.csv"))
    (folder / "merged.toml").write_text(MERGED)
    return folder


@pytest.fixture
def daq(tmp_path: Path, _processed_daq: Path) -> Path:
    """A folder with the same events in both layouts and an experiment of each; nothing is computed."""
    return Path(shutil.copytree(_processed_daq, tmp_path / "daq"))


def read_points(folder: Path) -> dict[str, np.ndarray]:
    """Every dataset of the point clouds of the one run in a store."""
    (path,) = folder.glob("objects/*/*/*/points.h5")
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_points_from_frames_are_those_from_the_merged_file(penstock, daq) -> None:
    assert penstock("run", "e1/experiment.toml", "--stages", STAGES, folder=daq).code == 0
    assert penstock("run", "merged.toml", folder=daq).code == 0
    frames, merged = read_points(daq / "e1/store"), read_points(daq / "store-merged")
    assert frames.keys() == merged.keys()
    assert {name for name, values in merged.items() if not np.array_equal(values, frames[name])} == set()
    assert len(merged["points/x"]) > 100


def test_a_cut_file_is_counted_and_the_run_goes_on(penstock, daq) -> None:
    cut = sorted(daq.glob("daq/run_0001/mm3/*.graw"))[0]
    cut.write_bytes(cut.read_bytes()[:-100])
    assert penstock("run", "e1/experiment.toml", "--stages", STAGES, folder=daq).code == 0
    rows = penstock("runs", "e1/experiment.toml", "--json", folder=daq).json
    stages = {stage["stage"]: stage for stage in rows[0]["stages"]}
    assert (stages["tpc.readout"]["state"], stages["tpc.points"]["state"]) == ("current", "current")
    assert stages["tpc.readout"]["rows"]["incomplete"] == 1


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_map_of_the_electronics_that_is_not_named_is_told_before_anything_is_computed(penstock, daq, command: str) -> None:
    toml = daq / "e1/experiment.toml"
    toml.write_text(toml.read_text().replace("electronics =", "# electronics ="))
    result = penstock(command, "e1/experiment.toml", folder=daq)
    assert result.code == 2
    assert "[assets] electronics is not named. tpc.readout needs a CSV file with the columns cobo, asad, aget, channel" in result.err
    assert 'write electronics = "FILE" below [assets].' in result.err


def test_the_placeholder_that_init_writes_is_told_as_missing(penstock, daq) -> None:
    assert penstock("init", "e2", "--instrument", "attpc-get", "--raw", "daq", "--json", folder=daq).json["required"] == ["electronics"]
    result = penstock("plan", "e2/experiment.toml", folder=daq)
    assert result.code == 2
    assert "e2/path/to/electronics is not there. tpc.readout needs a CSV file" in result.err


def test_a_run_of_many_files_is_registered_in_one_line(penstock, daq) -> None:
    files = sum(path.suffix in (".graw", ".evt") for path in (daq / "daq").rglob("*"))
    result = penstock("run", "e1/experiment.toml", "--stages", "tpc.readout", folder=daq)
    told = [line for line in result.err.splitlines() if line.startswith("registered")]
    assert len(told) == 1
    assert told[0].startswith(f"registered run 1, {files} files (")


def test_a_board_without_a_file_is_counted(penstock, daq) -> None:
    silent = sorted(daq.glob("daq/run_0001/mm3/CoBo3_AsAd0*.graw"))
    assert silent
    for path in silent:
        path.unlink()
    assert penstock("run", "e1/experiment.toml", "--stages", "tpc.readout", folder=daq).code == 0
    rows = penstock("runs", "e1/experiment.toml", "--stages", "tpc.readout", folder=daq).out
    assert "0 incomplete / 1 silent" in rows
