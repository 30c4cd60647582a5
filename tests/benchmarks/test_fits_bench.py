from __future__ import annotations

import json
from pathlib import Path

import fits
import numpy as np
import pyarrow as pa
import pytest
import tpc_ours
from fits_ours import compare_excitations
from fits_spyral import SolverReport, read_fits
from h5py import File
from pyarrow import parquet
from tpc_data import FIT_TRUTH, RunSet, read_truth
from tpc_ours import CHAIN, StageCost
from tpc_spyral import SpyralReport

from penstock.simulate.score_fits import score_fits

pytestmark = pytest.mark.slow

SMALL = fits.Sets(
    timing=RunSet("timing", (1,), 3, seed=11, compression="none"),
    warmup=RunSet("timing", (1,), 3, seed=11, compression="none"),
    singles=RunSet("singles", (1, 2), 2, seed=301),
    singles_of_peer=RunSet("singles", (1,), 2, seed=301),
    pairs=RunSet("fitpairs", (1,), 2, seed=21, particles=("p", "p")),
    piled=RunSet("piled", (1,), 2, seed=501, changes=fits.PILED),
    scattered=RunSet("scattered", (1,), 2, seed=401, changes=fits.SCATTERED),
    reaction=RunSet("reaction", (1,), 2, seed=601, changes=fits.REACTION),
)
COARSE_MESH = "[params.tpc.mesh]\nke_min_mev = 1.0\nke_max_mev = 12.0\nke_bins = 12\npolar_bins = 45\n"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch, (folder / "output.txt").open("w+") as stream:
        patch.setattr(fits, "QUICK", SMALL)
        patch.setattr(tpc_ours, "_EXPERIMENT", f"{tpc_ours._EXPERIMENT}\n{COARSE_MESH}")
        patch.setattr("sys.stdout", stream)
        shared = SMALL.singles.provide(folder)
        fits.main(["--quick", "--no-peer", "--data", str(folder), "--shared", str(shared), "--repetitions", "1"])
        stream.seek(0)
        return stream.read()


def test_the_last_line_is_json_with_a_cost_for_each_stage_of_the_chain(output: str) -> None:
    rows = {row["name"]: row for row in json.loads(output.splitlines()[-1])}

    assert all(rows[f"{stage} cpu"]["ours"] > 0.0 for stage in CHAIN)


def test_every_set_has_its_figures(output: str) -> None:
    rows = {row["name"]: row for row in json.loads(output.splitlines()[-1])}

    assert {rows[f"{name}: fitted"]["ours"] for name in ("singles", "fitpairs", "scattered", "sample runs")} == {100.0}
    assert abs(rows["reaction: excitation energy, bias"]["ours"]) < 50.0
    assert "pile-up events rejected" in rows


def test_names_of_figures_are_unique(output: str) -> None:
    names = [row["name"] for row in json.loads(output.splitlines()[-1])]

    assert len(names) == len(set(names))


def test_a_peer_that_was_not_measured_is_named(output: str) -> None:
    assert "Spyral was not measured (--no-peer)." in output


def test_a_node_and_a_track_are_compared_with_the_peer() -> None:
    costs = {stage: StageCost((2.0,), (2.0,)) for stage in CHAIN}
    phases = SpyralReport(dict.fromkeys(CHAIN[:3], 50.0), {}, {}, {})

    rows = {row.name: row for row in fits.time_rows(costs, 100, 40, 1000, phases, SolverReport(35.0, 240.0, {}))}

    assert rows["tpc.points cpu"].ratio == pytest.approx(2.5)
    assert rows["tpc.mesh cpu"].ratio == pytest.approx(17.5)
    assert rows["tpc.fits cpu"].ratio == pytest.approx(4.8)


def test_excitation_energies_are_compared_event_by_event_where_the_fit_converged() -> None:
    truth = {"event": np.array([3, 1, 2]), "ex": np.array([0.0, 1.0, 2.0])}
    found = {"event": np.array([1, 2, 3, 3]), "ex": np.array([1.010, 2.020, 0.030, 9.0]), "status": np.array([0, 0, 0, 1])}

    score = compare_excitations(found, truth)

    assert score.fits == 3
    assert score.bias_kev.value == pytest.approx(20.0)


def test_fits_of_the_peer_come_in_mm_without_the_errors_that_it_lacks(tmp_path: Path) -> None:
    values = {name: [1e6, 0.5] for name in ("sigma_ke", "sigma_polar", "sigma_azimuthal", "sigma_vz")}
    table = {"event": [4, 7], "cluster_index": [0, 1], "vertex_z": [0.3, 0.4], **values}
    parquet.write_table(pa.table(table), tmp_path / "fits.parquet")
    with File(tmp_path / "clusters.h5", "w") as file:
        file["cluster/event_4/cluster_0/cloud"] = np.zeros((12, 5))
        file["cluster/event_7/cluster_1/cloud"] = np.zeros((30, 5))

    found = read_fits(tmp_path / "fits.parquet", tmp_path / "clusters.h5", run=2)

    assert found["event"].tolist() == [2_000_004, 2_000_007]
    assert found["points"].tolist() == [12, 30]
    assert found["vertex_z"].tolist() == [300.0, 400.0]
    assert np.isnan(found["sigma_ke"][0])
    assert found["sigma_vz"][1] == 500.0


def test_truth_of_a_simulated_run_has_what_the_scorer_wants(tmp_path: Path) -> None:
    truth = read_truth(RunSet("truth", (1,), 2, seed=1).provide(tmp_path) / "run_0001.h5", names=FIT_TRUTH)
    nothing = {name: np.zeros(0) for name in (*truth, "points", "status", "sigma_ke", "sigma_polar", "sigma_azimuthal", "sigma_vz")}

    assert score_fits(nothing, truth).fitted.value == 0.0
