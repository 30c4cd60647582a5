"""The fits and the kinematics of penstock on benchmark runs, scored against the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tpc_data import FIT_TRUTH, read_truth, unique_events
from tpc_ours import CHAIN, of_run, pooled, process

from penstock.notebook import OpenExperiment
from penstock.simulate.score_fits import FitScore, score_fits
from penstock.simulate.score_tpc import Figure
from penstock.simulate.tpc_ions import IONS, stopping_power
from penstock.simulate.tpc_settings import Gas
from penstock.tpc.nuclei import parse_nucleus
from penstock.tpc.stopping import write_stopping_csv

__all__ = [
    "FIT_COLUMNS",
    "PLAIN",
    "ReactionScore",
    "compare_excitations",
    "count_fits",
    "fit_and_score",
    "score_reaction",
    "stopping_of_simulation",
]

FIT_COLUMNS = (
    *("event", "ke", "sigma_ke", "brho", "polar", "sigma_polar", "azimuthal", "sigma_azimuthal", "vertex_z", "sigma_vz"),
    *("points", "status"),
)
"""What the scorer wants of fits."""

PLAIN = "[params.tpc.fits.errors]\nscattering = false\nstraggling = false\n"
"""For runs whose tracks neither scatter nor straggle, as the simulator makes them by default."""

MAD_TO_SIGMA = 1.4826

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ReactionScore:
    """How well the excitation energy of simulated reactions comes back, over all fits that converged."""

    fits: int
    bias_kev: Figure
    """Median of found less true."""
    width_kev: Figure
    """Robust standard deviation of it."""


def stopping_of_simulation(folder: Path, gas: Gas) -> str:
    """Lines for an experiment whose protons are stopped as those of the simulator; the table is written into the folder."""
    path = folder / f"proton-in-{gas}.csv"
    ke_mev = np.geomspace(1e-4, 1e3, 7 * 128 + 1)
    write_stopping_csv(path, parse_nucleus("1H"), ke_mev, stopping_power(IONS["p"], gas, ke_mev))
    return f"[assets]\nstopping = [{json.dumps(str(path.resolve()))}]\n"


def count_fits(raw: Path, work: Path) -> int:
    """Fits of the runs in a folder."""
    experiment, _ = process(work / "count", raw, CHAIN)
    rows = experiment.table("tpc.fits").num_rows
    experiment.store.close()
    return int(rows)


def fit_and_score(raw: Path, work: Path, sections: str = "") -> dict[int, FitScore]:
    """Fit all runs of a folder that have a truth beside them; their scores by run, and of all together under 0."""
    experiment, runs = process(work / f"fit-{raw.name}", raw, CHAIN, sections)
    columns = _columns(experiment, "tpc.fits", ("run", *FIT_COLUMNS))
    experiment.store.close()
    truths = {run: read_truth(raw / f"run_{run:04d}.h5", names=FIT_TRUTH) for run in runs}
    scores = {run: score_fits(of_run(columns, run), truth) for run, truth in truths.items()}
    return {0: score_fits(columns, pooled(list(truths.values()))), **scores}


def score_reaction(raw: Path, work: Path, sections: str) -> ReactionScore:
    """Reconstruct the reactions of all runs of a folder, with one track in each event, and compare the excitation energies."""
    experiment, runs = process(work / f"react-{raw.name}", raw, (*CHAIN, "tpc.kinematics"), sections)
    found = _columns(experiment, "tpc.kinematics", ("run", "event", "ex", "status"))
    experiment.store.close()
    truth = pooled([read_truth(raw / f"run_{run:04d}.h5", names=("event", "ex")) for run in runs])
    return compare_excitations(found, truth)


def compare_excitations(found: Mapping[str, NDArray[Any]], truth: Mapping[str, NDArray[Any]]) -> ReactionScore:
    """Excitation energies of fits that converged less those of the truth, event by event.

    Parameters
    ----------
    found
        Columns ``event``, ``ex`` (MeV) and ``status``.
    truth
        Columns ``event`` and ``ex``, one row an event.
    """
    good = found["status"] == 0
    order = np.argsort(truth["event"])
    row = order[np.searchsorted(truth["event"][order], found["event"][good])]
    off = 1e3 * (found["ex"][good] - truth["ex"][row])
    if len(off) == 0:
        return ReactionScore(0, Figure(np.nan, np.nan), Figure(np.nan, np.nan))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(off - np.median(off))))
    # For normal errors the median is off by 1.25 σ/√n and the robust width by 1.17 σ/√n.
    return ReactionScore(
        len(off), Figure(float(np.median(off)), 1.2533 * sigma / np.sqrt(len(off))), Figure(sigma, 1.17 * sigma / np.sqrt(len(off)))
    )


def _columns(experiment: OpenExperiment, stage: str, names: Sequence[str]) -> Columns:
    table = experiment.table(stage)
    columns: Columns = {name: table.column(name).to_numpy() for name in names}
    columns["event"] = unique_events(columns["run"], columns["event"])
    return columns
