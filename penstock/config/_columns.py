"""``[columns]`` of experiment.toml: further columns of the run table, checked against the pipeline and its schemas.

What a column says is computed in `penstock.views`; here it is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from penstock.config._counting import check_counting
from penstock.core.errors import ConfigError, nearest
from penstock.core.schema import EVENTS, Records, Table
from penstock.core.stage import Pipeline, Stage

__all__ = ["ColumnSection", "Reduction", "RunColumn", "read_columns"]

Reduction = Literal["mean", "median", "std", "min", "max", "sum", "count"]

_REDUCTIONS: tuple[str, ...] = get_args(Reduction)
_NUMBERS = "iufb"
"""NumPy kinds of columns that can be reduced."""


class ColumnSection(BaseModel):
    """A column of the run table: either `value`, or `column` with `reduce`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    stage: str
    """Stage whose results the column is about."""
    value: str | None = Field(default=None, min_length=1, max_length=200)
    """Arithmetic with what the stage counted: ``events``, ``events_in``, ``rejected``, ``excluded``, ``rows`` (of its first table), and
    the rows of each of its tables by name: ``rows/events``."""
    column: str | None = None
    """Column of one of the stage's tables."""
    table: str | None = None
    """Its table, where several have a column of that name."""
    reduce: str | None = None
    """``mean``, ``median``, ``std``, ``min``, ``max`` or ``sum`` of the values that are finite, or ``count`` of these."""


@dataclass(frozen=True, slots=True)
class RunColumn:
    """A further column of the run table.

    Attributes
    ----------
    counting
        Arithmetic with counts, or empty where the column reduces values.
    table, column, reduce
        What is read and reduced, or empty.
    unit
        Unit of the values; empty for a number without one.
    identity
        Tells what is computed: with the key of an artifact it names a value that never changes.
    """

    name: str
    stage: str
    schema: type[Records]
    counting: str = ""
    table: str = ""
    column: str = ""
    reduce: str = ""
    unit: str = ""

    @property
    def identity(self) -> str:
        """See the class."""
        return self.counting or f"{self.reduce} {self.table}.{self.column}"

    @property
    def head(self) -> str:
        """What stands above the column: ``median_brho [T·m]``."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def title(self) -> str:
        """What the column shows, in words: ``median of fits.ke [MeV] of tpc.fits``."""
        if self.counting:
            return f"{self.counting} of {self.stage}"
        return f"{self.reduce} of {self.table}.{self.column}{f' [{self.unit}]' if self.unit else ''} of {self.stage}"


def read_columns(sections: Mapping[str, ColumnSection], pipeline: Pipeline, where: str) -> tuple[RunColumn, ...]:
    """The columns that experiment.toml asks for, in its order.

    Raises
    ------
    ConfigError
        A stage, table, column, reduction or count is not known, or the section contradicts itself; with the nearest known name.
    """
    return tuple(_column(name, section, pipeline, f"{where}: [columns] {name!r}") for name, section in sections.items())


def _column(name: str, section: ColumnSection, pipeline: Pipeline, where: str) -> RunColumn:
    taken = ["run", *(stage.name for stage in pipeline.stages)]
    if not name.strip() or name in taken:
        raise ConfigError(f"{where}: the run table has a column of that name already ({', '.join(taken)}). Give it another name.")
    try:
        stage = pipeline[section.stage]
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    given = [field for field in ("column", "table", "reduce") if getattr(section, field) is not None]
    if section.value is not None:
        if given:
            raise ConfigError(
                f"{where}: found 'value' and {given[0]!r}, expected either 'value' or 'column' and 'reduce'. Take one of them out."
            )
        check_counting(section.value, _countable(stage), where)
        return RunColumn(name, stage.name, stage.writes, counting=section.value)
    if section.column is None or section.reduce is None:
        raise ConfigError(f"{where}: found neither 'value' nor both 'column' and 'reduce'. Write value = \"rows/events\", for instance.")
    if section.reduce not in _REDUCTIONS:
        raise ConfigError(
            f"{where}: reduce = {section.reduce!r} is not known ({', '.join(_REDUCTIONS)}).{nearest(section.reduce, _REDUCTIONS)}"
        )
    table = _table(stage, section.column, section.table, where)
    found = table.column(section.column)
    if found.shape or _kind(found.dtype) not in _NUMBERS:
        raise ConfigError(
            f"{where}: column {section.column!r} of {table.name!r} holds no plain numbers ({found.dtype}{found.shape or ''})."
        )
    unit = "" if section.reduce == "count" else found.unit
    return RunColumn(name, stage.name, stage.writes, table=table.name, column=section.column, reduce=section.reduce, unit=unit)


def _countable(stage: Stage) -> list[str]:
    tables = [table.name for table in stage.writes.tables if table.name != EVENTS]
    return ["events", "events_in", "rejected", "excluded", *(["rows"] if tables else []), *tables]


def _table(stage: Stage, column: str, wanted: str | None, where: str) -> Table:
    tables = {table.name: table for table in stage.writes.tables}
    if not tables or stage.writes.storage in ("files", "raw"):
        raise ConfigError(f"{where}: stage {stage.name!r} writes no tables. Name another stage.")
    if wanted is not None and wanted not in tables:
        raise ConfigError(f"{where}: stage {stage.name!r} has no table {wanted!r} ({', '.join(tables)}).{nearest(wanted, tables)}")
    among = [tables[wanted]] if wanted is not None else list(tables.values())
    having = [table for table in among if any(c.name == column for c in table.columns)]
    if not having:
        known = list(dict.fromkeys(c.name for table in among for c in table.columns))
        raise ConfigError(f"{where}: stage {stage.name!r} has no column {column!r} ({', '.join(known)}).{nearest(column, known)}")
    if len(having) > 1:
        raise ConfigError(
            f"{where}: column {column!r} stands in several tables of {stage.name!r} ({', '.join(t.name for t in having)}). Say which with 'table'."
        )
    return having[0]


def _kind(dtype: str) -> str:
    return dtype.lstrip("<>=|")[0].replace("?", "b")
