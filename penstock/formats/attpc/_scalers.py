"""Scaler records of a run: counts of the whole crate, taken every few seconds."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["SCALER_WORDS", "read_scalers"]

SCALER_WORDS = (
    "clock_free",
    "clock_live",
    "trigger_free",
    "trigger_live",
    "ic_sca",
    "mesh_sca",
    "si1_cfd",
    "si2_cfd",
    "sipm",
    "ic_ds",
    "ic_cfd",
)
"""Meaning of the first words of a record."""

HEADER_WORDS = ("start_offset", "stop_offset", "timestamp", "incremental")


def read_scalers(file: h5py.File) -> dict[str, NDArray[np.int64]]:
    """All scaler records of an open run file: see `AttpcRun.scalers`. Damage raises what HDF5 raises."""
    legacy = isinstance(file.get("frib/scaler"), h5py.Group)
    group = file["frib/scaler"] if legacy else file.get("scalers")
    pattern = re.compile(r"scaler(\d+)_data$" if legacy else r"event_(\d+)$")
    names = list(group) if isinstance(group, h5py.Group) else []
    records = sorted((int(match[1]), name) for name in names if (match := pattern.match(name)))
    table = np.full((len(records), 1 + len(HEADER_WORDS) + len(SCALER_WORDS)), -1, np.int64)
    for row, (number, name) in enumerate(records):
        header = _legacy_header(group, number) if legacy else [int(group[name].attrs.get(word, -1)) for word in HEADER_WORDS]
        words = np.ravel(group[name][()])[: len(SCALER_WORDS)].astype(np.int64)
        table[row, 0] = number
        table[row, 1 : 1 + len(header)] = header
        table[row, 1 + len(HEADER_WORDS) :][: len(words)] = words
    return {name: table[:, k].copy() for k, name in enumerate(("event", *HEADER_WORDS, *SCALER_WORDS))}


def _legacy_header(group: h5py.Group, number: int) -> list[Any]:
    name = f"scaler{number}_header"
    return np.ravel(group[name][()])[: len(HEADER_WORDS)].astype(np.int64).tolist() if name in group else []
