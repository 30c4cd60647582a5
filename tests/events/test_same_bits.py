"""The same bits for any number of processes and any size of batches: results, log lines and the reducer's HDF5 file."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import textwrap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.events import _processes
from penstock.events._processes import Crew, RecordKeeper
from penstock.events.job import ReplayJob
from penstock.events.replay import Replay
from penstock.events.sources import open_files
from penstock.events.user_code import load_class
from penstock.events.workers import Mapper
from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData

BEGAN = 1_700_000_000_000_000_000
MODULE = "user_of_same_bits"
CODE = """
import logging
import pickle

import h5py
import numpy as np

from penstock.stream.parameters import StrParameter

logger = logging.getLogger("user_of_same_bits")


class Worker:
    def __init__(self, state=None):
        self.name = state.name
        self.total = 0.1
        self.waiting = []

    def get_tick_interval(self, parameters):
        return 0.4

    def process_event(self, event, parameters, tick):
        values = np.frombuffer(event.streams["det"].frames[0]) if "det" in event.streams else np.zeros(0)
        self.total = self.total / 3 + values.sum()
        self.waiting.append(event.event_number)
        logger.info("%s: event %d, tick %s", self.name, event.event_number, tick)
        if event.event_number % 3 == 1 and not tick:
            return None
        waiting, self.waiting = self.waiting, []
        return {"total": self.total, "tick": tick, "numbers": waiting, "values": values}

    def finish(self, parameters=None):
        logger.info("%s: finished with %r", self.name, self.total)


class Reducer:
    def __init__(self, parameters):
        self.file = h5py.File(parameters["out"].value, "w")
        self.totals = self.file.create_dataset("totals", (0,), maxshape=(None,), dtype="f8", chunks=(16,))
        self.told = []
        self.publish = {}

    @staticmethod
    def describe_parameters():
        return [StrParameter(name="out")]

    def process_result(self, result, parameters=None):
        self.told.append((result.event_number, result.worker, result.parameters_hash, pickle.dumps(result.payload)))
        self.totals.resize(len(self.totals) + 1, axis=0)
        self.totals[-1] = result.payload["total"]

    def timer(self, parameters):
        self.told.append(("timer", len(self.totals)))
        return 0.7

    def finish(self, parameters=None):
        self.file.attrs["results"] = len(self.totals)
        self.file.close()
"""


class Lines(logging.Handler):
    """Collects messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def heard_by(handler: logging.Handler) -> Iterator[None]:
    """Send what the user's module logs to this handler alone."""
    logger = logging.getLogger(MODULE)
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


class CrewHere(Crew):
    """A crew whose members do their work one after the other in this process, in batches as if each had one of its own."""

    def __init__(self, job: ReplayJob, processes: int, parameters: Any) -> None:
        self._job, self._members, self._connections = job, [None] * processes, []
        self._waiting = []
        self._mappers = []
        for number in range(processes):
            indices = tuple(range(number, job.n_workers, processes))
            mapper = Mapper(load_class(job.worker, job.folder, "process_event"), indices, job.n_workers, parameters, job.on_error)
            keeper, (listening, _telling) = RecordKeeper(), multiprocessing.Pipe()
            with heard_by(keeper):
                # A process has a source of its own.
                sent = replace(job, open_source=lambda: pickle.loads(pickle.dumps(job.open_source())))
                self.batches = [batch[:] for batch in _processes._batches(mapper, sent, listening, keeper)]
            self._waiting.append(deque(item for batch in self.batches for item in batch))
            self._mappers.append(mapper)

    def __exit__(self, *_: object) -> None:
        assert not any(self._waiting)

    def finish(self) -> tuple[float, int]:
        for worker in range(self._job.n_workers):
            self._mappers[worker % len(self._mappers)].finish(worker)
        return sum(m.seconds for m in self._mappers), sum(m.calls for m in self._mappers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the user's module."""
    folder = tmp_path_factory.mktemp("same-bits")
    (folder / f"{MODULE}.py").write_text(textwrap.dedent(CODE))
    return folder


def capture(path: Path, numbers: list[int], steps_ms: list[int], lacking: set[int]) -> Path:
    """A capture of events with these numbers and times between them; some lack the stream."""
    path.unlink(missing_ok=True)
    at = BEGAN
    with CaptureWriter(path) as writer:
        for number, step in zip(numbers, steps_ms, strict=True):
            at += step * 1_000_000
            values = np.random.default_rng(number).normal(size=number % 7)
            writer.write(EventData(number, {} if number in lacking else {"det": StreamData("x", [values.tobytes()])}, at))
    return path


def outcome(folder: Path, path: Path, n_workers: int, processes: int) -> tuple[Any, ...]:
    """All that a replay leaves behind."""
    out = folder / "out.h5"
    source = partial(open_files, (path,))
    replay = Replay(ReplayJob(f"{MODULE}:Worker", f"{MODULE}:Reducer", folder, source, {"out": str(out).encode()}, n_workers), processes)
    lines = Lines()
    with heard_by(lines):
        report = replay.run()
    return report.events, report.results, report.calls, replay.reducer.user.told, lines.messages, out.read_bytes()


EVENTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(-50, 400), st.booleans()),
    min_size=1,
    max_size=40,
)
"""Gap before each event, time in ms since the last one, whether it lacks the stream."""


@settings(max_examples=30, deadline=None)
@given(EVENTS, st.integers(1, 5), st.integers(2, 5), st.sampled_from([0, 100, 1 << 16]), st.sampled_from([-1.0, 10.0]))
def test_batches_of_any_size_give_the_same_bits_as_one_process(
    folder: Path, events: list[tuple[int, int, bool]], n_workers: int, processes: int, flush_bytes: int, flush_s: float
) -> None:
    numbers = (np.cumsum([gap for gap, _, _ in events]) - events[0][0]).tolist()
    lacking = {number for number, (_, _, lacks) in zip(numbers, events, strict=True) if lacks}
    path = capture(folder / "run.cbors", numbers, [step for _, step, _ in events], lacking)
    expected = outcome(folder, path, n_workers, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_processes, "FLUSH_BYTES", flush_bytes)
        patch.setattr(_processes, "FLUSH_S", flush_s)
        patch.setattr(_processes, "Crew", CrewHere)
        found = outcome(folder, path, n_workers, processes)

    assert found == expected


@pytest.mark.parametrize("flush_bytes, batches", [(-1, 40), (1 << 16, 1)], ids=["each result alone", "all together"])
def test_results_are_sent_in_batches_of_the_set_size(folder: Path, monkeypatch: pytest.MonkeyPatch, flush_bytes: int, batches: int) -> None:
    path = capture(folder / "run.cbors", list(range(40)), [10] * 40, set())
    monkeypatch.setattr(_processes, "FLUSH_BYTES", flush_bytes)
    monkeypatch.setattr(_processes, "FLUSH_S", 60.0)

    crew = CrewHere(ReplayJob(f"{MODULE}:Worker", "", folder, partial(open_files, (path,)), n_workers=1), 1, {})

    assert len(crew.batches) == batches
    assert sum(len(batch) for batch in crew.batches) == 40


def test_real_processes_give_the_same_bits_as_one(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # processes log at the level of the root logger
    numbers = [n for n in range(150) if n % 11 != 5]
    path = capture(folder / "run.cbors", numbers, [n % 90 for n in numbers], {20, 21, 77})

    one, two, four = (outcome(folder, path, 4, processes) for processes in (1, 2, 4))

    assert one == two == four
    assert len(one[-1]) > 1000
