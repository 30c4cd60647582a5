"""The artifacts that a flow run shows: progress, the plan before, the run table after, and a figure for each stage.

The run table of the whole experiment, with every run that lies on disk, is an artifact too, and a page beside experiment.toml.

Artifact keys begin with the experiment's name, so that the UI keeps the history of each experiment together.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, create_table_artifact
from prefect.artifacts import update_progress_artifact as update_progress
from prefect.logging import get_run_logger

from penstock.config import Experiment
from penstock.core.plan import PlanRow
from penstock.core.selection import RunRange
from penstock.core.stage import Stage, load_dotted
from penstock.execute import Planner, Request, StepResult
from penstock.store import Store
from penstock.views import RunTable
from penstock.views.run_table_html import figure_name, write_run_table_html
from penstock.views.tables import run_table as count_runs
from penstock_flows._tables import all_runs, count_plan, plan_table, run_table, run_table_description

__all__ = ["Board"]

INTERVAL_S = 3.0
"""Least time between two updates of the progress, each of which is a call of the API."""

PAGE = "run-table.html"
"""Name of the page beside experiment.toml."""

LARGEST_IMAGE = 1 << 20
"""A larger figure is named by its path and not put into Prefect's database, in bytes."""


class Board:
    """Publishes the artifacts of one flow run. To be used from the thread of the flow."""

    def __init__(self, experiment: Experiment, store: Store) -> None:
        self._store = store
        self._experiment = experiment
        self._prefix = re.sub(r"[^a-z0-9]+", "-", experiment.name.lower()).strip("-") or "experiment"
        self._rows: Sequence[PlanRow] = ()
        self._page = experiment.path.with_name(PAGE)
        self._table: RunTable | None = None
        self._progress: UUID | None = None
        self._shown = -1.0
        self._next = 0.0

    def show_plan(self, rows: Sequence[PlanRow]) -> None:
        """The plan table, and the progress at 0."""
        self._rows = rows
        create_table_artifact(plan_table(rows), key=f"{self._prefix}-plan", description=f"Plan: {count_plan(rows)}.")
        made = create_progress_artifact(0.0, key=f"{self._prefix}-progress", description=count_plan(rows))
        self._progress = cast("UUID", made)

    def show_progress(self, fraction: float, *, now: bool = False) -> None:
        """Update the progress, unless it was updated a moment ago."""
        percent = round(100 * fraction, 1)
        if self._progress is None or percent == self._shown or (time.monotonic() < self._next and not now):
            return
        update_progress(self._progress, percent)
        self._shown = percent
        self._next = time.monotonic() + INTERVAL_S

    def show_results(self, results: Sequence[StepResult], stages: Sequence[Stage]) -> None:
        """The run table of the request, and that of the whole experiment; what cannot be read for it is told and harms no result."""
        ended = {(result.run, result.stage) for result in results}
        rows = [row for row in self._rows if (row.run, row.stage.name) in ended]
        try:
            counted = count_runs(rows, self._store, results, self._experiment.columns)
        except Exception:  # noqa: BLE001  logged; the table is shown without counts
            get_run_logger().exception("the counts of the run table could not be read")
            counted = None
        table = run_table(results, [stage.name for stage in stages], counted)
        create_table_artifact(table, key=f"{self._prefix}-run-table", description=run_table_description(results))
        if len(rows) == len(self._rows):
            self._show_experiment({(result.run, result.stage): result for result in results})

    def _show_experiment(self, results: Mapping[tuple[int, str], StepResult]) -> None:
        """Every run that lies on disk, as experiment.toml has it: without what this request alone set, and all events."""
        experiment, store = self._experiment, self._store
        path = self._page
        try:
            rows = Planner(experiment, store, Request(RunRange("all"))).plan()
            same = [found for row in rows if (found := results.get((row.run, row.stage.name))) and found.key == row.key]
            table = self._table = count_runs(rows, store, same, experiment.columns)
            write_run_table_html(table, path, experiment, store)
        except Exception:  # noqa: BLE001  logged; results are committed already
            get_run_logger().exception("the run table %s could not be written", path)
            return
        text = all_runs(table, f"`{path}` shows them all, to be sorted and filtered, with links to artifacts and figures.", store.name)
        create_markdown_artifact(
            text, key=f"{self._prefix}-runs", description=f"All runs of {experiment.name}, preset {experiment.preset}."
        )

    def show_figure(self, stage: Stage, result: StepResult) -> None:
        """The figure of one artifact, as Markdown with the image in it: an image artifact wants a public address.

        A figure that cannot be drawn is told and harms no result.
        """
        assert result.key is not None
        manifest = self._store.manifest(result.key)
        key = f"{self._prefix}-{stage.name.replace('.', '-').replace('_', '-')}"
        title = f"{stage.name} of run {result.run}, artifact {result.key.short}"
        folder = self._experiment.path.parent
        path = folder / "figures" / figure_name(manifest.subject, stage.name, result.key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn: Path = load_dotted(stage.figure)(self._store, manifest, path)
            content = drawn.read_bytes()
            if self._table is not None:
                # With a link to the figure.
                write_run_table_html(self._table, self._page, self._experiment, self._store)
        except Exception as error:  # noqa: BLE001  logged and shown; results are committed already
            get_run_logger().exception("%s could not be drawn", title)
            create_markdown_artifact(f"{title} could not be drawn: {type(error).__name__}: {error}", key=key, description=title)
            return
        place = f"It lies in `{drawn.relative_to(folder)}`, beside `{self._experiment.path.name}`."
        if len(content) > LARGEST_IMAGE:
            create_markdown_artifact(f"The figure is large. {place}", key=key, description=title)
            return
        image = f"![{title}](data:image/png;base64,{base64.b64encode(content).decode()})"
        create_markdown_artifact(f"{image}\n\n{place}", key=key, description=title)
