"""`export`: results of an experiment in the layout of a Spyral workspace."""

from __future__ import annotations

from pathlib import Path

import h5py
import pyarrow.parquet as pq

FILES = [
    "Cluster/run_0001.h5",
    "Estimation/run_0001.parquet",
    "Pointcloud/run_0001.h5",
    "Pointcloud/run_0001_gated_ic_scaler.txt",
]


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_run_becomes_the_files_of_a_workspace(penstock, processed) -> None:
    result = penstock("export", "--runs", 1, "--layout", "spyral", "--out", "ws", "--json", folder=processed)
    assert result.code == 0
    (found,) = result.json["runs"]
    assert (found["run"], sorted(found["files"]), result.json["missing"]) == (1, [f"ws/{name}" for name in FILES], [])
    assert files_below(processed / "ws") == FILES


def test_what_is_exported_is_what_the_store_holds(penstock, processed) -> None:
    penstock("export", "--runs", 1, "--layout", "spyral", "--out", "ws", folder=processed)
    counts = {a["stage"]: a for a in penstock("store", "ls", "--json", folder=processed).json if a["subject"] == "run-0001"}
    shown = penstock("store", "show", counts["tpc.points"]["key"], folder=processed).json
    with h5py.File(processed / "ws/Pointcloud/run_0001.h5") as file:
        assert sum(len(cloud) for cloud in file["cloud"].values()) == shown["counts"]["rows"]["points"]
    rows = penstock("store", "show", counts["tpc.estimates"]["key"], folder=processed).json["counts"]["rows"]["estimates"]
    assert pq.read_table(processed / "ws/Estimation/run_0001.parquet").num_rows == rows
    text = (processed / "ws/Pointcloud/run_0001_gated_ic_scaler.txt").read_text()
    assert text == "IC counts with multiplicity <= 1\n0"


def test_a_second_export_is_refused_unless_it_is_forced_and_gives_the_same_bytes(penstock, processed) -> None:
    command = ("export", "--runs", 1, "--layout", "spyral", "--out", "ws")
    penstock(*command, folder=processed)
    first = {name: (processed / "ws" / name).read_bytes() for name in FILES}
    refused = penstock(*command, folder=processed)
    assert refused.code == 2
    assert "run 1: ws/Pointcloud/run_0001.h5 is there already. Export into another folder, or replace it with --force." in refused.err
    assert penstock(*command, "--force", folder=processed).code == 0
    assert {name: (processed / "ws" / name).read_bytes() for name in FILES} == first


def test_a_run_without_current_results_is_named_and_nothing_is_computed(penstock, fresh) -> None:
    result = penstock("export", "--runs", 1, "--layout", "spyral", "--out", "ws", folder=fresh)
    assert result.code == 1
    assert "left out: run 1, tpc.points is missing (not registered). Compute it with: penstock run --runs 1" in result.err
    assert result.out == "0 files written to ws\n"


def test_the_layout_must_be_named(penstock, processed) -> None:
    result = penstock("export", "--layout", "other", "--out", "ws", folder=processed)
    assert result.code == 2
    assert "'other' is not 'spyral'" in result.err
