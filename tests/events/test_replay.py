"""Replays: order, virtual workers, ticks, timers, parameters, errors; the same for any number of processes."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError
from penstock.events.job import ReplayJob
from penstock.events.reducing import ReducerFailed
from penstock.events.replay import Replay, targets
from penstock.events.sources import Listed, Streamed, open_files
from penstock.events.workers import ResultNotSent, WorkerFailed
from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData

CODE = """
import logging
from dataclasses import dataclass

from penstock.stream.parameters import IntParameter

logger = logging.getLogger("user")


@dataclass
class Seen:
    value: int
    before: int


class Worker:
    def __init__(self, state=None):
        self.name = state.name
        self.count = 0

    @staticmethod
    def describe_parameters():
        return [IntParameter(name="factor", default=1), IntParameter(name="fails_at", default=-1), IntParameter(name="lambda_at", default=-1)]

    def get_tick_interval(self, parameters):
        return 2.5

    def process_event(self, event, parameters, tick):
        number = event.event_number
        if number == parameters["fails_at"].value:
            raise ZeroDivisionError("cannot go on")
        if number == parameters["lambda_at"].value:
            return lambda: number
        logger.info("event %d tick %s", number, tick)
        self.count += 1
        if "det" in event.streams:
            return Seen(parameters["factor"].value * int(bytes(event.streams["det"].frames[0])), self.count)

    def finish(self, parameters=None):
        logger.info("%s finished after %d", self.name, self.count)


class Reducer:
    def __init__(self):
        self.lines = []
        self.publish = {}

    def process_result(self, result, parameters=None):
        if result.event_number == 3 and parameters["factor"].value == 13:
            raise LookupError("thirteen")
        self.lines.append((result.event_number, result.worker, result.payload.value, result.payload.before))

    def timer(self, parameters):
        self.lines.append("timer")
        return 3.0

    def finish(self, parameters=None):
        self.lines.append("finish")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a user's module, of a name of its own, and a capture of ten events one second apart."""
    (tmp_path / f"user_{tmp_path.name}.py").write_text(textwrap.dedent(CODE))
    with CaptureWriter(tmp_path / "run.cbors") as writer:
        for number in range(10):
            streams = {} if number == 5 else {"det": StreamData("x", [str(number).encode()])}
            writer.write(EventData(number, streams, 1_700_000_000_000_000_000 + number * 1_000_000_000))
    return tmp_path


def job(folder: Path, n_workers: int = 3, **changes: Any) -> ReplayJob:
    """A replay of the user's module over the capture."""
    module = f"user_{folder.name}"
    values: dict[str, Any] = {"open_source": partial(open_files, (folder / "run.cbors",)), "n_workers": n_workers}
    return ReplayJob(f"{module}:Worker", f"{module}:Reducer", folder, **{**values, **changes})


def lines(replay: Replay) -> list[Any]:
    """What the reducer noted."""
    found: list[Any] = replay.reducer.user.lines
    return found


def test_the_first_event_goes_to_all_virtual_workers_and_others_by_number() -> None:
    assert [list(targets(i, n, 3)) for i, n in enumerate((0, 1, 2, 3, 4, 7))] == [[0, 1, 2], [0], [1], [2], [0], [0]]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_the_order_of_events_whatever_the_processes(folder: Path, processes: int) -> None:
    replay = Replay(job(folder), processes)

    report = replay.run()

    assert (report.events, report.results) == (10, 11)
    w = "replay-worker-{}".format
    assert lines(replay) == [
        "timer",
        (0, w(0), 0, 1), (0, w(1), 0, 1), (0, w(2), 0, 1),
        (1, w(0), 1, 2), (2, w(1), 2, 2), "timer", (3, w(2), 3, 2), (4, w(0), 4, 3),
        "timer", (6, w(2), 6, 3), (7, w(0), 7, 4), (8, w(1), 8, 4), "timer", (9, w(2), 9, 4),
        "finish",
    ]  # fmt: skip


@pytest.mark.parametrize("processes", [1, 2])
def test_log_lines_come_in_the_order_of_events_and_ticks_follow_the_clock_of_the_recording(
    folder: Path, processes: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="user")
    logging.getLogger().setLevel(logging.INFO)

    Replay(job(folder, 2), processes).run()

    told = [r.getMessage() for r in caplog.records if r.name == "user"]
    ticks = {int(t.split()[1]) for t in told if t.endswith("tick True")}
    assert ticks == {0, 3, 6, 9}
    assert [int(t.split()[1]) for t in told[:-2]] == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert told[-2:] == ["replay-worker-0 finished after 6", "replay-worker-1 finished after 5"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_that_raises_ends_the_replay_after_the_events_before_it(folder: Path, processes: int) -> None:
    replay = Replay(job(folder, parameters={"fails_at": b"4"}), processes)

    with pytest.raises(WorkerFailed, match=r"event 4, replay-worker-0: ZeroDivisionError: cannot go on") as caught:
        replay.run()

    assert caught.value.event_number == 4
    assert 'raise ZeroDivisionError("cannot go on")' in caught.value.text
    assert lines(replay)[-1] == (3, "replay-worker-2", 3, 2)


@pytest.mark.parametrize("processes", [1, 2])
def test_where_the_request_says_so_it_is_counted_with_its_first_traceback(folder: Path, processes: int) -> None:
    report = Replay(job(folder, parameters={"fails_at": b"4"}, on_error="reject"), processes).run()

    assert report.rejected == {"ZeroDivisionError: cannot go on": 1}
    assert "ZeroDivisionError" in report.first_traceback
    assert report.events == 10


@pytest.mark.parametrize("processes", [1, 2])
def test_a_result_that_cannot_be_pickled_is_named(folder: Path, processes: int) -> None:
    with pytest.raises(ResultNotSent, match=r"event 2, replay-worker-1: the result, a builtins\.function, cannot be pickled"):
        Replay(job(folder, parameters={"lambda_at": b"2"}), processes).run()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_result_that_cannot_be_pickled_ends_the_replay_also_where_events_may_be_rejected(folder: Path, processes: int) -> None:
    with pytest.raises(ResultNotSent, match=r"event 2, replay-worker-1: the result"):
        Replay(job(folder, parameters={"lambda_at": b"2"}, on_error="reject"), processes).run()


def test_a_reducer_that_raises_is_told_with_the_event(folder: Path) -> None:
    with pytest.raises(ReducerFailed, match=r"event 3, reducer: LookupError: thirteen"):
        Replay(job(folder, parameters={"factor": b"13"})).run()


def test_a_parameter_of_the_wrong_type_is_refused_before_anything_runs(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"parameter 'factor': 'two' is not a whole number"):
        Replay(job(folder, parameters={"factor": b"two"}))


def test_a_parameter_that_is_set_reaches_worker_and_reducer_at_the_next_event_and_is_recorded(folder: Path) -> None:
    replay = Replay(job(folder, 1))
    take = replay.reducer.take
    hashes = []

    def spy(number: int, worker: str, payload: Any) -> None:
        take(number, worker, payload)
        hashes.append(replay.reducer.parameters_hash)
        if number == 6:
            replay.board.set("factor", b"10")

    replay.reducer.take = spy  # type: ignore[method-assign]
    report = replay.run()

    values = {line[0]: line[2] for line in lines(replay) if isinstance(line, tuple)}
    assert (values[6], values[7]) == (6, 70)
    assert report.changes == [(7, "factor")]
    assert hashes[0] == hashes[5] != hashes[-1]


def test_events_that_are_streamed_or_listed_give_the_same(folder: Path) -> None:
    with open_files([folder / "run.cbors"]) as source:
        events = [source.event(i) for i in range(len(source))]
    sources: list[Callable[[], Any]] = [
        lambda: Listed(events),
        lambda: Streamed(iter(events)),
        partial(open_files, (folder / "run.cbors",)),
    ]

    found = []
    for opened in sources:
        replay = Replay(job(folder, open_source=opened))
        replay.run()
        found.append(lines(replay))

    assert found[0] == found[1] == found[2]


def test_streamed_events_cannot_be_shared_by_processes(folder: Path) -> None:
    with pytest.raises(ConfigError, match="can be read by one process only"):
        Replay(job(folder, open_source=partial(Streamed, iter(()))), 2).run()


@pytest.mark.parametrize(
    "name, message",
    [
        ("worker", "is not of the form 'module.path:Class'"),
        ("nowhere_at_all:Worker", "there is no module 'nowhere_at_all'"),
        ("{module}:Other", "has no class 'Other'; it has Reducer, Seen, Worker"),
        ("{module}:Seen", "has no method 'process_event'"),
    ],
)
def test_a_class_that_is_not_there_is_told(folder: Path, name: str, message: str) -> None:
    wanted = job(folder)
    module = f"user_{folder.name}"

    with pytest.raises(ConfigError, match=message):
        Replay(ReplayJob(name.format(module=module), wanted.reducer, folder, wanted.open_source))
