"""Results of reductions as NeXus files, which silx and h5web plot at once; equal results have equal bytes.

NXdata: https://manual.nexusformat.org/classes/base_classes/NXdata.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.events.reductions.base import Pieces, Plot, Tree, Values

if TYPE_CHECKING:
    import h5py

__all__ = ["write_tree"]

_COMPRESSED_FROM = 1 << 16
"""Bytes of the smallest dataset that is compressed."""
_CHUNK = 1 << 20
"""Bytes of a chunk, about."""


def write_tree(path: Path, tree: Tree, title: str, facts: Mapping[str, int]) -> None:
    """Write a result to a new HDF5 file: an NXentry with one NXdata a plot.

    Parameters
    ----------
    facts
        Numbers beside the plots, such as the number of events.
    """
    import h5py

    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry"})
        entry = file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": next(iter(tree))})
        entry.create_dataset("title", data=title, track_times=False)
        for name, number in facts.items():
            entry.create_dataset(name, data=np.int64(number), track_times=False)
        for name, plot in tree.items():
            _write_plot(entry.create_group(name), plot)


def _write_plot(group: h5py.Group, plot: Plot) -> None:
    group.attrs.update({"NX_class": "NXdata", "signal": plot.signal, "title": plot.title, **plot.attributes})
    if plot.axes:
        group.attrs["axes"] = list(plot.axes)
        for place, axis in enumerate(plot.axes):
            group.attrs[f"{axis}_indices"] = np.int64(place)
    for name, values in plot.datasets.items():
        dataset = _write_values(group, name, values)
        if values.unit:
            dataset.attrs["units"] = values.unit
        if values.title:
            dataset.attrs["long_name"] = f"{values.title} ({values.unit})" if values.unit else values.title


def _write_values(group: h5py.Group, name: str, values: Values) -> h5py.Dataset:
    data = values.data
    if not data.shape:
        return group.create_dataset(name, data=data, track_times=False)
    dataset = group.create_dataset(name, data.shape, data.dtype, track_times=False, **_layout(data.shape, data.dtype))
    row = 0
    for piece in data.arrays() if isinstance(data, Pieces) else (data,):
        dataset[row : row + len(piece)] = piece
        row += len(piece)
    return dataset


def _layout(shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    row = max(1, math.prod(shape[1:]) * dtype.itemsize)
    if shape[0] * row < _COMPRESSED_FROM or 0 in shape:
        return {}
    rows = min(shape[0], max(1, _CHUNK // row))
    inner = shape[1:]
    if row > 4 * _CHUNK and inner:
        # Of a large image a chunk is a band of rows.
        inner = (max(1, inner[0] * _CHUNK // row), *inner[1:])
    return {"chunks": (rows, *inner), "shuffle": True, "compression": "gzip", "compression_opts": 1}
