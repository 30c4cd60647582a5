"""Virtual workers in processes of their own, whose results come back in the order of events."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, Self

from penstock.core.errors import PenstockError
from penstock.events.job import ReplayJob
from penstock.events.user_code import load_class
from penstock.events.workers import Mapped, Mapper, WorkerFailed
from penstock.stream.parameters import WorkParameter

__all__ = ["Crew", "RecordKeeper"]

FLUSH_BYTES = 1 << 16
"""Results are sent when so many bytes wait."""
FLUSH_S = 0.02
"""Or after so long, in seconds."""
LISTEN_S = 0.01
"""New parameters are looked for between events that far apart, in seconds: a look costs as much as reading an event."""

LogLine = tuple[str, int, str]
"""Name of the logger, level, message."""
Item = tuple[Mapped, list[LogLine]]


class RecordKeeper(logging.Handler):
    """Keeps log records as lines, to be written elsewhere in the order of events."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[LogLine] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; its traceback, where it has one, goes with the message."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._lines.append((record.name, record.levelno, text))

    def drain(self) -> list[LogLine]:
        """What was kept since the last call."""
        lines, self._lines = self._lines, []
        return lines


def repeat_lines(lines: list[LogLine]) -> None:
    """Log lines of another process here."""
    for name, level, text in lines:
        logging.getLogger(name).log(level, "%s", text)


class Crew:
    """Processes among which the virtual workers of a job are shared out, as a context manager."""

    def __init__(self, job: ReplayJob, processes: int, parameters: Mapping[str, WorkParameter]) -> None:
        self._job = job
        context = _fork_server()
        self._connections: list[Connection] = []
        self._members = []
        self._waiting: list[deque[Item]] = [deque() for _ in range(processes)]
        level = logging.getLogger().getEffectiveLevel()
        for number in range(processes):
            ours, theirs = context.Pipe()
            indices = tuple(range(number, job.n_workers, processes))
            member = context.Process(target=_work, args=(theirs, job, indices, dict(parameters), level), daemon=True)
            member.start()
            theirs.close()
            self._connections.append(ours)
            self._members.append(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()
        for member in self._members:
            member.join(timeout=1.0)
            if member.is_alive():
                member.terminate()
                member.join()

    def next_of(self, worker: int) -> Mapped:
        """The next result of a virtual worker; its log lines are repeated here.

        Raises
        ------
        WorkerFailed
            The process died.
        """
        number = worker % len(self._members)
        waiting = self._waiting[number]
        if not waiting:
            waiting.extend(self._hear(number))
        mapped, lines = waiting.popleft()
        if lines:
            repeat_lines(lines)
        return mapped

    def tell(self, parameters: dict[str, WorkParameter]) -> None:
        """Send new parameters to all; each takes them up before an event that it begins soon after."""
        for connection in self._connections:
            connection.send(("parameters", parameters))

    def finish(self) -> tuple[float, int]:
        """Let every virtual worker finish, in order; wall time in the user's code, and the number of calls."""
        for worker in range(self._job.n_workers):
            number = worker % len(self._members)
            self._connections[number].send(("finish", worker))
            repeat_lines(self._hear(number))
        seconds, calls = 0.0, 0
        for number, connection in enumerate(self._connections):
            connection.send(("end", None))
            spent, made = self._hear(number)
            seconds, calls = seconds + spent, calls + made
        return seconds, calls

    def _hear(self, number: int) -> Any:
        try:
            found = self._connections[number].recv()
        except EOFError:
            self._members[number].join(timeout=1.0)
            code = self._members[number].exitcode
            raise WorkerFailed(
                f"a process with virtual workers died (exit code {code}). Look at what it printed, or replay with --processes 1.", None, ""
            ) from None
        if isinstance(found, PenstockError):
            raise found
        return found


def _fork_server() -> ForkServerContext:
    """Processes are forked from one that has imported what all need, which takes half the time that each needs to import it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__, "penstock.compat.dranspose", "penstock.compat.azint"])
    return context


def _work(connection: Connection, job: ReplayJob, indices: tuple[int, ...], parameters: dict[str, WorkParameter], level: int) -> None:
    """Main function of a process: some virtual workers, from their first event to the end."""
    keeper = RecordKeeper()
    logging.basicConfig(level=level, handlers=[keeper], force=True)
    try:
        cls = load_class(job.worker, job.folder, "process_event")
        mapper = Mapper(cls, indices, job.n_workers, parameters, job.on_error)
        for batch in _batches(mapper, job, connection, keeper):
            connection.send(batch)
        while True:
            word, what = connection.recv()
            if word == "finish":
                mapper.finish(what)
                connection.send(keeper.drain())
            elif word == "end":
                connection.send((mapper.seconds, mapper.calls))
                return
    except PenstockError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the replay is over, with or without us


def _batches(mapper: Mapper, job: ReplayJob, connection: Connection, keeper: RecordKeeper) -> Iterator[list[Item]]:
    """Results in batches that are worth a message. A failure ends them, and is told in its place in the order."""
    batch: list[Item] = []
    size, due, listen = 0, time.monotonic() + FLUSH_S, 0.0
    source: Any = job.open_source()
    with source:
        created_at = source.created_at
        for position in mapper.positions(source.numbers).tolist():
            now = time.monotonic()
            if batch and (size > FLUSH_BYTES or now > due):
                yield batch
                batch, size, due = [], 0, now + FLUSH_S
            if now > listen:
                listen = now + LISTEN_S
                while connection.poll():
                    word, what = connection.recv()
                    if word == "parameters":
                        mapper.parameters = what
            event = source.event(position)
            try:
                for mapped in mapper.take(position, event, created_at):
                    batch.append((mapped, keeper.drain()))
                    size += len(mapped.blob or b"")
            except WorkerFailed as failure:
                batch.append((Mapped(position, event.event_number, -1, None, failure), keeper.drain()))
                yield batch
                return
    if batch:
        yield batch
