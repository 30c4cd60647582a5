from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tpc
from tpc_data import RunSet, read_truth

pytestmark = pytest.mark.slow

SMALL = tpc.Sets(
    timing=RunSet("timing", (1,), 6, seed=11, compression="none"),
    warmup=RunSet("warmup", (1,), 6, seed=11, compression="none"),
    singles=RunSet("singles", (1, 2), 3, seed=301),
    pairs=RunSet("pairs", (1,), 3, seed=21, particles=("p", "p")),
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch, (folder / "output.txt").open("w+") as stream:
        patch.setattr(tpc, "QUICK", SMALL)
        patch.setattr("sys.stdout", stream)
        tpc.main(["--quick", "--no-peer", "--data", str(folder), "--shared", str(SMALL.singles.provide(folder)), "--repetitions", "1"])
        stream.seek(0)
        return stream.read()


def test_the_last_line_is_json_with_a_figure_for_each_stage(output: str) -> None:
    rows = {row["name"]: row for row in json.loads(output.splitlines()[-1])}

    assert all(rows[f"{stage} cpu"]["ours"] > 0.0 for stage in ("tpc.points", "tpc.clusters", "tpc.estimates"))


def test_quality_stands_in_the_same_table_as_cost(output: str) -> None:
    names = [row["name"] for row in json.loads(output.splitlines()[-1])]

    assert "singles: found by exactly one row" in names
    assert "sample runs: median polar error" in names


def test_a_peer_that_was_not_measured_is_named(output: str) -> None:
    assert "Spyral was not measured (--no-peer)." in output


def test_the_machine_and_its_load_are_named(output: str) -> None:
    assert output.startswith("machine: ")
    assert ", load " in output.splitlines()[0]


def test_each_sample_run_has_a_line(output: str) -> None:
    lines = output.splitlines()

    assert [line.partition(":")[0] for line in lines if line.startswith("run ")] == ["run 1", "run 2"]


def test_runs_are_simulated_once(tmp_path: Path) -> None:
    runs = RunSet("again", (1,), 1, seed=1)
    path = runs.provide(tmp_path) / "run_0001.h5"
    before = path.stat().st_mtime_ns

    runs.provide(tmp_path)

    assert path.stat().st_mtime_ns == before


def test_truth_numbers_events_uniquely_and_leaves_out_one(tmp_path: Path) -> None:
    path = RunSet("truth", (2,), 3, seed=1).provide(tmp_path) / "run_0002.h5"

    found = read_truth(path, leave_out=2)

    assert np.unique(found["event"]).tolist() == [2_000_000, 2_000_001]
