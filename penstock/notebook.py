"""An experiment in a notebook: run, plan, tables and events, with progress bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment, load_experiment, nested
from penstock.core.errors import ArtifactMissing, ConfigError
from penstock.core.plan import PlanRow, State
from penstock.core.schema import EVENTS, Records
from penstock.core.selection import EventSelection, RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Planner, Quiet, Request, RunReport

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.views.tables import RunTable

__all__ = ["Event", "OpenExperiment"]

Event = dict[str, Any]
"""One event: its own columns, and a mapping of columns for each ragged table."""


class OpenExperiment:
    """An experiment and its store. Made by ``penstock.open("experiment.toml")``.

    Every method takes runs as a number or a range (``"94-110,!100"``) and parameters as dotted names or nested mappings.
    """

    def __init__(self, path: Path | str, *, preset: str | None = None) -> None:
        self.experiment: Experiment = load_experiment(Path(path), preset=preset)
        self.store = self.experiment.open_store()

    def __repr__(self) -> str:
        found = self.experiment.instrument.find_runs(self.experiment.raw)
        return f"<experiment {self.experiment.name}: {self.experiment.instrument.name}, {len(found)} runs, preset {self.experiment.preset}>"

    def plan(
        self, runs: int | str = "all", *, stages: str = "", events: str | None = None, params: Mapping[str, Any] | None = None
    ) -> list[PlanRow]:
        """What `run` would do: rows of run, stage, key, state and why."""
        return Planner(self.experiment, self.store, _request(runs, stages, events, params)).plan()

    def run(
        self,
        runs: int | str = "all",
        *,
        stages: str = "",
        events: str | None = None,
        params: Mapping[str, Any] | None = None,
        executor: str | None = None,
        workers: int | None = None,
        retry_failed: bool = False,
        progress: bool = True,
    ) -> RunReport:
        """Compute what is not current, with a progress bar a step."""
        from penstock.execute import run
        from penstock.views.progress import Bars

        changes = {name: value for name, value in (("executor", executor), ("workers", workers)) if value is not None}
        resources = self.experiment.resources.model_copy(update=changes)
        request = _request(runs, stages, events, params, retry_failed=retry_failed)
        if not progress:
            return run(self.experiment, self.store, request, watcher=Quiet(), resources=resources)
        with Bars() as bars:
            return run(self.experiment, self.store, request, watcher=bars, resources=resources)

    def runs(self, runs: int | str = "all", *, params: Mapping[str, Any] | None = None) -> RunTable:
        """The run table: a row a run, a column a stage, and those of ``[columns]``."""
        from penstock.views.tables import run_table

        return run_table(self.plan(runs, params=params), self.store, columns=self.experiment.columns)

    def table(
        self,
        stage: str,
        runs: int | str = "all",
        *,
        table: str | None = None,
        events: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Rows of all current results of a stage as one Arrow table, with a first column ``run``; ``.to_pandas()`` makes a frame.

        Parameters
        ----------
        table
            Table of the stage's schema, where it has several (``"points"``, ``"events"``).

        Raises
        ------
        ArtifactMissing
            A run has no current result; says how to compute it.
        """
        import pyarrow as pa

        pieces = []
        for row in self._current(stage, runs, events, params):
            assert row.key is not None
            name = table or row.stage.writes.tables[0].name
            records = self.store.read(self.store.manifest(row.key), row.stage.writes)
            columns = dict(records[name])
            if name != EVENTS and "event" not in columns and "event" in records.columns.get(EVENTS, {}):
                columns = {"event": np.repeat(records[EVENTS]["event"], _rows_of_events(records, name)), **columns}
            size = len(next(iter(columns.values())))
            units = {c.name: c.unit for c in row.stage.writes.table(name).columns}
            fields = [
                pa.field("run", pa.int64()),
                *(pa.field(n, pa.from_numpy_dtype(v.dtype), metadata={"units": units.get(n, "")}) for n, v in columns.items()),
            ]
            pieces.append(
                pa.Table.from_arrays(
                    [pa.array(np.full(size, row.run, dtype="i8")), *(pa.array(v) for v in columns.values())], schema=pa.schema(fields)
                )
            )
        return pa.concat_tables(pieces)

    def events(self, stage: str, run: int, *, events: str | None = None, params: Mapping[str, Any] | None = None) -> Iterator[Event]:
        """The events of a current result, one after another: event columns, and each ragged table as a mapping of columns.

        For a table that belongs to another (points of clusters) the rows of the event come together, with an index
        column named after the parent (``clusters``).
        """
        for row in self._current(stage, run, events, params):
            assert row.key is not None
            manifest = self.store.manifest(row.key)
            for start in range(0, manifest.n_events, manifest.block):
                block = self.store.read(manifest, row.stage.writes, start, start + manifest.block)
                for index in range(block.n_events):
                    yield _event(block.part(index, index + 1))

    def figure(self, stage: str, run: int, path: Path | str, *, params: Mapping[str, Any] | None = None) -> Path:
        """Draw the figure of a current result as PNG."""
        (row,) = self._current(stage, run, None, params)
        assert row.key is not None
        drawn: Path = load_dotted(row.stage.figure)(self.store, self.store.manifest(row.key), Path(path))
        return drawn

    def _current(self, stage: str, runs: int | str, events: str | None, params: Mapping[str, Any] | None) -> list[PlanRow]:
        wanted = self.experiment.pipeline[stage].name
        rows = [r for r in self.plan(runs, stages=stage, events=events, params=params) if r.stage.name == wanted]
        absent = [r for r in rows if r.state is not State.CURRENT]
        if absent:
            first = absent[0]
            raise ArtifactMissing(
                f"run {first.run}: {stage} is {first.state} ({first.why}). Compute it with: exp.run({str(runs)!r}, stages={stage!r}) or penstock run {self.experiment.path} --runs {runs}"
            )
        return rows


def _request(runs: int | str, stages: str, events: str | None, params: Mapping[str, Any] | None, *, retry_failed: bool = False) -> Request:
    if isinstance(runs, int) and runs < 0:
        raise ConfigError(f"run {runs} is negative.")
    return Request(
        runs=RunRange(str(runs)),
        events=EventSelection.parse(events) if events else EventSelection(),
        stages=tuple(s.strip() for s in stages.split(",") if s.strip()),
        overrides=nested(params or {}),
        retry_failed=retry_failed,
        source="params",
    )


def _rows_of_events(records: Records, name: str) -> NDArray[np.int64]:
    counts = np.diff(records.offsets[name])
    parent = records.table(name).per
    if parent in (None, EVENTS):
        return counts
    assert parent is not None
    edges = np.concatenate(([0], np.cumsum(counts)))
    return np.diff(edges[records.offsets[parent]])


def _event(record: Records) -> Event:
    event: Event = {name: values[0] for name, values in record.columns.get(EVENTS, {}).items()}
    for table in record.tables:
        if table.per is None:
            continue
        columns = dict(record[table.name])
        if table.per != EVENTS:
            counts = np.diff(record.offsets[table.name])
            columns[table.per] = np.repeat(np.arange(len(counts)), counts)
        event[table.name] = columns
    return event
