"""One step: one stage on one subject, from claim to commit."""

from __future__ import annotations

import math
import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from penstock.config import Experiment
from penstock.core.canonical import Key
from penstock.core.errors import PenstockError, RunCancelled
from penstock.core.plan import PlanRow, State
from penstock.core.stage import RunSource, load_dotted
from penstock.core.subject import NoSubject, RunSubject
from penstock.execute._batch import (
    BatchCall,
    BatchFailure,
    BatchResult,
    WorkerLost,
    begun_blocks,
    describe,
    is_content,
    load_assets,
)
from penstock.execute._crew import Crew
from penstock.execute._environment import environment_of
from penstock.execute._events import StepResult, Watcher
from penstock.execute._executor import Executor
from penstock.execute._lanes import Place
from penstock.execute._plan import asset_files, ref_name
from penstock.execute._versions import pinned
from penstock.store import Claims, Counts, Failure, Manifest, Store, translate_errors
from penstock.store.attempts import Attempt, BlockNote, rejections_of, sorted_notes, tally

__all__ = ["Session", "compute"]

POLL_S = 0.2
"""How long a step waits before it looks at the stop flag again, in seconds."""
GRACE_S = 4.0
"""How long batches that are being computed may go on after cancelling, in seconds; with what comes before, five."""


@dataclass(slots=True)
class Session:
    """What the steps of one request share.

    Attributes
    ----------
    permits
        As many as batches may be in flight: two a worker thread.
    places
        Lane and device of each stage, by name.
    pace
        Seconds that a block of each stage takes, as measured so far.
    """

    experiment: Experiment
    store: Store
    claims: Claims
    executor: Executor
    watcher: Watcher
    stop: threading.Event
    permits: threading.Semaphore
    places: Mapping[str, Place]
    pace: dict[str, float] = field(default_factory=dict)


class _Failed(Exception):
    def __init__(self, failure: BatchFailure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def compute(row: PlanRow, session: Session) -> StepResult:
    """Compute, adopt or refuse one row of a plan; failures are recorded and returned, not raised.

    Raises
    ------
    RunCancelled
        The stop flag is set; what was committed stays, whole blocks wait for the next attempt.
    """
    began = time.perf_counter()
    assert row.key is not None
    if row.state is State.FAILED:
        return StepResult(row.run, row.stage.name, row.key, State.FAILED, error=row.why)
    try:
        with translate_errors(session.store.root):
            standing = _claim_or_adopt(row.key, session)
            if standing is not None:
                session.store.enter(standing, _ref(row, session))
                return _result(row, standing, State.CURRENT, time.perf_counter() - began)
        try:
            step = _Step(row, session)
            n_events = step.count_events()
            with translate_errors(session.store.root):
                manifest = step.run(n_events)
                session.store.enter(manifest, _ref(row, session))
        finally:
            session.claims.release(row.key)
    except RunCancelled:
        raise
    except _Failed as failed:
        failure = failed.failure
    except Exception as error:  # noqa: BLE001  recorded with its traceback; the other runs go on
        failure = BatchFailure(describe(error), "", traceback.format_exc(), is_content(error))
    else:
        return _result(row, manifest, State.COMPUTED, time.perf_counter() - began)
    if (standing := _done_by_another(row, session)) is not None:
        return _result(row, standing, State.CURRENT, time.perf_counter() - began)
    return _record(row, session, failure)


def _claim_or_adopt(key: Key, session: Session) -> Manifest | None:
    """Wait until the key is ours to compute (None) or somebody has computed it (its manifest)."""
    while True:
        if (standing := session.store.standing(key)) is not None:
            return standing
        if session.claims.take(key):
            if (standing := session.store.standing(key)) is not None:
                session.claims.release(key)
                return standing
            session.store.set_aside(key)
            return None
        if session.stop.wait(POLL_S):
            raise RunCancelled(f"cancelled while another process computed artifact {key.short}")


def _done_by_another(row: PlanRow, session: Session) -> Manifest | None:
    """The result that stands although we failed: whoever takes over the claim of a process that slept, takes its blocks away too."""
    assert row.key is not None
    try:
        if (standing := session.store.standing(row.key)) is not None:
            session.store.enter(standing, _ref(row, session))
    except (OSError, PenstockError):
        # The store does not answer either; what is told is the first failure.
        return None
    return standing


def _ref(row: PlanRow, session: Session) -> str:
    assert row.subject is not None
    return ref_name(session.experiment, row.subject.label, row.stage.name)


def _record(row: PlanRow, session: Session, failure: BatchFailure) -> StepResult:
    assert row.key is not None
    where = f", events {failure.events}" if failure.events else ""
    error = (
        failure.error if failure.error.startswith(f"run {row.run}") else f"run {row.run}, stage {row.stage.name!r}{where}: {failure.error}"
    )
    kept = Failure(row.key, row.run, row.stage.name, error, failure.events, failure.traceback, failure.content)
    try:
        session.store.record_failure(kept)
    except OSError as disk:
        error = f"{error} (and the failure could not be recorded: {disk})"
    return StepResult(row.run, row.stage.name, row.key, State.FAILED, error=error)


def _result(row: PlanRow, manifest: Manifest, state: State, seconds: float) -> StepResult:
    counts = manifest.counts
    cpu = float(str(manifest.times.get("cpu_seconds", 0.0))) if state is State.COMPUTED else 0.0
    rejected, excluded = sum(counts.rejected.values()), sum(counts.excluded.values())
    return StepResult(
        row.run, row.stage.name, manifest.key, state, counts.events_in, counts.events_out, seconds, cpu, None, rejected, excluded
    )


class _Step:
    """The computing of one row under its claim."""

    def __init__(self, row: PlanRow, session: Session) -> None:
        assert row.key is not None
        assert isinstance(row.subject, RunSubject)
        self.row = row
        self.session = session
        self.subject = row.subject
        self.place = session.places[row.stage.name]
        self.key = row.key
        self.home = session.store.home(row.key)
        self.started = datetime.now(UTC)
        self.batches: list[tuple[int, ...]] = []
        self.tickets: dict[int, object] = {}
        self.crew = Crew(session.executor, replace(row.stage, lane=self.place.lane))
        self.outcomes: queue.Queue[tuple[int, BatchResult | BaseException]] = queue.Queue()
        self.in_flight = 0

    def run(self, n_events: int) -> Manifest:
        """Compute and publish the artifact of `n_events` events; the manifest that stands afterwards."""
        self.session.watcher.began(self.row, n_events)
        attempt = Attempt.begin(self.session.store.root, self.home)
        keep = True
        try:
            notes = attempt.adopt()
            adopted = len(notes)
            self.session.watcher.advanced(self.row, sum(n.n_events for n in notes.values()))
            blocks = range(max(1, math.ceil(n_events / self.row.stage.block)))
            self._compute_blocks(attempt, blocks, n_events, notes)
            if self.row.stage.unit == "parts":
                parts = tuple(attempt.blocks / notes[b].file for b in blocks)
                self._compute_blocks(attempt, range(len(blocks), len(blocks) + 1), n_events, notes, parts)
            return self._commit(attempt, n_events, sorted_notes(notes), adopted)
        except _Failed as failed:
            keep = not failed.failure.content
            raise
        finally:
            self._settle(attempt)
            if not (self.home / "manifest.json").exists():
                attempt.abandon(keep_blocks=keep)

    def count_events(self) -> int:
        """Events of the subject, after the selection. Opening the run here also tells a bad file before anything is submitted."""
        stage = self.row.stage
        if stage.unit == "run":
            return 1
        if stage.unit == "parts" or stage.subject == "none":
            assets = load_assets(stage, self.session.experiment.instrument, self._asset_files())
            source = {"source": self._source()} if stage.unit == "parts" else {}
            return int(load_dotted(stage.count)(params=self.row.params, **source, **assets))
        bindings, pipeline = self.session.experiment.pipeline.bindings[stage.name], self.session.experiment.pipeline
        inputs = [self.row.inputs[slot] for slot, source in bindings.items() if source is not None and pipeline[source].subject == "run"]
        if inputs:
            return self.session.store.manifest(inputs[0]).n_events
        with load_dotted(self.session.experiment.instrument.reader)(*self.subject.run.paths) as reader:
            return len(self.subject.events.positions(reader.n_events))

    def _source(self) -> RunSource:
        """The run as the count of its parts gets it; its inputs are not opened for that."""
        raw = dict(zip((f.role for f in self.subject.run.files), self.subject.run.paths, strict=True))
        reader = load_dotted(self.session.experiment.instrument.reader)
        base = self.session.experiment.path.parent
        return RunSource(self.row.run, raw, {}, lambda: reader(*raw.values()), base, self.session.stop.is_set, self.subject.events)

    def _asset_files(self) -> dict[str, dict[str, Path]]:
        return {slot: asset_files(self.session.experiment, self.session.store, slot) for slot in self.row.stage.assets}

    def _compute_blocks(
        self, attempt: Attempt, blocks: range, n_events: int, notes: dict[int, BlockNote], parts: tuple[Path, ...] | None = None
    ) -> None:
        todo = deque(b for b in blocks if b not in notes)
        while todo or self.in_flight:
            if self.session.stop.is_set():
                self._stop(attempt)
            if todo and self.outcomes.empty() and self.session.permits.acquire(timeout=0 if self.in_flight else POLL_S):
                count = self._batch_size(len(todo))
                self._submit(attempt, n_events, tuple(todo.popleft() for _ in range(count)), parts)
                continue
            todo.extendleft(reversed(self._receive(attempt, notes)))

    def _batch_size(self, left: int) -> int:
        """Blocks of the next batch: about two seconds of work, and no more than leaves every worker its share of the rest."""
        resources = self.session.experiment.resources
        if resources.batch_blocks is not None:
            return min(left, resources.batch_blocks)
        pace = self.session.pace.get(self.row.stage.name)
        by_time = 1 if pace is None else max(1, int(resources.batch_seconds / max(pace, 1e-6)))
        return max(1, min(by_time, math.ceil(left / (2 * self.session.executor.slots))))

    def _submit(self, attempt: Attempt, n_events: int, blocks: tuple[int, ...], parts: tuple[Path, ...] | None) -> None:
        experiment, stage = self.session.experiment, self.row.stage
        call = BatchCall(
            stage=stage.name,
            version=stage.version,
            fingerprint=self.row.code.fingerprint,
            plugins=experiment.plugins,
            params=self.row.params.model_dump_json(),
            instrument=experiment.instrument.name,
            run=self.row.run,
            raw=dict(zip((f.role for f in self.subject.run.files), self.subject.run.paths, strict=True)),
            events=self.subject.events,
            n_events=n_events,
            inputs={slot: self.session.store.home(key) for slot, key in self.row.inputs.items()},
            assets=self._asset_files(),
            blocks=blocks,
            store=self.session.store.root,
            folder=attempt.blocks,
            stop_file=attempt.stop_file,
            lane=self.place.lane,
            device=self.place.device,
            versions=pinned(stage),
            base=experiment.path.parent,
            parts=parts,
        )
        number = len(self.batches)
        self.batches.append(blocks)
        self.in_flight += 1
        try:
            self.tickets[number] = self.session.executor.submit(call, self._on_done(number, len(blocks)))
        except BaseException:
            self.in_flight -= 1
            self.session.permits.release()
            raise

    def _on_done(self, number: int, n_blocks: int) -> Callable[[BatchResult | BaseException], None]:
        def done(outcome: BatchResult | BaseException) -> None:
            self.session.permits.release()
            if isinstance(outcome, BatchResult) and outcome.failure is None and not outcome.stopped:
                before = self.session.pace.get(self.row.stage.name)
                pace = outcome.seconds / n_blocks
                self.session.pace[self.row.stage.name] = pace if before is None else 0.5 * (before + pace)
            self.outcomes.put((number, outcome))

        return done

    def _receive(self, attempt: Attempt, notes: dict[int, BlockNote]) -> tuple[int, ...]:
        """Take the outcome of one batch, if there is one; the blocks that must be computed again, because their worker died."""
        try:
            number, outcome = self.outcomes.get(timeout=POLL_S)
        except queue.Empty:
            self.crew.look()
            return ()
        self.in_flight -= 1
        del self.tickets[number]
        if isinstance(outcome, WorkerLost):
            if (failure := self.crew.blame(attempt.blocks, self.batches[number], outcome)) is not None:
                raise _Failed(failure)
            return self.batches[number]
        if isinstance(outcome, BaseException):
            raise _Failed(BatchFailure(str(outcome), "", "".join(traceback.format_exception(outcome)), content=False))
        for note in outcome.notes:
            notes[note.block] = note
        self.session.watcher.advanced(self.row, sum(n.n_events for n in outcome.notes))
        if outcome.failure is not None:
            raise _Failed(outcome.failure)
        if outcome.stopped:
            raise RunCancelled(f"run {self.row.run}, stage {self.row.stage.name!r}: cancelled")
        return ()

    def _stop(self, attempt: Attempt) -> None:
        attempt.stop_file.touch()
        raise RunCancelled(f"run {self.row.run}, stage {self.row.stage.name!r}: cancelled")

    def _settle(self, attempt: Attempt) -> None:
        """Leave no batch of this step behind: waiting ones are forgotten, running ones get some seconds to notice."""
        if not self.tickets:
            return
        attempt.stop_file.touch()
        self.session.executor.cancel([t for n, t in self.tickets.items() if not begun_blocks(attempt.blocks, self.batches[n])])
        deadline = time.monotonic() + GRACE_S
        while self.in_flight and time.monotonic() < deadline:
            try:
                number, _ = self.outcomes.get(timeout=POLL_S)
            except queue.Empty:
                continue
            self.in_flight -= 1
            del self.tickets[number]
        self.session.executor.abort(list(self.tickets.values()))

    def _commit(self, attempt: Attempt, n_events: int, notes: list[BlockNote], adopted: int) -> Manifest:
        row, stage = self.row, self.row.stage
        alone = stage.subject == "none"
        spent = sum(n.cpu_s for n in notes)
        if stage.unit == "parts":
            notes = [replace(notes[-1], block=0)]
            n_events = notes[0].n_events
        joining = time.process_time()
        files = attempt.join(stage.writes, notes, stage.block, stage.name.rpartition(".")[2])
        rejections = rejections_of(notes, stage.block)
        rejected, excluded = tally(notes)
        events_in = sum(n.events_in for n in notes)
        rows = {t: sum(n.rows[t] for n in notes) for t in (notes[0].rows if notes else {})}
        finished = datetime.now(UTC)
        manifest = Manifest(
            key=self.key,
            stage=stage.name,
            schema=stage.writes.schema_id(),
            storage=stage.writes.storage,
            subject=NoSubject().label if alone else self.subject.label,
            run=None if alone else row.run,
            n_events=n_events,
            block=stage.block,
            counts=Counts(events_in, events_in - sum(len(n.rejections) for n in notes), dict(rejected), dict(excluded), rows),
            files=files,
            rejections=rejections,
            recipe=dict(row.recipe),
            origins=dict(row.origins),
            inputs=dict(row.inputs),
            code={"version": stage.version, "fingerprint": row.code.fingerprint, "locked": row.code.locked, "body": stage.body},
            environment=environment_of(note.environment for note in notes),
            times={
                "started": self.started.isoformat(),
                "finished": finished.isoformat(),
                "seconds": (finished - self.started).total_seconds(),
                "cpu_seconds": spent + time.process_time() - joining,
                "adopted_blocks": adopted,
            },
        )
        return attempt.publish(manifest, stage.writes, stage.tolerance)
