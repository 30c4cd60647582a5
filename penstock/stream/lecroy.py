"""The stream of LeCroy oscilloscopes: many messages make an event.

Messages say what happens (0 prepare, 1 a sequence starts, 2 it ends, 3 stop), or carry the traces of one channel: JSON, samples and
a pickled list of timestamps. An event is one sequence: its start, the three parts of each channel, its end. A scope that runs
continuously (``ntriggers`` is -1) sends one start only, which begins each of its events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream._arrays import array_of, dtype_of
from penstock.stream._assembler import WholeMessages
from penstock.stream._deferred import DeferredMessage
from penstock.stream._header_fields import frames_of, header_of
from penstock.stream._json_message import read_object, whole_number
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet
from penstock.stream.safe_pickle import loads

__all__ = ["LecroyAssembler", "LecroyPacket", "LecroyPrepare", "LecroyStop", "LecroyTrace", "LecroyTraces", "parse"]

_TYP = "lecroy_9fwdWp6Rq7"
_PREPARE, _START, _END, _STOP = range(4)


class LecroyPacket(Message):
    """What the stream of a LeCroy contributes to an event."""


class LecroyPrepare(LecroyPacket):
    """Opens a series."""

    required = ("htype", "what", "frame")
    frame: int


class LecroyStop(LecroyPacket):
    """Closes a series of `frames` traces."""

    required = ("htype", "what", "frame", "frames")
    frame: int
    frames: int


class LecroyTrace(Message):
    """What is known of the traces of one channel; `horiz_interval` and `horiz_offset` in s, `ts` in s since 1970."""

    required = ("htype", "ch", "ts", "frame", "shape", "horiz_offset", "horiz_interval", "dtype")
    ch: int
    ts: float
    frame: int
    shape: list[int]
    dtype: str
    horiz_offset: float
    horiz_interval: float


class LecroyTraces(DeferredMessage, LecroyPacket):
    """One sequence of all channels, with the fields of its start (`channels`, `ntriggers`, `seqno`).

    Attributes
    ----------
    meta
        A `LecroyTrace` a channel.
    data
        Samples a channel, (segments, samples), read-only.
    timestamps
        Times of the segments a channel, in s since 1970; read when first asked for.
    """

    required = ("htype", "what", "frame", "ntriggers", "seqno", "channels")
    frame: int
    ntriggers: int
    seqno: int
    channels: list[int]
    meta: list[LecroyTrace]
    data: list[NDArray[Any]]
    timestamps: list[list[float]]


def parse(data: StreamData) -> LecroyPacket:
    """What these frames are; samples stay where they are.

    Raises
    ------
    BadEvent
        A header is damaged or of unknown type, there are too few or too many frames, or samples do not fit their description.
    """
    frames = frames_of(data, _TYP, "LeCroy")
    header = header_of(frames, "LeCroy")
    what = _what(header)
    if what == _START:
        return _traces(header, frames)
    if what == _END or len(frames) != 1:
        raise BadEvent(f"LeCroy: {len(frames)} frames begin with 'what' {what}, expected one of what 0 or 3, or a sequence from 1 to 2.")
    return (LecroyPrepare if what == _PREPARE else LecroyStop).of(header)  # type: ignore[no-any-return]


def _what(header: Mapping[str, Any]) -> int:
    what = header.get("what")
    if header.get("htype") != "msg" or type(what) is not int or not _PREPARE <= what <= _STOP:
        raise BadEvent(f"LeCroy: fields 'htype', 'what' are {header.get('htype')!r}, {what!r}, expected 'msg' and 0 to 3.")
    return what


def _channels(header: Mapping[str, Any]) -> list[int]:
    channels = header.get("channels")
    if not isinstance(channels, list) or not channels or not all(type(channel) is int for channel in channels):
        raise BadEvent(f"LeCroy: field 'channels' is {channels!r}, expected a list of channels.")
    return channels


def _traces(header: dict[str, Any], frames: Sequence[Frame]) -> LecroyTraces:
    message: LecroyTraces = LecroyTraces.of(header)
    expected = 3 * len(_channels(header)) + 2
    if len(frames) != expected:
        raise BadEvent(f"LeCroy: a sequence has {len(frames)} frames, expected {expected} for channels {header['channels']}.")
    if _what(read_object(frames[-1], "LeCroy")) != _END:
        raise BadEvent("LeCroy: the last frame of a sequence is not its end.")
    traces = [LecroyTrace.of(read_object(frame, "LeCroy traces")) for frame in frames[1:-1:3]]
    header["meta"] = traces
    header["data"] = [_samples(trace, frame) for trace, frame in zip(traces, frames[2:-1:3], strict=True)]
    message.defer(timestamps=partial(_timestamps, frames[3:-1:3]))
    return message


def _samples(trace: LecroyTrace, frame: Frame) -> NDArray[Any]:
    where = f"LeCroy channel {trace.ch}"
    return array_of(frame, dtype_of(trace.dtype, "dtype", where), trace.shape, where)


def _timestamps(frames: Sequence[Frame]) -> list[Any]:
    return [loads(frame, "LeCroy timestamps") for frame in frames]


class LecroyAssembler(WholeMessages):
    """Packets of the messages of one LeCroy; all messages of a sequence make one packet.

    `Packet.frame` of a sequence is its ``seqno``; of a continuous scope it is the number of the trigger, counted from its traces.
    A sequence that lacks its start, a trace or its end is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start: Frame | None = None
        self._header: dict[str, Any] = {}
        self._trigger: int | None = None
        self._traces: dict[int, Sequence[Frame]] = {}

    def _packets(self, message: Sequence[Frame]) -> Sequence[Packet]:
        header = header_of(message, "LeCroy")
        if header.get("htype") == "traces":
            self._add(header, message)
            return ()
        what = _what(header)
        if what == _END:
            return self._end(message[0], header)
        self._drop()
        self._start = None
        if what == _START:
            _channels(header)
            whole_number(header, "frame", "LeCroy")
            whole_number(header, "seqno", "LeCroy")
            self._start, self._header = message[0], header
            return ()
        return (Packet("start" if what == _PREPARE else "end", StreamData(_TYP, list(message))),)

    def _add(self, header: dict[str, Any], message: Sequence[Frame]) -> None:
        """Take the traces of a channel; those of another trigger than the last ones begin a new event."""
        if len(message) != 3:
            raise BadEvent(f"LeCroy: traces have {len(message)} frames, expected 3: header, samples and timestamps.")
        number, channel = whole_number(header, "frame", "LeCroy"), whole_number(header, "ch", "LeCroy")
        if self._start is None:
            self._left_out["traces without the start of their sequence"] += 1
            return
        trigger = self._trigger_of(number)
        if trigger != self._trigger or channel in self._traces:
            self._drop()
        self._trigger = trigger
        self._traces[channel] = message

    def _trigger_of(self, number: int) -> int:
        if not self._is_continuous:
            return int(self._header["seqno"])
        return (number - int(self._header["frame"])) // len(self._header["channels"])

    @property
    def _is_continuous(self) -> bool:
        return bool(self._header.get("ntriggers") == -1)

    def _end(self, end: Frame, header: dict[str, Any]) -> Sequence[Packet]:
        count = whole_number(header, "frame", "LeCroy")
        traces, self._traces = self._traces, {}
        start = self._start
        if not self._is_continuous:
            self._start = None
        if start is None or sorted(traces) != sorted(self._header["channels"]) or self._trigger != self._trigger_of(count - 1):
            self._left_out["incomplete sequence"] += 1
            return ()
        frames = [start, *(part for parts in traces.values() for part in parts), end]
        return (Packet("data", StreamData(_TYP, frames), self._trigger),)

    def _drop(self) -> None:
        if self._traces:
            self._traces = {}
            self._left_out["incomplete sequence"] += 1

    def close(self) -> Mapping[str, int]:
        """What was left out, counted by reason, a sequence that is not complete yet with it."""
        self._drop()
        return super().close()
