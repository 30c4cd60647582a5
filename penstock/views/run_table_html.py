"""The run table as one HTML file: sortable and filterable, in the colours of the reader's system, and nothing from elsewhere.

Links lead to figures and artifacts, relative to the folder of the file.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from penstock.config import Experiment
from penstock.core.canonical import Key
from penstock.core.plan import State
from penstock.store import Store
from penstock.views.run_table_values import ColumnValue
from penstock.views.tables import DONE, MARKS, Cell, RunTable, total

__all__ = ["about_line", "figure_name", "run_table_html", "value_range", "write_run_table_html"]

_HERE = Path(__file__).parent
_FILTERS = (State.FAILED, State.SKIPPED, State.STALE, State.MISSING, State.CURRENT)
_LEGEND = {
    State.CURRENT: "computed from what experiment.toml and the raw files say now",
    State.STALE: "there is a result, but of other parameters, code or raw data",
    State.MISSING: "never computed, or not registered",
    State.FAILED: "failed, and would fail again with the same input",
}


@dataclass(frozen=True, slots=True)
class _Links:
    """Where things lie, as seen from the folder of the page."""

    base: Path
    figures: Path
    drawn: frozenset[str]
    objects: Path | None
    """The artifacts, or None where no browser reaches them."""
    store: str

    def to(self, path: Path) -> str:
        """An address relative to the page."""
        return quote(Path(os.path.relpath(path, self.base)).as_posix())


def write_run_table_html(table: RunTable, path: Path, experiment: Experiment, store: Store) -> Path:
    """Write the page of an experiment to `path`, whole or not at all.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    about = about_line(experiment.instrument.name, experiment.preset, table, datetime.now(UTC))
    figures = experiment.path.parent / "figures"
    text = run_table_html(table, title=experiment.name, about=about, figures=figures, store=store, base=path.absolute().parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def run_table_html(table: RunTable, *, title: str, about: str, figures: Path, store: Store, base: Path) -> str:
    """The run table as an HTML page.

    Parameters
    ----------
    title, about
        What the experiment is called, and a line on what the table shows.
    figures
        Folder of figures, called as `figure_name` says; those that are there are linked.
    store
        Where the artifacts lie.
    base
        Folder in which the page will lie; links are relative to it.
    """
    drawn = frozenset(path.name for path in figures.iterdir()) if figures.is_dir() else frozenset()
    objects = store.root / "objects" if store.name == str(store.root) else None
    links = _Links(base, figures.absolute(), drawn, objects.absolute() if objects else None, store.name)
    style, script = ((_HERE / f"run_table.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    pieces = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}: run table</title>\n<style>{style}</style>\n</head>\n<body>",
        f'<h1>{escape(title)}</h1>\n<p class="about">{escape(about)}</p>',
        *_tools(table),
        '<div class="scroll" tabindex="0">\n<table>',
        *_head(table),
        "<tbody>",
        *(_row(table, run, links) for run in table.rows),
        "</tbody>",
        *_foot(table),
        "</table>\n</div>",
        *_reasons(table),
        "<h2>Marks</h2>\n<ul>",
        *(f"<li>{MARKS[state]} {state}: {text}</li>" for state, text in _LEGEND.items()),
        f"</ul>\n<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(pieces)


def about_line(instrument: str, preset: str, table: RunTable, made: datetime) -> str:
    """What stands below the title: ``attpc, preset default, 120 runs, as of 2026-11-21 19:04 UTC``."""
    runs = len(table.rows)
    when = made.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{instrument}, preset {preset}, {runs:,} run{'' if runs == 1 else 's'}, as of {when}"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _tools(table: RunTable) -> Iterator[str]:
    yield '<div class="tools">\n<input type="search" placeholder="Filter: run, reason, key …" aria-label="Filter runs">'
    for state in _FILTERS:
        wanted = DONE if state is State.CURRENT else (state,)
        count = sum(any(cell.state in wanted for cell in cells.values()) for cells in table.rows.values())
        if count:
            yield f'<button type="button" data-state="{state}" aria-pressed="false">{MARKS[state]} {state} {count:,}</button>'
    yield "<output></output>\n</div>"


def _head(table: RunTable) -> Iterator[str]:
    yield '<thead>\n<tr><th scope="col" aria-sort="ascending"><button type="button">run</button></th>'
    for stage in table.stages:
        yield f'<th scope="col"><button type="button">{escape(stage)}</button></th>'
    for column in table.columns:
        yield f'<th scope="col" class="number" title="{escape(column.title)}"><button type="button">{escape(column.head)}</button></th>'
    yield "</tr>\n</thead>"


def _row(table: RunTable, run: int, links: _Links) -> str:
    cells = table.rows[run]
    states = " ".join(sorted({str(State.CURRENT if cell.state in DONE else cell.state) for cell in cells.values()}))
    fields = [_cell(stage, cells.get(stage), links) for stage in table.stages]
    fields += [_value(column.head, table.values[run][column.name]) for column in table.columns]
    return f'<tr data-states="{states}"><th scope="row" data-value="{run}">{run}</th>{"".join(fields)}</tr>'


def _cell(stage: str, cell: Cell | None, links: _Links) -> str:
    if cell is None:
        return f'<td data-head="{escape(stage)}" data-value=""></td>'
    head = f'<td class="{cell.state}" data-head="{escape(stage)}" data-value="{"" if cell.counts is None else cell.counts.events_out}"'
    if cell.counts is None:
        why = f"<small>{escape(cell.reason)}</small>" if cell.why else ""
        return f'{head} title="{escape(cell.why)}"><b>{MARKS[cell.state]}</b> {cell.state}{why}</td>'
    notes = [_artifact(cell, links), _figure(cell, links)]
    return f"{head}><b>{MARKS[cell.state]}</b> {escape(cell.summary)}<small>{' '.join(note for note in notes if note)}</small></td>"


def _artifact(cell: Cell, links: _Links) -> str:
    if cell.key is None:
        return ""
    code = f'<code title="{cell.key} in {escape(links.store)}">{cell.key.short}</code>'
    return code if links.objects is None else f'<a href="{links.to(links.objects / cell.key[:2] / cell.key)}/">{code}</a>'


def _figure(cell: Cell, links: _Links) -> str:
    name = "" if cell.key is None else figure_name(cell.subject, cell.stage, cell.key)
    return f'<a href="{links.to(links.figures / name)}">figure</a>' if name in links.drawn else ""


def _value(name: str, found: ColumnValue) -> str:
    done = found.state in DONE
    kind = "nothing" if found.value is None and done else str(found.state)
    text = found.text if done else MARKS[found.state]
    number = "" if found.value is None else repr(found.value)
    return f'<td class="number {kind}" data-head="{escape(name)}" data-value="{number}" title="{escape(found.why)}">{escape(text)}</td>'


def _foot(table: RunTable) -> Iterator[str]:
    yield '<tfoot>\n<tr><th scope="row">all</th>'
    for stage in table.stages:
        found = total(cells[stage] for cells in table.rows.values() if stage in cells)
        yield f'<td data-head="{escape(stage)}">{"" if found is None else escape(found.summary)}</td>'
    for column in table.columns:
        text = value_range(values[column.name] for values in table.values.values())
        yield f'<td class="number" data-head="{escape(column.head)}">{text}</td>'
    yield "</tr>\n</tfoot>"


def figure_name(subject: str, stage: str, key: Key) -> str:
    """What the figure of an artifact is called, so that none is taken for that of another: ``run-0094.tpc.points.4f2k9cqx7d.png``."""
    return f"{subject}.{stage}.{key.short}.png"


def value_range(values: Iterable[ColumnValue]) -> str:
    """The least and the greatest value: ``0.71 … 0.83``; empty where there is none."""
    found = sorted((v for v in values if v.value is not None), key=lambda v: v.value or 0.0)
    if not found:
        return ""
    least, greatest = found[0].text, found[-1].text
    return least if least == greatest else f"{least} … {greatest}"


def _reasons(table: RunTable) -> Iterator[str]:
    if table.reasons:
        yield "<h2>Why not all is current</h2>\n<ul>"
        yield from (f"<li>{escape(reason)}</li>" for reason in table.reasons)
        yield "</ul>"
