"""Events on their way into memory: all opened first, so that their rows are laid out, then read in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import Rejection
from penstock.formats.attpc._events import DAMAGE, GET_COLUMNS, check_get_shape, check_sis_shape, damage, read_get, read_register, read_sis
from penstock.formats.attpc._layouts import EventParts
from penstock.formats.traces import SIS3316, Traces

__all__ = ["EventBlock"]

I8 = NDArray[np.int64]
GET_NAMES = ("cobo", "asad", "aget", "channel")


class EventBlock:
    """Some events of a run.

    Parameters
    ----------
    numbers
        Event numbers, (events,).
    run
        The run in which they were recorded, unless ``origins`` is set otherwise.
    """

    def __init__(self, numbers: I8, run: int) -> None:
        self.origins = np.stack([np.full(len(numbers), run, np.int64), numbers], axis=1)
        self._numbers = numbers
        self._parts = [EventParts() for _ in numbers]
        self._rows = np.zeros(len(numbers), np.int64)
        self._stamps = np.zeros((len(numbers), 2), np.uint64)
        self._reasons: dict[int, str] = {}

    def open(self, index: int, parts: EventParts) -> None:
        """Take the parts of one event, if their shapes are right."""
        self._stamps[index] = max(parts.timestamp, 0), max(parts.timestamp_other, 0)
        self._rows[index] = check_get_shape(parts.pads.shape) if parts.pads is not None else 0
        self._parts[index] = parts

    def reject(self, index: int, error: Exception) -> None:
        """Record why an event cannot be used; errors of the disk go on."""
        if (reason := damage(error)) is None:
            raise error
        self._reasons[index] = reason
        self._parts[index] = EventParts()
        self._rows[index] = 0

    def read(self) -> Traces:
        """All events."""
        n = len(self._numbers)
        offsets = np.concatenate([[0], np.cumsum(self._rows)])
        matrix = np.empty((int(offsets[-1]), GET_COLUMNS), np.int16)
        coincidence = np.full(n, -1, np.int32)
        silicon, frib = _Silicon(n), _Frib(n)
        for index, parts in enumerate(self._parts):
            try:
                if parts.register is not None:
                    coincidence[index] = read_register(parts.register)
                frib.read(index, parts)
                if parts.pads is not None:
                    read_get(parts.pads, matrix[offsets[index] : offsets[index + 1]])
                silicon.read(index, parts)
            except DAMAGE as error:
                self.reject(index, error)
                frib.drop(index)
                silicon.drop(index)
        if self._reasons:
            matrix, offsets = self._drop_rejected(matrix, offsets)
        return self._traces(matrix, offsets, coincidence, silicon, frib)

    def _drop_rejected(self, matrix: NDArray[np.int16], offsets: I8) -> tuple[NDArray[np.int16], I8]:
        wanted = np.repeat(self._rows > 0, np.diff(offsets))
        return matrix[wanted], np.concatenate([[0], np.cumsum(self._rows)])

    def _traces(self, matrix: NDArray[np.int16], offsets: I8, coincidence: NDArray[np.int32], silicon: _Silicon, frib: _Frib) -> Traces:
        numbers = np.array([(p.get_event, p.frib_event, p.frib_timestamp, p.flags) for p in self._parts], np.int64).reshape(-1, 4)
        return Traces(
            n_events=len(self._numbers),
            columns={
                "events": {
                    "event": self._numbers,
                    "orig_run": self.origins[:, 0],
                    "orig_event": self.origins[:, 1],
                    "timestamp": self._stamps[:, 0],
                    "timestamp_other": self._stamps[:, 1],
                    "coincidence": coincidence,
                    "get_event": numbers[:, 0],
                    "frib_event": numbers[:, 1],
                    "frib_timestamp": numbers[:, 2],
                    "parts": numbers[:, 3].astype(np.int32),
                },
                "pads": _get_columns(matrix, "pad"),
                **silicon.columns(),
                **frib.columns(),
            },
            offsets={"pads": offsets, **silicon.offsets(), **frib.offsets()},
            rejections=[Rejection(index, reason) for index, reason in sorted(self._reasons.items())],
        )


class _Silicon:
    """Matrices of the silicon sets of some events."""

    def __init__(self, n_events: int) -> None:
        self._of_event: list[list[tuple[int, NDArray[np.int16]]]] = [[] for _ in range(n_events)]

    def read(self, index: int, parts: EventParts) -> None:
        for number, dataset in parts.silicon.items():
            if rows := check_get_shape(dataset.shape):
                matrix = np.empty((rows, GET_COLUMNS), np.int16)
                read_get(dataset, matrix)
                self._of_event[index].append((number, matrix))

    def drop(self, index: int) -> None:
        self._of_event[index] = []

    def columns(self) -> dict[str, dict[str, NDArray[Any]]]:
        sets = [piece for event in self._of_event for piece in event]
        matrix = np.concatenate([np.empty((0, GET_COLUMNS), np.int16), *(m for _, m in sets)])
        numbers = np.repeat(np.array([number for number, _ in sets], np.int16), [len(m) for _, m in sets])
        return {"silicon": {"set": numbers, **_get_columns(matrix, "strip")}}

    def offsets(self) -> dict[str, I8]:
        return {"silicon": _offsets([sum(len(m) for _, m in event) for event in self._of_event])}


class _Frib:
    """Traces of the FRIB crate of some events."""

    def __init__(self, n_events: int) -> None:
        self._of_event: list[list[tuple[int, NDArray[np.uint16], NDArray[np.uint16]]]] = [[] for _ in range(n_events)]

    def read(self, index: int, parts: EventParts) -> None:
        for module, dataset in parts.modules.items():
            check_sis_shape(dataset.shape, module)
            matrix = read_sis(dataset, module)
            channels = np.arange(matrix.shape[1], dtype=np.uint16)
            if module == SIS3316:
                # Its first row says which of its channels a column is.
                channels, matrix = matrix[0], matrix[1:]
            self._of_event[index].append((module, channels, matrix))

    def drop(self, index: int) -> None:
        self._of_event[index] = []

    def columns(self) -> dict[str, dict[str, NDArray[Any]]]:
        pieces = [piece for event in self._of_event for piece in event]
        none = np.empty(0, np.uint16)
        modules = np.repeat(np.array([module for module, _, _ in pieces], np.int32), [len(channels) for _, channels, _ in pieces])
        channels = np.concatenate([none, *(channels for _, channels, _ in pieces)]).astype(np.int16)
        adc = np.concatenate([none, *(matrix.T.reshape(-1) for _, _, matrix in pieces)])
        return {"frib": {"module": modules, "channel": channels}, "frib_samples": {"adc": adc}}

    def offsets(self) -> dict[str, I8]:
        lengths = [len(matrix) for event in self._of_event for _, channels, matrix in event for _ in channels]
        rows = [sum(len(channels) for _, channels, _ in event) for event in self._of_event]
        return {"frib": _offsets(rows), "frib_samples": _offsets(lengths)}


def _get_columns(matrix: NDArray[np.int16], last: str) -> dict[str, NDArray[Any]]:
    """The columns of a GET matrix, (rows, 517): hardware, pad or strip, samples."""
    names = (*GET_NAMES, last)
    return {**{name: matrix[:, k] for k, name in enumerate(names)}, "samples": matrix[:, len(names) :]}


def _offsets(counts: list[int]) -> I8:
    return np.concatenate([[0], np.cumsum(np.array(counts, np.int64))]).astype(np.int64)
