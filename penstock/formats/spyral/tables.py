"""Estimates, fits and scalers as the Parquet files of a Spyral workspace. Equal records give equal bytes.

Columns have Spyral's names, order and types. Lengths of estimates are in mm, those of fits in m.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from penstock.core.schema import EVENTS, Records
from penstock.formats.spyral.clouds import gate_ion_chamber
from penstock.formats.spyral.layout import isotope_name, run_name

__all__ = [
    "ESTIMATE_COLUMNS",
    "FIT_COLUMNS",
    "LENGTHS",
    "SCALER_COLUMNS",
    "count_gated_downscale",
    "write_estimates",
    "write_fits",
    "write_scalers",
]

_WHOLE = frozenset(("event", "cluster_index", "cluster_label", "orig_run", "orig_event", "direction"))
_CHAMBER = ("ic_amplitude", "ic_centroid", "ic_integral", "ic_multiplicity")

ESTIMATE_COLUMNS: Sequence[str] = (
    *("event", "cluster_index", "cluster_label", "orig_run", "orig_event", *_CHAMBER),
    *("vertex_x", "vertex_y", "vertex_z", "center_x", "center_y", "center_z", "polar", "azimuthal", "brho"),
    *("dEdx", "sqrt_dEdx", "dE", "arclength", "direction"),
)
FIT_COLUMNS: Sequence[str] = (
    *("event", "cluster_index", "cluster_label", "orig_run", "orig_event"),
    *("vertex_x", "sigma_vx", "vertex_y", "sigma_vy", "vertex_z", "sigma_vz", "brho", "sigma_brho", "ke", "sigma_ke"),
    *("polar", "sigma_polar", "azimuthal", "sigma_azimuthal", "redchisq"),
)
LENGTHS = frozenset(("vertex_x", "sigma_vx", "vertex_y", "sigma_vy", "vertex_z", "sigma_vz"))
"""Columns of fits that are in m there and in mm here."""
SCALER_COLUMNS: Sequence[str] = (
    *("event", "clock_free", "clock_live", "trigger_free", "trigger_live", "ic_sca", "mesh_sca"),
    *("si1_cfd", "si2_cfd", "sipm", "ic_ds", "ic_cfd"),
)


def write_estimates(blocks: Iterable[Records], path: Path, *, most_pulses: int = 1) -> None:
    """Write ``Estimation/run_NNNN.parquet`` from records of schema tpc.estimates; a run without any has no rows.

    Parameters
    ----------
    most_pulses
        Events with more ion-chamber pulses are marked as having none, as Spyral's `ic_multiplicity` does.
    """
    tables = [block["estimates"] for block in blocks]
    columns = {name: _joined(tables, name) for name in ESTIMATE_COLUMNS}
    _write(path, {**columns, **gate_ion_chamber(columns, most_pulses)}, ESTIMATE_COLUMNS)


def write_fits(blocks: Iterable[Records], folder: Path, run: int) -> list[Path]:
    """Write ``run_NNNN_{isotope}.parquet`` for each particle among records of schema tpc.fits; the files, by particle."""
    tables = [block["fits"] for block in blocks]
    columns = {name: _joined(tables, name) for name in (*FIT_COLUMNS, "Z", "A")}
    for name in LENGTHS:
        columns[name] = columns[name] / 1000.0
    written = []
    for charge, mass in sorted(set(zip(columns["Z"].tolist(), columns["A"].tolist(), strict=True))):
        rows = (columns["Z"] == charge) & (columns["A"] == mass)
        path = folder / f"{run_name(run)}_{isotope_name(int(charge), int(mass))}.parquet"
        _write(path, {name: columns[name][rows] for name in FIT_COLUMNS}, FIT_COLUMNS)
        written.append(path)
    return written


def write_scalers(scalers: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write ``Pointcloud/run_NNNN_scaler.parquet`` from the columns of all scaler records of a run; all are int64."""
    number = np.arange(len(scalers["clock_free"]), dtype="i8")
    columns = {"event": scalers.get("record", number), **{name: scalers[name] for name in SCALER_COLUMNS[1:]}}
    _write(path, columns, SCALER_COLUMNS, whole=frozenset(SCALER_COLUMNS))


def count_gated_downscale(blocks: Iterable[Records], trigger: int, most_pulses: int) -> int:
    """Events of the down-scaled ion-chamber trigger that have 1 to `most_pulses` ion-chamber pulses.

    Parameters
    ----------
    blocks
        Records of schema tpc.points; of excluded events too the ion chamber is there.
    trigger
        V977 register of a down-scale event.
    """
    count = 0
    for block in blocks:
        good = gate_ion_chamber(block[EVENTS], most_pulses)["ic_multiplicity"] > 0
        count += int(np.count_nonzero(good & (block[EVENTS]["trigger"] == trigger)))
    return count


def _joined(tables: Sequence[Mapping[str, NDArray[Any]]], name: str) -> NDArray[Any]:
    return np.concatenate([t[name] for t in tables]) if tables else np.zeros(0)


def _write(path: Path, columns: Mapping[str, NDArray[Any]], order: Sequence[str], *, whole: frozenset[str] = _WHOLE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = [pa.array(np.asarray(columns[name], dtype="i8" if name in whole else "f8")) for name in order]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(order)), path, compression="zstd")
