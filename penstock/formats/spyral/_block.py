"""Some events of a run of a Spyral workspace, read table by table as they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import EVENTS
from penstock.formats.spyral.events import ABSENT, MALFORMED, PRESENT, SpyralEvents
from penstock.formats.spyral.layout import CLUSTERS, POINTS

__all__ = ["Block", "Columns"]

T = TypeVar("T")
Columns = dict[str, NDArray[Any]]

_POINT = ("x", "y", "z", "amplitude", "integral", "pad", "time", "scale")
_CLUSTER_POINT = ("x", "y", "z", "integral", "scale")
_CHAMBER = ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity")


class Source(Protocol):
    """The open files of one run."""

    number: int

    @property
    def estimates(self) -> Columns: ...
    @property
    def fits(self) -> Columns: ...
    def wanted(self, name: str) -> None: ...
    def cloud(self, number: int) -> h5py.Dataset | None: ...
    def event(self, number: int) -> h5py.Group | None: ...


class Block:
    """Some events of a run, each table read once."""

    def __init__(self, run: Source, numbers: NDArray[np.int64]) -> None:
        self._run = run
        self.numbers = numbers

    def records(self) -> SpyralEvents:
        """The events as records that read a table when it is first used, while the run is open."""
        columns: Mapping[str, Mapping[str, NDArray[Any]]] = _Loaded(
            {
                EVENTS: lambda: self.events,
                "points": lambda: self.points[0],
                "clusters": lambda: self.clusters[0],
                "cluster_points": lambda: self.clusters[2],
                "estimates": lambda: self.estimates[0],
                "fits": lambda: self.fits[0],
            }
        )
        offsets: Mapping[str, NDArray[np.int64]] = _Loaded(
            {
                "points": lambda: self.points[1],
                "clusters": lambda: self.clusters[1],
                "cluster_points": lambda: self.clusters[3],
                "estimates": lambda: self.estimates[1],
                "fits": lambda: self.fits[1],
            }
        )
        return SpyralEvents(n_events=len(self.numbers), columns=columns, offsets=offsets)

    @cached_property
    def events(self) -> Columns:
        columns = SpyralEvents.empty(len(self.numbers)).columns[EVENTS]
        events = {name: np.array(values) for name, values in columns.items()}
        events["event"][:] = self.numbers
        events["orig_run"][:] = self._run.number
        events["orig_event"][:] = self.numbers
        for name in _CHAMBER:
            events[name][:] = -1.0
        for i, number in enumerate(self.numbers.tolist()):
            cloud, group = self._run.cloud(number), self._run.event(number)
            events["cloud"][i] = ABSENT if cloud is None else PRESENT if _has_columns(cloud, len(_POINT)) else MALFORMED
            events["clustered"][i] = ABSENT if group is None else PRESENT if _is_whole(group) else MALFORMED
            attributes = cloud.attrs if cloud is not None else group.attrs if group is not None else {}
            for name in ("orig_run", "orig_event", *_CHAMBER):
                if name in attributes:
                    events[name][i] = attributes[name]
        return events

    @cached_property
    def points(self) -> tuple[Columns, NDArray[np.int64]]:
        self._run.wanted(POINTS)
        clouds = [self._cloud(number, state) for number, state in zip(self.numbers.tolist(), self.events["cloud"], strict=True)]
        return _by_name(clouds, _POINT), _offsets([len(c) for c in clouds])

    @cached_property
    def clusters(self) -> tuple[Columns, NDArray[np.int64], Columns, NDArray[np.int64]]:
        self._run.wanted(CLUSTERS)
        labels, directions, counts = [], [], []
        clouds: list[NDArray[np.float64]] = []
        for number, state in zip(self.numbers.tolist(), self.events["clustered"], strict=True):
            group = self._run.event(number)
            members = [] if group is None or state != PRESENT else [group[f"cluster_{k}"] for k in range(int(group.attrs["nclusters"]))]
            counts.append(len(members))
            for member in members:
                labels.append(int(member.attrs["label"]))
                directions.append(int(member.attrs["direction"]))
                clouds.append(np.asarray(member["cloud"], dtype="f8"))
        columns = {"label": np.array(labels, dtype="i8"), "direction": np.array(directions, dtype="i8")}
        return columns, _offsets(counts), _by_name(clouds, _CLUSTER_POINT), _offsets([len(c) for c in clouds])

    @cached_property
    def estimates(self) -> tuple[Columns, NDArray[np.int64]]:
        return self._rows_of(self._run.estimates)

    @cached_property
    def fits(self) -> tuple[Columns, NDArray[np.int64]]:
        return self._rows_of(self._run.fits)

    def _cloud(self, number: int, state: int) -> NDArray[np.float64]:
        cloud = self._run.cloud(number)
        return np.zeros((0, len(_POINT))) if cloud is None or state != PRESENT else np.asarray(cloud, dtype="f8")

    def _rows_of(self, columns: Columns) -> tuple[Columns, NDArray[np.int64]]:
        first = np.searchsorted(columns["event"], self.numbers, side="left")
        last = np.searchsorted(columns["event"], self.numbers, side="right")
        rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, b) for a, b in zip(first, last, strict=True))]).astype(np.int64)
        return {name: values[rows] for name, values in columns.items()}, _offsets((last - first).tolist())


class _Loaded(Mapping[str, T], Generic[T]):
    """A mapping whose values are made when they are asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> T:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _has_columns(dataset: h5py.Dataset, width: int) -> bool:
    return isinstance(dataset, h5py.Dataset) and dataset.ndim == 2 and dataset.shape[1] == width


def _is_whole(event: h5py.Group) -> bool:
    if not isinstance(event, h5py.Group) or "nclusters" not in event.attrs:
        return False
    members = [event.get(f"cluster_{k}") for k in range(int(event.attrs["nclusters"]))]
    return all(
        m is not None and {"label", "direction"} <= set(m.attrs) and _has_columns(m.get("cloud"), len(_CLUSTER_POINT)) for m in members
    )


def _by_name(clouds: Sequence[NDArray[np.float64]], names: Sequence[str]) -> Columns:
    every = np.concatenate([np.zeros((0, len(names))), *clouds])
    return {name: np.ascontiguousarray(every[:, i]) for i, name in enumerate(names)}


def _offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64)
