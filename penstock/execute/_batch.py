"""Batches: whole blocks of one stage and subject, as a call that travels to a worker and a result that comes back.

Only names, numbers and paths travel; workers read raw files and artifacts themselves and leave blocks in the store.
"""

from __future__ import annotations

import inspect
import os
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from penstock.config import GPU_LANE, PluginSource, load_registry, stage_code
from penstock.core.errors import BadEvent, BadRun, CodeMismatch, ConfigError, LaneMissing, PenstockError, RunCancelled
from penstock.core.instrument import Instrument, RunReader
from penstock.core.params import Params
from penstock.core.schema import Records, Rejection
from penstock.core.selection import EventSelection
from penstock.core.stage import ArtifactFolder, RunSource, Stage, load_dotted
from penstock.core.subject import NoSubject
from penstock.execute._device import array_namespace, is_of_device, worker_environment
from penstock.execute._lanes import Device
from penstock.execute._versions import require
from penstock.store import Manifest, data_folder, read_artifact, translate_errors
from penstock.store.attempts import BlockNote, keep_files, read_note, write_block

__all__ = [
    "BatchCall",
    "BatchFailure",
    "BatchResult",
    "SchedulerLost",
    "WorkerLost",
    "apply_stage",
    "begun_blocks",
    "describe",
    "is_content",
    "load_assets",
    "run_batch",
]


class WorkerLost(PenstockError, RuntimeError):
    """The worker that was given a batch died, whether or not it had begun it."""


class SchedulerLost(LaneMissing):
    """The Dask scheduler went away and did not come back."""


@dataclass(frozen=True, slots=True)
class BatchCall:
    """What a worker needs to compute some blocks. All paths are absolute; the store is on a shared file system."""

    stage: str
    version: int
    fingerprint: str
    plugins: tuple[PluginSource, ...]
    params: str
    """Parameters as JSON."""
    instrument: str
    run: int
    raw: Mapping[str, Path]
    """File by role of the run, in the order of the instrument's roles."""
    events: EventSelection
    n_events: int
    """Events of the whole subject, after the selection."""
    inputs: Mapping[str, Path]
    """Folder of the artifact in each slot."""
    assets: Mapping[str, Mapping[str, Path]]
    """File by role for each asset slot."""
    blocks: tuple[int, ...]
    store: Path
    folder: Path
    """Where the blocks go, in the store."""
    stop_file: Path
    lane: str
    base: Path
    """Folder of experiment.toml."""
    device: Device = "cpu"
    """What a stage of the lane ``gpu`` computes on."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Packages that change results, as the client has them."""
    parts: tuple[Path, ...] | None = None
    """Folders of all parts, in order, where the block to compute is the one that is made of them."""


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """Why a batch failed and at which events; `content` where the same input would fail again."""

    error: str
    events: str
    traceback: str
    content: bool


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Notes of the blocks that were written, and the failure that ended the batch, if any."""

    notes: tuple[BlockNote, ...]
    failure: BatchFailure | None = None
    stopped: bool = False
    seconds: float = 0.0
    """Wall time of the blocks."""
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")


def is_content(error: BaseException) -> bool:
    """Whether the same input would fail again anywhere, so that trying again is of no use."""
    system = OSError | MemoryError | ImportError | ConfigError | CodeMismatch | LaneMissing | WorkerLost
    return isinstance(error, BadRun) or not (isinstance(error, system) or is_of_device(error))


def run_batch(call: BatchCall) -> BatchResult:
    """Compute the blocks of a batch, in order, looking at the stop file between them. Called on workers."""
    began = time.perf_counter()
    notes: list[BlockNote] = []
    events = ""
    try:
        stage = load_registry(call.plugins).stage(call.stage)
        _compare_code(stage, call)
        with _begun(call.folder, call.blocks[0]):
            work = _Work(stage, call)
        with work:
            for block in call.blocks:
                start, stop = block * stage.block, min((block + 1) * stage.block, call.n_events)
                events = f"{start}:{stop}"
                if call.stop_file.exists():
                    return BatchResult(tuple(notes), stopped=True, seconds=time.perf_counter() - began)
                with _begun(call.folder, block):
                    notes.append(read_note(call.folder, block) or work.compute(block, start, stop))
    except RunCancelled:
        return BatchResult(tuple(notes), stopped=True, seconds=time.perf_counter() - began)
    except Exception as error:  # noqa: BLE001  every failure is a result with its event range, recorded by the caller
        failure = BatchFailure(
            describe(error),
            events,
            traceback.format_exc(),
            content=is_content(error),
        )
        return BatchResult(tuple(notes), failure, seconds=time.perf_counter() - began)
    return BatchResult(tuple(notes), seconds=time.perf_counter() - began)


def begun_blocks(folder: Path, blocks: Sequence[int]) -> dict[int, int]:
    """How often each of `blocks` was begun and not ended, by a worker that computes it now or died in it."""
    return {b: n for b in blocks if (n := sum(1 for _ in folder.glob(_mark_name(b, "*"))))}


@contextmanager
def _begun(folder: Path, block: int) -> Iterator[None]:
    """A mark that stays where the worker dies: it tells this block from those that only waited on the same worker."""
    mark = folder / _mark_name(block, uuid.uuid4().hex[:12])
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _mark_name(block: int, mark: str) -> str:
    return f"{block:08d}.begun-{mark}"


class _Work:
    """One stage on one subject: reader, manifests and assets opened once for all blocks of a batch."""

    def __init__(self, stage: Stage, call: BatchCall) -> None:
        self._stage = stage
        self._call = call
        self._body = stage.load_body()
        self._params: Params = stage.params.model_validate_json(call.params)
        self._instrument = load_registry(call.plugins).instrument(call.instrument)
        self._manifests = {slot: (home, Manifest.read(home / "manifest.json")) for slot, home in call.inputs.items()}
        self._assets: dict[str, Any] = {**load_assets(stage, self._instrument, call.assets)}
        takes_namespace = stage.lane == GPU_LANE and "xp" in inspect.signature(self._body).parameters
        self._environment = worker_environment(call.device, known=takes_namespace)
        if takes_namespace:
            self._assets["xp"] = array_namespace(call.device)
        self._wholes: dict[str, Records] = {}
        whole_run = stage.unit in ("run", "parts")
        if not whole_run:
            alone = {slot: found for slot, found in self._manifests.items() if found[1].subject == NoSubject().label}
            self._wholes = {slot: read_artifact(home, manifest, stage.reads[slot]) for slot, (home, manifest) in alone.items()}
        self._reader: RunReader | None = None
        if not whole_run and any(slot not in call.inputs for slot in stage.reads):
            self._reader = self._open_run()
            self._positions = call.events.positions(self._reader.n_events)

    def __enter__(self) -> None:
        if self._reader is not None:
            self._reader.__enter__()

    def __exit__(self, *details: object) -> None:
        if self._reader is not None:
            self._reader.__exit__(*details)

    def compute(self, block: int, start: int, stop: int) -> BlockNote:
        began = time.process_time()
        others = {"params": self._params, **self._assets}
        if self._stage.writes.storage == "files":
            return self._make_files(block, others, began)
        if self._stage.unit == "run":
            inputs: dict[str, Records] = {}
            others["source"] = self._source()
        elif self._stage.subject == "none":
            inputs = {}
            others["positions"] = range(start, stop)
        else:
            inputs = {slot: self._input(slot, start, stop) for slot in self._stage.reads if slot not in self._wholes}
            others |= self._wholes
        upstream = {r.index: r for slot in self._manifests if slot in inputs for r in inputs[slot].rejections}
        if stop > start:
            with _compiling(self._stage):
                records = apply_stage(self._stage, self._body, inputs, others)
        else:
            records = self._stage.writes.empty(0)
        if records.n_events != stop - start:
            raise PenstockError(
                f"stage {self._stage.name!r} returned {records.n_events} records for {stop - start} events; a map stage returns one record an event."
            )
        records.rejections = [r for r in records.rejections if r.index not in upstream]
        with translate_errors(self._call.store):
            return write_block(
                self._call.folder,
                records,
                block=block,
                size=self._stage.block,
                events_in=stop - start - len(upstream),
                cpu_s=time.process_time() - began,
                inherited=[upstream[index] for index in sorted(upstream)],
                environment=self._environment,
            )

    def _input(self, slot: str, start: int, stop: int) -> Records:
        if slot in self._manifests:
            home, manifest = self._manifests[slot]
            return read_artifact(home, manifest, self._stage.reads[slot], start, stop, self._stage.tables.get(slot))
        assert self._reader is not None
        positions = self._positions[start:stop]
        wanted = {"tables": self._stage.tables[slot]} if slot in self._stage.tables else {}
        return self._reader.read(positions.start, positions.stop, positions.step, **wanted)

    def _open_run(self) -> RunReader:
        reader: RunReader = load_dotted(self._instrument.reader)(*self._call.raw.values())
        return reader

    def _source(self) -> RunSource:
        folders = {
            slot: ArtifactFolder(manifest.key, data_folder(home, manifest), partial(read_artifact, home, manifest))
            for slot, (home, manifest) in self._manifests.items()
        }
        call = self._call
        return RunSource(call.run, call.raw, folders, self._open_run, call.base, call.stop_file.exists, call.events)

    def _make_files(self, block: int, others: Mapping[str, Any], began: float) -> BlockNote:
        """Let a stage write files of its own into a folder beside the blocks, and keep them as a block.

        Raises
        ------
        RunCancelled
            The stage was told to stop while it wrote.
        """
        folder = self._call.folder / f".{uuid.uuid4().hex[:12]}"
        folder.mkdir()
        made: Records | None = None
        with _compiling(self._stage):
            if self._call.parts is not None:
                made = load_dotted(self._stage.finish)(source=self._source(), parts=self._call.parts, folder=folder, **others)
            elif self._stage.unit == "parts":
                self._body(source=self._source(), part=block, folder=folder, **others)
            else:
                self._body(source=self._source(), folder=folder, **others)
        if self._call.stop_file.exists():
            raise RunCancelled(f"stage {self._stage.name!r}: cancelled")
        records = self._stage.writes.empty(1) if made is None else made
        with translate_errors(self._call.store):
            spent = time.process_time() - began
            return keep_files(self._call.folder, folder, records, block=block, cpu_s=spent, environment=self._environment)


def load_assets(stage: Stage, instrument: Instrument, files: Mapping[str, Mapping[str, Path]]) -> dict[str, Records]:
    """The asset in each slot of a stage, made from the user's files by role, or the instrument's own."""
    return {slot: load_dotted(instrument.asset_makers[schema.schema_id()])(files.get(slot, {})) for slot, schema in stage.assets.items()}


def apply_stage(stage: Stage, body: Callable[..., Records], inputs: Mapping[str, Records], others: Mapping[str, Any]) -> Records:
    """The records of one block of events, rejections included.

    Parameters
    ----------
    inputs
        The block of each slot.
    others
        The parameters under ``params``, and the asset of each asset slot.
    """
    if stage.unit != "event":
        return body(**inputs, **others)
    pieces: list[Records] = []
    for index in range(next(iter(inputs.values())).n_events):
        event = {slot: records.part(index, index + 1) for slot, records in inputs.items()}
        if any(records.rejections for records in event.values()):
            pieces.append(stage.writes.empty(1))
            continue
        try:
            pieces.append(body(**event, **others))
        except BadEvent as error:
            pieces.append(_rejected(stage, str(error)))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            if stage.on_error != "reject":
                raise
            pieces.append(_rejected(stage, f"{type(error).__name__}: {error}"))
    return stage.writes.concatenate(pieces)


def _rejected(stage: Stage, reason: str) -> Records:
    empty = stage.writes.empty(1)
    empty.rejections = [Rejection(0, reason)]
    return empty


_used: set[str] = set()


@contextmanager
def _compiling(stage: Stage) -> Iterator[None]:
    """At the first use of a stage in this process: one worker of a host compiles its kernels, the others load them."""
    if stage.name in _used:
        yield
        return
    from penstock.kernels import compile_once

    with compile_once(stage.name):
        yield
    _used.add(stage.name)


def _compare_code(stage: Stage, call: BatchCall) -> None:
    require(call.versions)
    ours = stage_code(stage)
    if (stage.version, ours.fingerprint) != (call.version, call.fingerprint):
        raise CodeMismatch(
            f"worker {socket.gethostname()}:{os.getpid()}: stage {stage.name!r} is version {stage.version}, code {ours.fingerprint}; "
            f"the client has version {call.version}, code {call.fingerprint}. Install the same penstock and plug-ins on both and restart the workers."
        )


def describe(error: BaseException) -> str:
    """An error in one line: our own messages as they are, of others the type and the first line; the traceback has the rest."""
    if isinstance(error, PenstockError):
        return str(error)
    first = (str(error) or repr(error)).strip().splitlines()[0]
    return f"{type(error).__name__}: {first}"
