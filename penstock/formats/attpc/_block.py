"""Events on their way into memory: all opened first, so that their rows are laid out, then read in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import Rejection
from penstock.formats.attpc._events import DAMAGE, GET_COLUMNS, check_get_shape, check_sis_shape, damage, read_get, read_register, read_sis
from penstock.formats.attpc._layouts import EventParts
from penstock.formats.traces import Traces

__all__ = ["EventBlock"]

I8 = NDArray[np.int64]


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
        self._timestamps = np.zeros(len(numbers), np.uint64)
        self._reasons: dict[int, str] = {}

    def open(self, index: int, parts: EventParts) -> None:
        """Take the parts of one event, if their shapes are right."""
        self._timestamps[index] = max(parts.timestamp, 0)
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
        frib: list[NDArray[np.uint16]] = []
        for index, parts in enumerate(self._parts):
            frib.append(np.empty((0, 0), np.uint16))
            try:
                if parts.register is not None:
                    coincidence[index] = read_register(parts.register)
                if parts.sis3300 is not None:
                    check_sis_shape(parts.sis3300.shape)
                    frib[index] = read_sis(parts.sis3300).T
                if parts.pads is not None:
                    read_get(parts.pads, matrix[offsets[index] : offsets[index + 1]])
            except DAMAGE as error:
                self.reject(index, error)
                frib[index] = frib[index][:0]
        if self._reasons:
            matrix, offsets = self._drop_rejected(matrix, offsets)
        return self._traces(matrix, offsets, coincidence, frib)

    def _drop_rejected(self, matrix: NDArray[np.int16], offsets: I8) -> tuple[NDArray[np.int16], I8]:
        wanted = np.repeat(self._rows > 0, np.diff(offsets))
        return matrix[wanted], np.concatenate([[0], np.cumsum(self._rows)])

    def _traces(self, matrix: NDArray[np.int16], offsets: I8, coincidence: NDArray[np.int32], frib: list[NDArray[np.uint16]]) -> Traces:
        frib_rows = np.array([len(f) for f in frib], np.int64)
        lengths = np.repeat([f.shape[1] for f in frib], frib_rows).astype(np.int32)
        frib_offsets = np.concatenate([[0], np.cumsum(frib_rows)]).astype(np.int64)
        samples = np.zeros((len(lengths), int(lengths.max(initial=0))), np.uint16)
        for index in np.flatnonzero(frib_rows):
            samples[frib_offsets[index] : frib_offsets[index + 1], : frib[index].shape[1]] = frib[index]
        names = [column.name for column in Traces.table("pads").columns]
        return Traces(
            n_events=len(self._numbers),
            columns={
                "events": {
                    "event": self._numbers,
                    "orig_run": self.origins[:, 0],
                    "orig_event": self.origins[:, 1],
                    "timestamp": self._timestamps,
                    "coincidence": coincidence,
                },
                "pads": {**{name: matrix[:, k] for k, name in enumerate(names)}, "samples": matrix[:, len(names) :]},
                "frib": {
                    "channel": (np.arange(len(lengths)) - np.repeat(frib_offsets[:-1], frib_rows)).astype(np.int16),
                    "length": lengths,
                    "samples": samples,
                },
            },
            offsets={"pads": offsets, "frib": frib_offsets},
            rejections=[Rejection(index, reason) for index, reason in sorted(self._reasons.items())],
        )
