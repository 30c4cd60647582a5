from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import BadEvent
from penstock.stream.contrast import ContrastAssembler, ContrastFinished, ContrastHeartbeat, ContrastRunning, ContrastStarted, parse
from penstock.stream.models import StreamData

STARTED = {"status": "started", "path": "/data/raw", "scannr": 2, "description": "mesh sx -2 2 3", "snapshot": {"sx": 0.5}}
FINISHED = STARTED | {"status": "finished"}
HEARTBEAT = {"status": "heartbeat"}


def running(x: float) -> OrderedDict[str, Any]:
    return OrderedDict(sx=x, pseudo={"x": np.array([x])}, dt=2.5, status="running")


def message(fields: object, protocol: int = 4) -> bytes:
    return pickle.dumps(fields, protocol)


def contribution(frame: bytes) -> StreamData:
    return StreamData("contrast", [frame])


@pytest.mark.parametrize("protocol", range(6))
def test_keys_of_the_dict_are_attributes(protocol: int) -> None:
    started = parse(contribution(message(STARTED, protocol)))
    point = parse(contribution(message(running(-1.5), protocol)))
    finished = parse(contribution(message(FINISHED, protocol)))

    assert isinstance(started, ContrastStarted)
    assert (started.scannr, started.__dict__["snapshot"]) == (2, {"sx": 0.5})
    assert isinstance(point, ContrastRunning)
    assert (point.status, point.dt, point.__dict__["sx"]) == ("running", 2.5, -1.5)
    assert point.__dict__["pseudo"]["x"].tolist() == [-1.5]
    assert isinstance(finished, ContrastFinished)
    assert isinstance(parse(contribution(message(HEARTBEAT, protocol))), ContrastHeartbeat)


def test_a_scan_becomes_packets_without_heartbeats() -> None:
    assembler = ContrastAssembler()
    scan = [HEARTBEAT, STARTED, running(0.0), HEARTBEAT, running(1.0), FINISHED, HEARTBEAT]

    packets = [packet for fields in scan for packet in assembler.feed([message(fields)])]

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", 0), ("data", 1), ("end", None)]
    assert packets[1].data.frames == [message(running(0.0))]
    assert assembler.close() == {"heartbeat": 3}


def test_each_scan_is_numbered_from_zero() -> None:
    assembler = ContrastAssembler()
    scan = [STARTED, running(0.0), running(1.0), FINISHED, running(2.0), STARTED, running(3.0)]

    packets = [packet for fields in scan for packet in assembler.feed([message(fields)])]

    assert [packet.frame for packet in packets if packet.kind == "data"] == [0, 1, None, 0]


@pytest.mark.parametrize(
    "damaged",
    [message(running(1.0))[:60], message({"status": "running", "file": Path("x")}), message({"status": "paused"}), message([1])],
    ids=["cut", "refused global", "unknown status", "no dict"],
)
def test_a_point_that_cannot_be_read_leaves_the_others_where_they_belong(damaged: bytes) -> None:
    assembler = ContrastAssembler()
    list(assembler.feed([message(STARTED)]))

    before = [packet.frame for packet in assembler.feed([message(running(0.0))])]
    with pytest.raises(BadEvent, match=r"^contrast: "):
        assembler.feed([damaged])
    after = [packet.frame for packet in assembler.feed([message(running(2.0))])]

    assert (before, after) == ([0], [2])
    assert assembler.close() == {"damaged message": 1}


def test_a_damaged_heartbeat_takes_no_number() -> None:
    assembler = ContrastAssembler()
    list(assembler.feed([message(STARTED)]))

    with pytest.raises(BadEvent):
        assembler.feed([message(HEARTBEAT)[:-1]])

    assert [packet.frame for packet in assembler.feed([message(running(0.0))])] == [0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "running", "file": Path("x")}, "contrast: the pickle asks for 'pathlib.*Path'"),
        ({"status": "paused"}, "contrast: field 'status' is 'paused', expected 'started', 'running', 'finished', 'heartbeat'."),
        ({"status": ["running"]}, r"contrast: field 'status' is \['running'\], expected"),
        ({"dt": 1.0}, "contrast: field 'status' is None, expected"),
        ([1, 2], "contrast: the message is list, expected a dict with a status."),
        ({"status": "running", 3: 1}, "contrast: the names of fields are 'status', 3, expected text."),
        ({"status": "running"}, "ContrastRunning: field 'dt' is missing"),
        ({"status": "started", "path": "/data"}, "ContrastStarted: field 'scannr' is missing"),
    ],
)
def test_a_damaged_message_is_named(fields: object, said: str) -> None:
    with pytest.raises(BadEvent, match=said):
        parse(contribution(message(fields)))


def test_a_message_of_several_parts_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"contrast: the message has 2 parts, expected 1."):
        ContrastAssembler().feed([message(running(0.0)), b""])
