"""Factories of the tests: toy experiments with their runs, and artifacts made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from toyline.raw import write_run
from toyline.schemas import Groups, Hits, Summary

from penstock.config import Experiment, Resources, load_experiment
from penstock.core.canonical import Key, digest_key
from penstock.core.schema import Records
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Planner, Request, RunReport, run
from penstock.store import Counts, Manifest, Store
from penstock.store.attempts import Attempt, rejections_of, write_block

__all__ = [
    "DRIVE",
    "INLINE",
    "ToyExperiment",
    "attempt_of",
    "commit",
    "make_groups",
    "make_hits",
    "make_manifest",
    "make_summary",
    "same_records",
]

INLINE = Resources(executor="inline")
DRIVE = Path(__file__).parent / "drive.py"
BLOCK = 4


@dataclass(slots=True)
class ToyExperiment:
    """A folder with an experiment.toml, raw runs and a store."""

    folder: Path
    store: Store
    inline: ClassVar[Resources] = INLINE

    def open_store(self, root: Path) -> None:
        """Use another store."""
        self.store.close()
        self.store = Store(root)

    def write_run(self, number: int, n_events: int = 20, switches: Mapping[int, str] | None = None, *, seed: int = 0) -> Path:
        """Write a raw run."""
        return write_run(self.folder / "raw", number, n_events, switches, seed=seed)

    def configure(self, text: str = "", *, pipeline: Sequence[str] = (), plugins: Sequence[str] = ("toyline.plugin",)) -> None:
        """Write experiment.toml, with `text` at its end."""
        lines = ["[experiment]", 'name = "toys"', 'instrument = "toy"', 'raw = "raw"']
        lines += [f"pipeline = {list(pipeline)!r}"] if pipeline else []
        (self.folder / "experiment.toml").write_text("\n".join([*lines, "[plugins]", f"modules = {list(plugins)!r}", text]) + "\n")

    def load(self) -> Experiment:
        """Read experiment.toml."""
        return load_experiment(self.folder)

    def request(self, runs: str = "all", *, events: str = "", **changes: object) -> Request:
        """A request for `runs`."""
        selection = EventSelection.parse(events) if events else EventSelection()
        return Request(RunRange(runs), events=selection, **changes)  # type: ignore[arg-type]

    def plan(self, runs: str = "all", **changes: object) -> list[tuple[int, str, str, str]]:
        """Run, stage, state and why of each row of the plan."""
        rows = Planner(self.load(), self.store, self.request(runs, **changes)).plan()  # type: ignore[arg-type]
        return [(r.run, r.stage.name, str(r.state), r.why) for r in rows]

    def run(self, runs: str = "all", *, resources: Resources = INLINE, **changes: object) -> RunReport:
        """Bring `runs` up to date."""
        return run(self.load(), self.store, self.request(runs, **changes), resources=resources)  # type: ignore[arg-type]

    def states(self, report: RunReport) -> dict[int, list[str]]:
        """States of the stages by run."""
        return {number: [str(r.state) for r in results] for number, results in report.by_run().items()}

    def digests(self) -> dict[str, list[str]]:
        """Checksums of the data files by ref."""
        return {name: [f.sha256 for f in self.store.manifest(key).files] for name, key in self.store.refs()}

    def manifest(self, stage: str, run: int = 1) -> Manifest:
        """The manifest of the newest result of a stage."""
        return self.store.manifest(dict(self.store.refs())[f"toys/default/run-{run:04d}/{stage}"])

    def drive(self, *options: str) -> subprocess.Popen[str]:
        """Start the same run in a process of its own."""
        command = [sys.executable, str(DRIVE), str(self.folder), *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def make_hits(n_events: int, *, seed: int = 0) -> Hits:
    """Random hits, some events without any."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, n_events)
    values = rng.random(int(counts.sum()))
    return Hits(
        n_events=n_events,
        columns={
            "events": {"event": np.arange(n_events), "late": np.zeros(n_events, "i4")},
            "hits": {"value": values.astype("f4"), "charge": values**2},
        },
        offsets={"hits": np.concatenate(([0], np.cumsum(counts))).astype("i8")},
    )


def make_groups(n_events: int, *, seed: int = 0) -> Groups:
    """Random groups with random members."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n_events)
    sizes = rng.integers(0, 5, int(counts.sum()))
    return Groups(
        n_events=n_events,
        columns={
            "events": {"event": np.arange(n_events)},
            "groups": {"size": sizes.astype("i4"), "centre": rng.random(sizes.size)},
            "members": {"value": rng.random(int(sizes.sum())).astype("f4")},
        },
        offsets={
            "groups": np.concatenate(([0], np.cumsum(counts))).astype("i8"),
            "members": np.concatenate(([0], np.cumsum(sizes))).astype("i8"),
        },
    )


def make_summary(n_events: int, *, seed: int = 0) -> Summary:
    """A random flat table."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, n_events)
    total = int(counts.sum())
    return Summary(
        n_events=n_events,
        columns={
            "events": {},
            "summary": {
                "event": np.repeat(np.arange(n_events), counts),
                "size": rng.integers(0, 9, total).astype("i4"),
                "total": rng.random(total),
            },
        },
        offsets={"summary": np.concatenate(([0], np.cumsum(counts))).astype("i8")},
    )


def attempt_of(store: Store, key: Key, records: Records, block: int = BLOCK) -> tuple[Attempt, Manifest]:
    """An attempt under `key` that is ready to be published: blocks written and joined."""
    attempt = Attempt.begin(store.root, store.home(key))
    notes = []
    for number, start in enumerate(range(0, max(1, records.n_events), block)):
        piece = records.part(start, min(start + block, records.n_events))
        notes.append(write_block(attempt.blocks, piece, block=number, size=block, events_in=piece.n_events, cpu_s=0.0))
    files = attempt.join(type(records), notes, block, "data")
    return attempt, make_manifest(key, records, files=files, rejections=rejections_of(notes, block))


def make_manifest(key: Key, records: Records, **changes: object) -> Manifest:
    """A manifest of `records`; `changes` replace its fields."""
    fields: dict[str, object] = {
        "key": key,
        "stage": "toy.made",
        "schema": records.schema_id(),
        "storage": records.storage,
        "subject": "run-0001",
        "run": 1,
        "n_events": records.n_events,
        "block": BLOCK,
        "counts": Counts(records.n_events, records.n_events),
        "files": (),
        "rejections": (),
        "recipe": {"stage": "toy.made"},
        "origins": {},
        "inputs": {},
        "code": {},
        "environment": {"host": "here", "numerics": "any"},
        "times": {"finished": "2026-01-01T00:00:00+00:00"},
    }
    return Manifest(**(fields | changes))  # type: ignore[arg-type]


def commit(
    store: Store, name: str, records: Records | None = None, *, ref: str | None = None, inputs: Mapping[str, Key] | None = None
) -> Key:
    """Commit `records` under a key made from `name`."""
    records = records if records is not None else make_hits(10)
    key = digest_key({"name": name})
    attempt, manifest = attempt_of(store, key, records)
    manifest = Manifest(**{**json_free(manifest), "inputs": dict(inputs or {})})  # type: ignore[arg-type]
    store.enter(attempt.publish(manifest, type(records), 0.0), ref)
    return key


def json_free(manifest: Manifest) -> dict[str, object]:
    """The fields of a manifest, as they are."""
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


def same_records(one: Records, other: Records) -> bool:
    """Whether two records have the same bits, dtypes and rejections."""
    columns = all(
        values.dtype == other.columns[table][name].dtype and values.tobytes() == other.columns[table][name].tobytes()
        for table, content in one.columns.items()
        for name, values in content.items()
    )
    offsets = all(np.array_equal(values, other.offsets[table]) for table, values in one.offsets.items())
    return one.n_events == other.n_events and columns and offsets and list(one.rejections) == list(other.rejections)


def report_of(process: subprocess.Popen[str], timeout: float = 60) -> dict[str, object]:
    """The report that a driven process printed."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    report: dict[str, object] = json.loads(out)
    return report
