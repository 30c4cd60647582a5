from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from toyfiles import run_file

from penstock.core.errors import BadRun, RunMissing
from penstock.formats.attpc import AttpcRun


def test_a_missing_file_is_a_missing_run(tmp_path: Path) -> None:
    path = tmp_path / "run_0001.h5"

    with pytest.raises(RunMissing) as caught:
        AttpcRun(path)

    assert (
        str(caught.value) == f"run file {str(path)!r} does not exist. Check the run number and the folder of raw data in experiment.toml."
    )


def test_an_empty_file_is_a_bad_run(tmp_path: Path) -> None:
    (path := tmp_path / "run_0001.h5").touch()

    with pytest.raises(BadRun) as caught:
        AttpcRun(path)

    assert str(caught.value) == f"run file {str(path)!r} is empty. Copy or merge the run again."


def test_a_truncated_file_is_a_bad_run(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])

    with pytest.raises(BadRun, match=r"is not a readable HDF5 file \(.*truncated file: eof = \d+.*\)\. Copy or merge the run again\."):
        AttpcRun(path)


def test_a_file_whose_structure_is_damaged_is_a_bad_run(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    with h5py.File(path) as file:
        address = h5py.h5g.get_objinfo(file["events"].id).objno[0]
    with path.open("r+b") as raw:
        raw.seek(address)
        raw.write(b"\xff" * 16)

    with pytest.raises(BadRun, match=r"is damaged: .*\. Copy or merge the run again\."):
        AttpcRun(path)


def test_another_kind_of_file_is_a_bad_run(tmp_path: Path) -> None:
    (path := tmp_path / "run_0001.h5").write_text("no data")

    with pytest.raises(BadRun, match="file signature not found"):
        AttpcRun(path)


def test_an_unknown_layout_is_a_bad_run(tmp_path: Path) -> None:
    path = tmp_path / "run_0001.h5"
    with h5py.File(path, "w") as file:
        file["spectra"], file["axes"] = 1, 2

    with pytest.raises(BadRun) as caught:
        AttpcRun(path)

    assert str(caught.value) == (
        f"run file {str(path)!r} has an unknown layout: its root holds axes, spectra, expected a group 'events' (merged files) or 'meta' "
        "(legacy files). Check that it is a run file of the AT-TPC."
    )


def test_an_unknown_version_is_a_bad_run(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file["events"].attrs["version"] = "libattpc_merger:3.0"

    with pytest.raises(BadRun) as caught:
        AttpcRun(path)

    assert str(caught.value) == (
        f"run file {str(path)!r} has the unknown version 'libattpc_merger:3.0', expected one of libattpc_merger:1.0, libattpc_merger:2.0, "
        "synchronizer:0.1.0, harmonizer:0.1.0. Did you mean 'libattpc_merger:2.0'? Merge the run again with a known version, or update penstock."
    )


def test_a_version_stored_as_bytes_is_known(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file["events"].attrs["version"] = np.bytes_(b"libattpc_merger:1.0")

    with AttpcRun(path) as run:
        assert run.layout == "libattpc_merger:1.0"


@pytest.mark.parametrize(
    "attribute, message",
    [
        ("version", "'/events' lacks the attribute 'version', expected one of libattpc_merger:1.0, "),
        ("max_event", "'/events' lacks the attribute 'max_event', which gives its event range."),
    ],
)
def test_a_missing_attribute_is_named(tmp_path: Path, attribute: str, message: str) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["events"].attrs[attribute]

    with pytest.raises(BadRun) as caught:
        AttpcRun(path)

    assert message in str(caught.value)


@pytest.mark.parametrize("last", [2, 2**62], ids=["descending", "endless"])
def test_a_senseless_range_of_events_is_a_bad_run(tmp_path: Path, last: int) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file["events"].attrs["max_event"] = np.uint64(last)

    with pytest.raises(BadRun) as caught:
        AttpcRun(path)

    assert str(caught.value) == (
        f"run file {str(path)!r} says that its events go from 3 to {last}; expected an ascending range of at most 100000000 events. "
        "Its metadata are damaged: merge the run again."
    )


@pytest.mark.parametrize("meta", [None, [1.0, 2.0]], ids=["no dataset", "too short"])
def test_a_legacy_file_without_its_range_is_a_bad_run(tmp_path: Path, meta: list[float] | None) -> None:
    path = run_file(tmp_path, "legacy")
    with h5py.File(path, "r+") as file:
        del file["meta/meta"]
        file["meta"].update({} if meta is None else {"meta": meta})

    with pytest.raises(BadRun, match="/meta/meta"):
        AttpcRun(path)
