from __future__ import annotations

import os
import pickle
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pytest

from penstock.core.errors import BadEvent
from penstock.stream.lecroy import LecroyAssembler, LecroyPrepare, LecroyStop, LecroyTraces, parse
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet

TYP = "lecroy_9fwdWp6Rq7"
CHANNELS = [2, 4]
PREPARE = {"htype": "msg", "what": 0, "frame": 0}
STOP = {"htype": "msg", "what": 3, "frame": 4, "frames": 4}

Wire = list[list[bytes]]


def samples(number: int, segments: int = 1) -> Any:
    return np.random.default_rng(number).normal(size=(segments, 16))


def start(seqno: int = 0, ntriggers: int = -1, frame: int = 0) -> list[bytes]:
    return [orjson.dumps({"htype": "msg", "what": 1, "frame": frame, "ntriggers": ntriggers, "seqno": seqno, "channels": CHANNELS})]


def traces(channel: int, number: int, segments: int = 1, stamps: Any = None, **changes: Any) -> list[bytes]:
    header = {"htype": "traces", "ch": channel, "ts": 100.0 + number, "frame": number, "shape": [segments, 16]}
    header |= {"horiz_offset": -1e-7, "horiz_interval": 1e-11, "dtype": "float64"} | changes
    times = [100.0 + number + n for n in range(segments)] if stamps is None else stamps
    return [orjson.dumps(header), samples(number, segments).tobytes(), pickle.dumps(times)]


def end(frame: int) -> list[bytes]:
    return [orjson.dumps({"htype": "msg", "what": 2, "frame": frame})]


def continuous(triggers: range) -> list[Wire]:
    """Messages of each trigger, the start of the only sequence with the first."""
    events = [[traces(2, 2 * n), traces(4, 2 * n + 1), end(2 * n + 2)] for n in triggers]
    return [[start(), *events[0]], *events[1:]]


def sequential(numbers: range) -> list[Wire]:
    return [[start(n, 3, 2 * n), traces(2, 2 * n, 3), traces(4, 2 * n + 1, 3), end(2 * n + 2)] for n in numbers]


def event(wire: Wire) -> StreamData:
    return StreamData(TYP, list(chain.from_iterable(wire)))


def fed(assembler: LecroyAssembler, *wires: Wire) -> list[Packet]:
    return [packet for message in chain.from_iterable(wires) for packet in assembler.feed(message)]


def test_a_sequence_has_meta_samples_and_times_of_each_channel() -> None:
    found = parse(event(sequential(range(5, 6))[0]))

    assert isinstance(found, LecroyTraces)
    assert (found.seqno, found.ntriggers, found.channels) == (5, 3, [2, 4])
    assert [trace.ch for trace in found.meta] == [2, 4]
    assert found.meta[1].horiz_interval == 1e-11
    np.testing.assert_array_equal(found.data[0], samples(10, 3))
    np.testing.assert_array_equal(found.data[1], samples(11, 3))
    assert not found.data[0].flags.writeable
    assert found.timestamps == [[110.0, 111.0, 112.0], [111.0, 112.0, 113.0]]


def test_prepare_and_stop_are_parsed() -> None:
    assert parse(StreamData(TYP, [orjson.dumps(PREPARE)])) == LecroyPrepare(**PREPARE)
    assert parse(StreamData(TYP, [orjson.dumps(STOP)])) == LecroyStop(**STOP)


def test_a_sequence_of_mapped_frames_can_be_pickled() -> None:
    views: list[Any] = [memoryview(frame) for frame in event(sequential(range(1))[0]).frames]

    again = pickle.loads(pickle.dumps(parse(StreamData(TYP, views))))

    assert again.timestamps[0] == [100.0, 101.0, 102.0]
    np.testing.assert_array_equal(again.data[1], samples(1, 3))


def test_timestamps_that_would_run_code_are_refused() -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    found = parse(event([start(), traces(2, 0, stamps=Harmful()), traces(4, 1), end(2)]))

    with pytest.raises(BadEvent, match=r"^LeCroy timestamps: the pickle asks for '\w+\.system'"):
        _ = found.timestamps


WHOLE = event(sequential(range(1))[0]).frames
DAMAGED = {
    "no frame": ([], "LeCroy: the message has no frame, expected a header."),
    "a frame missing": (WHOLE[:-1], "LeCroy: a sequence has 7 frames, expected 8 for channels [2, 4]."),
    "no end": ([*WHOLE[:-1], WHOLE[0]], "LeCroy: the last frame of a sequence is not its end."),
    "traces alone": (WHOLE[1:4], "LeCroy: fields 'htype', 'what' are 'traces', None, expected 'msg' and 0 to 3."),
    "unknown what": ([b'{"htype": "msg", "what": 7}'], "LeCroy: fields 'htype', 'what' are 'msg', 7, expected 'msg' and 0 to 3."),
    "end alone": (end(2), "LeCroy: 1 frames begin with 'what' 2, expected one of what 0 or 3, or a sequence from 1 to 2."),
    "long stop": ([orjson.dumps(STOP), b""], "LeCroy: 2 frames begin with 'what' 3, expected one of what 0 or 3, or a sequence from 1 to 2."),
    "samples cut": ([*WHOLE[:2], WHOLE[2][:-8], *WHOLE[3:]], "LeCroy channel 2: the data have 376 bytes, expected 384 for shape [3, 16] of float64."),
    "no numbers": ([WHOLE[0], traces(2, 0, 3, dtype="O")[0], *WHOLE[2:]], "LeCroy channel 2: field 'dtype' is 'O', expected the name of a numeric dtype such as 'uint16'."),
    "no channels": ([start()[0].replace(b"[2,4]", b"[]"), *WHOLE[1:]], "LeCroy: field 'channels' is [], expected a list of channels."),
    "no frames": ([orjson.dumps(PREPARE | {"what": 3})], "LecroyStop: field 'frames' is missing; there are 'htype', 'what', 'frame'."),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "complaint"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_contribution_is_a_bad_event(frames: list[bytes], complaint: str) -> None:
    with pytest.raises(BadEvent) as caught:
        parse(StreamData(TYP, list(frames)))

    assert str(caught.value) == complaint


def test_a_contribution_of_another_protocol_is_refused() -> None:
    with pytest.raises(BadEvent, match=rf"^LeCroy: typ is 'STINS', expected '{TYP}'\. Parse it with its own protocol\.$"):
        parse(StreamData("STINS", []))


def test_each_trigger_of_a_continuous_scope_is_an_event_that_begins_with_the_only_start() -> None:
    assembler = LecroyAssembler()
    events = continuous(range(3))

    packets = fed(assembler, [[orjson.dumps(PREPARE)]], *events, [[orjson.dumps(STOP)]])

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", 0), ("data", 1), ("data", 2), ("end", None)]
    assert [packet.data for packet in packets[1:4]] == [event(events[0]), event([start(), *events[1]]), event([start(), *events[2]])]
    assert assembler.close() == {}


def test_each_sequence_is_an_event_with_its_own_start() -> None:
    assembler = LecroyAssembler()
    events = sequential(range(3))

    packets = fed(assembler, [[orjson.dumps(PREPARE)]], *events, [[orjson.dumps(STOP)]])

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", 0), ("data", 1), ("data", 2), ("end", None)]
    assert [packet.data for packet in packets[1:4]] == [event(wire) for wire in events]
    assert assembler.close() == {}


INCOMPLETE = {"incomplete sequence": 1}
ORPHANS = {"traces without the start of their sequence": 2, "incomplete sequence": 1}


@pytest.mark.parametrize(
    ("lost", "counts"),
    [(0, ORPHANS), (1, INCOMPLETE), (2, INCOMPLETE), (3, INCOMPLETE)],
    ids=["start", "first traces", "last traces", "end"],
)
def test_a_lost_message_costs_its_sequence_and_never_another_one(lost: int, counts: dict[str, int]) -> None:
    assembler = LecroyAssembler()
    events = sequential(range(5))
    wires = [list(wire) for wire in events]
    del wires[2][lost]

    packets = fed(assembler, *wires)

    assert [packet.frame for packet in packets] == [0, 1, 3, 4]
    assert [packet.data for packet in packets] == [event(events[n]) for n in (0, 1, 3, 4)]
    assert assembler.close() == counts


@pytest.mark.parametrize("lost", range(3), ids=["first traces", "last traces", "end"])
def test_a_lost_message_of_a_continuous_scope_costs_its_trigger_and_never_another_one(lost: int) -> None:
    assembler = LecroyAssembler()
    wires = continuous(range(5))
    del wires[2][lost]

    packets = fed(assembler, *wires)

    assert [packet.frame for packet in packets] == [0, 1, 3, 4]
    assert packets[2].data == event([start(), *wires[3]])
    assert assembler.close() == INCOMPLETE


def test_traces_and_end_of_different_triggers_are_not_joined() -> None:
    assembler = LecroyAssembler()
    first, second, third = continuous(range(3))

    packets = fed(assembler, first[:-1], second[-1:], third)

    assert [packet.frame for packet in packets] == [2]
    assert assembler.close() == INCOMPLETE


def test_triggers_are_counted_from_the_start_of_the_sequence() -> None:
    assembler = LecroyAssembler()

    packets = fed(assembler, [start(frame=10), traces(2, 10), traces(4, 11), end(12), traces(2, 12), traces(4, 13), end(14)])

    assert [packet.frame for packet in packets] == [0, 1]


def test_a_sequence_that_is_not_complete_at_the_end_is_counted() -> None:
    assembler = LecroyAssembler()

    assert fed(assembler, sequential(range(1))[0][:2]) == []
    assert assembler.close() == INCOMPLETE


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ([], "LeCroy: the message has no frame"),
        ([b"{"], "LeCroy: the header is not JSON"),
        (traces(2, 2)[:2], "LeCroy: traces have 2 frames, expected 3: header, samples and timestamps."),
        (traces(2, 2, ch="C2"), "LeCroy: field 'ch' is 'C2', expected a whole number from 0 on."),
        ([b'{"htype": "msg", "what": true}'], "LeCroy: fields 'htype', 'what' are 'msg', True"),
    ],
    ids=["empty", "no JSON", "two parts", "no channel", "unknown what"],
)
def test_a_damaged_message_is_counted_and_the_next_trigger_is_read(message: list[bytes], complaint: str) -> None:
    assembler = LecroyAssembler()
    first, second = continuous(range(2))
    fed(assembler, first)

    with pytest.raises(BadEvent) as caught:
        assembler.feed(message)

    assert str(caught.value).startswith(complaint)
    assert [packet.frame for packet in fed(assembler, second)] == [1]
    assert assembler.close() == {"damaged message": 1}
