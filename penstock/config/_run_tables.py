"""Run-range tables: CSV files with values of parameters for ranges of runs, as calibrations write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.config._layers import Layer, fixed_range
from penstock.core.errors import ConfigError

__all__ = ["read_run_table", "write_run_table"]

RANGE = "range"


def read_run_table(path: Path, name: str) -> list[Layer]:
    """A layer for each row of a table, in order.

    The header names ``range`` and parameters by dotted path; an empty cell says nothing, the others are JSON or else text.
    Empty lines and lines that begin with # are skipped.

    Parameters
    ----------
    path
        CSV, UTF-8.
    name
        What the sources of the values and messages call it.

    Raises
    ------
    ConfigError
        With the line, and what is wrong about it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"[tables] runs: {path} is not there.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[tables] runs: {path} cannot be read: {error}") from error
    lines = list(_lines(text))
    if not lines:
        raise ConfigError(
            f"{name} is empty; expected a header such as range,tpc.points.window_time_bucket and a row for each range of runs."
        )
    (first, head), *rows = lines
    for place, column in enumerate(head):
        if not column or column in head[:place]:
            raise ConfigError(
                f"{name}, line {first}: column {place + 1} of the header is {column!r}; every column needs a name of its own."
            )
    if head[0] != RANGE or len(head) < 2:
        raise ConfigError(f"{name}, line {first}: found the header {','.join(head)!r}, expected {RANGE!r} and then names of parameters.")
    return [_layer(f"{name}, line {number}", head, cells) for number, cells in rows]


def write_run_table(path: Path, rows: Sequence[tuple[str, Mapping[str, Any]]], notes: Sequence[str] = ()) -> Path:
    """Write a table that `read_run_table` reads: for each run range the values by dotted path, after lines of notes.

    Raises
    ------
    ConfigError
        The file is there already.
    """
    columns = list(dict.fromkeys(column for _, values in rows for column in values))
    text = io.StringIO()
    text.writelines(f"# {note}\n" for note in notes)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([RANGE, *columns])
    for runs, values in rows:
        writer.writerow([runs, *("" if values.get(c) is None else json.dumps(values[c]) for c in columns)])
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.getvalue())
    except FileExistsError:
        raise ConfigError(f"{path} is there already. Remove it, or name another file.") from None
    return path


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line that says something."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]


def _layer(source: str, head: Sequence[str], cells: Sequence[str]) -> Layer:
    if len(cells) != len(head):
        raise ConfigError(f"{source}: found {len(cells)} cells, expected {len(head)}. Put a range with commas in quotes.")
    values = {name: _value(cell) for name, cell in zip(head[1:], cells[1:], strict=True) if cell}
    return Layer(source, values, fixed_range(cells[0], f"{source}:"))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
