"""A phase as a worker runs it: set-up, run, and what is kept of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import phases
import pyarrow.parquet as pq
import pytest

from penstock.compat.spyral import PhaseFailed, PhaseWarning, phase_stages
from penstock.core.stage import Stage
from penstock.tpc.schemas import Estimates

Compute = Callable[..., Path]
PARAMETERS = phases.SolverParameters()


def solver(fault: str = "") -> tuple[Stage, Stage]:
    setup, run = phase_stages("mine.solver", phases.Solver, PARAMETERS, fault)
    return setup, run


def solved(compute: Compute, fault: str = "", **changes: int) -> Path:
    setup, run = solver(fault)
    return compute(run, inputs={"setup": compute(setup)}, **changes)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_set_up_keeps_assets_and_members(compute: Compute) -> None:
    folder = compute(solver()[0])

    assert files(folder) == ["Solver_assets/weights.npy", "setup.json"]
    assert json.loads((folder / "setup.json").read_text()) == {
        "arguments": {"params": {"factor": 2.0, "asset": "weights.npy"}, "fault": ""},
        "members": {"asset": {"$workspace": "Solver_assets/weights.npy"}},
        "create_again": False,
    }


def test_the_set_up_makes_the_same_bytes_again(compute: Compute) -> None:
    one, other = compute(solver()[0]), compute(solver()[0])

    assert [(one / name).read_bytes() for name in files(one)] == [(other / name).read_bytes() for name in files(one)]


def test_a_run_reads_estimates_assets_and_shared_data(compute: Compute, estimates: Estimates) -> None:
    folder = solved(compute)

    table = pq.read_table(folder / "Solver/run_0094.parquet")
    assert table["event"].to_pylist() == [10, 12, 13]
    np.testing.assert_allclose(table["energy"], estimates["estimates"]["brho"] * 2.0 * 3)


def test_files_that_the_result_names_are_kept_and_inputs_are_not(compute: Compute) -> None:
    folder = solved(compute)

    assert files(folder) == ["Solver/log.txt", "Solver/run_0094.parquet", "result.json"]
    assert json.loads((folder / "result.json").read_text()) == {
        "artifacts": {"solved": "Solver/run_0094.parquet", "cluster": "Cluster/run_0094.h5"},
        "metadata": {"tracks": 3, "asset": {"$workspace": "Solver_assets/weights.npy"}},
    }


def test_random_numbers_depend_on_seed_and_run_alone(compute: Compute) -> None:
    def numbers(run: int = 94, seed: int = 0) -> list[float]:
        path = solved(compute, run=run, seed=seed) / f"Solver/run_{run:04d}.parquet"
        found: list[float] = pq.read_table(path)["random"].to_pylist()
        return found

    assert numbers() == numbers()
    assert len({tuple(numbers()), tuple(numbers(run=95)), tuple(numbers(seed=1))}) == 3


def test_members_that_json_does_not_hold_are_made_again_from_the_files(compute: Compute) -> None:
    folder = compute(solver("opaque member")[0])
    np.save(folder / "Solver_assets/weights.npy", np.array([5.0]))

    table = pq.read_table(compute(solver("opaque member")[1], inputs={"setup": folder}) / "Solver/run_0094.parquet")

    assert json.loads((folder / "setup.json").read_text())["create_again"] is True
    assert table["energy"][0].as_py() == pytest.approx(15.0)


def test_a_phase_behind_a_phase_gets_its_files_what_it_passed_on_and_its_metadata(compute: Compute) -> None:
    setup, run = solver()
    with pytest.warns(PhaseWarning):
        reader_setup, reader = phase_stages("mine.reader", phases.Reader, after=run)
    prepared = compute(setup)
    before = {"solver_setup": prepared, "solver_files": compute(run, inputs={"setup": prepared})}

    folder = compute(reader, inputs={"setup": compute(reader_setup), **before})

    assert (folder / "Reader/text.txt").read_text() == "run 94: 4 events, 3 rows, 3 tracks, Solver_assets/weights.npy [2.]"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("not successful", "phase 'Solver': its result is marked as not successful; look into its log lines."),
        (
            "no file",
            "phase 'Solver': its result names 'run_0094.parquet' as artifact 'solved', but there is no such file. Write it in run().",
        ),
        (
            "odd metadata",
            "phase 'Solver': metadata['handle']['of'] is of type 'builtin_function_or_method', which cannot be kept for later phases. Write it to a file, and name that.",
        ),
        ("no assets", "phase 'Solver': create_assets returned False; look into its log lines."),
    ],
)
def test_a_phase_that_does_not_do_what_it_should_fails_with_the_reason(compute: Compute, fault: str, message: str) -> None:
    with pytest.raises(PhaseFailed, match=f"^{re.escape(message)}$"):
        solved(compute, fault)


def test_a_phase_of_an_installed_spyral_runs_as_well(compute: Compute) -> None:
    setup, run = phase_stages("mine.foreign", phases.Foreign)

    folder = compute(run, inputs={"setup": compute(setup)})

    assert pq.read_table(folder / "Foreign/run_0094.parquet")["event"].to_pylist() == ["event_10", "event_11", "event_12", "event_13"]
