"""`store export --layout merger-2.0`: merged traces come out as the run file that they were read from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

EXPERIMENT = """[experiment]
name = "merged"
instrument = "attpc"
raw = "raw"
pipeline = ["tpc.merge", "tpc.scalers"]

[resources]
executor = "inline"
"""
HARDWARE_AND_SAMPLES = 5 + 512


@pytest.fixture(scope="module")
def _merged(tmp_path_factory: pytest.TempPathFactory, penstock) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    command = ("simulate", "tpc", "--out", "raw", "--runs", 7, "--events", 5, "--seed", 2, "--layout", "merger-2.0")
    assert penstock(*command, "--set", "downscale_probability=0.5", folder=folder).code == 0
    assert penstock("run", folder=folder).code == 0
    return folder


@pytest.fixture
def merged(tmp_path: Path, _merged: Path) -> Path:
    """The folder of an experiment whose run 7 was merged; a copy of its own for every test."""
    return Path(shutil.copytree(_merged, tmp_path / "merged"))


def key_of(penstock, folder: Path, stage: str) -> str:
    (key,) = (a["key"] for a in penstock("store", "ls", "--json", folder=folder).json if a["stage"] == stage)
    return str(key)


def content(path: Path) -> dict[str, Any]:
    """Datasets and attributes of a file by name; rows of GET by CoBo, AsAd, AGET and channel."""
    found: dict[str, Any] = {}

    def take(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found[name] = as_bytes(item[()]) if isinstance(item, h5py.Dataset) else "group"
        found.update({f"{name}@{key}": (str(item.attrs.get_id(key).dtype), str(value)) for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        take("/", file)
        file.visititems(take)
    return found


def as_bytes(values: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    if values.shape[1:] == (HARDWARE_AND_SAMPLES,):
        values = values[np.lexsort(values[:, 3::-1].T)]
    return str(values.dtype), values.shape, values.tobytes()


def test_the_exported_file_holds_what_the_run_file_holds(penstock, merged) -> None:
    result = penstock("store", "export", key_of(penstock, merged, "tpc.merge")[:10], "--layout", "merger-2.0", "--out", "x", folder=merged)
    assert (result.code, result.out) == (0, "x/run_0007.h5\n")
    ours, theirs = content(merged / "x/run_0007.h5"), content(merged / "raw/run_0007.h5")
    assert sum(name.endswith("get/pads") for name in theirs) == 5
    assert sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)) == []


def test_a_second_export_has_the_same_bytes(penstock, merged) -> None:
    key = key_of(penstock, merged, "tpc.merge")
    for folder in ("one", "other"):
        penstock("store", "export", key, "--layout", "merger-2.0", "--out", folder, folder=merged)
    assert (merged / "one/run_0007.h5").read_bytes() == (merged / "other/run_0007.h5").read_bytes()


def test_what_holds_no_traces_is_refused(penstock, merged) -> None:
    key = key_of(penstock, merged, "tpc.scalers")
    result = penstock("store", "export", key, "--layout", "merger-2.0", "--out", "x", folder=merged)
    assert result.code == 2
    assert (
        f"artifact {key[:10]} has schema 'tpc.scalers/1'; layout merger-2.0 holds 'tpc.traces/2'. Export a result of tpc.merge."
        in result.err
    )
    assert not (merged / "x").exists()
