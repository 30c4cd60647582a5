"""Point clouds and clusters as the HDF5 files of a Spyral workspace. Equal records give equal bytes.

Lengths in mm, one dataset of float64 an event or a cluster. Events that are left out have none, as in Spyral.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import EVENTS, Records

__all__ = ["DIRECTIONS", "distinct_heights", "gate_ion_chamber", "write_clusters", "write_points"]

DIRECTIONS: Mapping[int, int] = {1: 0, -1: 1, 0: -1}
"""Direction of a cluster here, and as Spyral numbers it: 0 forward, 1 backward, -1 undecided."""

_POINT = ("x", "y", "z", "amplitude", "integral", "pad", "time", "scale")
_CLUSTER_POINT = ("x", "y", "z", "integral", "scale")
_CHAMBER = ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity")
_STEP_MM = 1e-5
"""Points at the same height are set apart by this much: Spyral's splines are functions of z and fail on equal ones."""


def write_points(blocks: Iterable[Records], path: Path, *, most_pulses: int = 1) -> None:
    """Write ``Pointcloud/run_NNNN.h5``.

    Parameters
    ----------
    blocks
        Records of schema tpc.points, consecutive events.
    most_pulses
        Events with more ion-chamber pulses are marked as having none, as Spyral's `ic_multiplicity` does.
    """
    with _new_group(path, "cloud") as group:
        numbers = []
        for block in blocks:
            events, points, offsets = block[EVENTS], block["points"], block.offsets["points"]
            numbers.append(events["event"])
            chamber = gate_ion_chamber(events, most_pulses)
            cloud = np.column_stack([np.asarray(points[name], dtype="f8") for name in _POINT])
            for i in _kept(block):
                rows = cloud[offsets[i] : offsets[i + 1]]
                rows[:, 2] = distinct_heights(rows[:, 2])
                dataset = group.create_dataset(f"cloud_{events['event'][i]}", data=rows)
                _describe(dataset, events, chamber, i)
        _bound(group, numbers)


def write_clusters(blocks: Iterable[Records], path: Path, *, most_pulses: int = 1) -> None:
    """Write ``Cluster/run_NNNN.h5`` from records of schema tpc.clusters; see `write_points`."""
    with _new_group(path, "cluster") as group:
        numbers = []
        for block in blocks:
            events, clusters, points = block[EVENTS], block["clusters"], block["points"]
            of_event, of_cluster = block.offsets["clusters"], block.offsets["points"]
            numbers.append(events["event"])
            chamber = gate_ion_chamber(events, most_pulses)
            cloud = np.column_stack([np.asarray(points[name], dtype="f8") for name in _CLUSTER_POINT])
            for i in _kept(block):
                event = group.create_group(f"event_{events['event'][i]}")
                event.attrs["nclusters"] = np.int64(of_event[i + 1] - of_event[i])
                _describe(event, events, chamber, i)
                for number, k in enumerate(range(of_event[i], of_event[i + 1])):
                    rows = cloud[of_cluster[k] : of_cluster[k + 1]]
                    rows[:, 2] = distinct_heights(rows[:, 2])
                    cluster = event.create_group(f"cluster_{number}")
                    cluster.attrs["label"] = np.int64(clusters["label"][k])
                    cluster.attrs["direction"] = np.int64(DIRECTIONS[int(clusters["direction"][k])])
                    cluster.create_dataset("cloud", data=rows)
        _bound(group, numbers)


def gate_ion_chamber(columns: Mapping[str, NDArray[Any]], most_pulses: int) -> dict[str, NDArray[np.float64]]:
    """The ion-chamber columns, all four -1 where there is no pulse after the delay or more than `most_pulses`."""
    count = columns["ic_multiplicity"]
    good = (count > 0) & (count <= most_pulses) & (columns["ic_amplitude"] > 0)
    return {name: np.where(good, columns[name], -1.0).astype("f8") for name in _CHAMBER}


def distinct_heights(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ascending heights [mm] with equal ones set apart by 10 nm."""
    if np.all(np.diff(z) > 0):
        return z
    apart = z.copy()
    for i in range(1, len(apart)):
        apart[i] = max(apart[i], apart[i - 1] + _STEP_MM)
    return apart


@contextmanager
def _new_group(path: Path, name: str) -> Iterator[h5py.Group]:
    """The only group of a new file; neither carries times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        yield file.create_group(name)


def _kept(block: Records) -> list[int]:
    left_out = {r.index for r in block.rejections}
    return [i for i in range(block.n_events) if i not in left_out]


def _describe(
    target: h5py.Group | h5py.Dataset, events: Mapping[str, NDArray[Any]], chamber: Mapping[str, NDArray[np.float64]], i: int
) -> None:
    target.attrs["orig_run"] = np.int64(events["orig_run"][i])
    target.attrs["orig_event"] = np.int64(events["orig_event"][i])
    there = chamber["ic_multiplicity"][i] > 0
    for name in _CHAMBER:
        # Spyral writes whole numbers for all but the amplitude, and -1.0 where there is no pulse.
        value = chamber[name][i]
        target.attrs[name] = np.int64(value) if there and name != "ic_amplitude" else np.float64(value)


def _bound(group: h5py.Group, numbers: list[NDArray[np.int64]]) -> None:
    every = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    group.attrs["min_event"] = np.int64(every.min() if every.size else 0)
    group.attrs["max_event"] = np.int64(every.max() if every.size else -1)
