"""What the pages say of commands, stages and fields is taken from the code when the documentation is built.

A page asks for it with a line such as ``<!-- made: commands -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from penstock.cli import cli
from penstock.cli.stages import parameter_rows
from penstock.config import Resources, load_registry
from penstock.config._columns import ColumnSection
from penstock.config._experiment import _Experiment, _Plugins, _Store, _Tables
from penstock.core.schema import Column, Records
from penstock.core.stage import Stage

__all__ = ["fill", "on_config", "on_page_markdown"]

_MARK = re.compile(r"^<!-- made: ([a-z]+) -->$", re.MULTILINE)
_STORAGE = {"hdf5": "HDF5", "parquet": "Parquet", "arrays": "NumPy arrays", "files": "files of its own", "raw": "the file that is given"}
_UNITS = (
    ("delay_time_bucket", "sample"),
    ("_time_bucket", "time bucket"),
    ("_buckets", "time bucket"),
    ("_mm_per_sqrt_m", "mm/√m"),
    ("_ug_per_cm2", "µg/cm²"),
    ("_v_per_m", "V/m"),
    ("_mev", "MeV"),
    ("_ev", "eV"),
    ("_deg", "°"),
    ("_torr", "Torr"),
    ("_k", "K"),
    ("_samples", "sample"),
    ("_adc", "ADC"),
    ("_rad", "rad"),
    ("_mm", "mm"),
    ("_t", "T"),
    ("_seconds", "s"),
)


def on_config(config: dict[str, Any]) -> dict[str, Any]:
    """Called by mkdocs first: pages of a section's folder that the navigation does not name come last in the section."""
    for section in config["nav"]:
        for pages in section.values() if isinstance(section, dict) else ():
            if isinstance(pages, list):
                folder = Path(pages[0]).parent
                found = sorted((Path(config["docs_dir"]) / folder).glob("*.md"))
                pages += [name for name in ((folder / p.name).as_posix() for p in found) if name not in pages]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """The page with its marks replaced."""
    return _MARK.sub(lambda mark: "\n".join(_MAKERS[mark[1]]()), markdown)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def _commands(group: click.Group = cli, prefix: tuple[str, ...] = ("penstock",)) -> Iterator[str]:
    context = click.Context(group, info_name=" ".join(prefix))
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, (*prefix, name))
        else:
            yield from _command(command, " ".join((*prefix, name)))


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield from (f"## `{name}`", "", command.help or "", "", "```text", usage, (command.epilog or "").removeprefix("Example: "), "```", "")
    options = [p for p in command.params if isinstance(p, click.Option)]
    yield from _table(["option", "meaning"], ([f"`{_spelling(o)}`", _meaning(o, context)] for o in options))


def _spelling(option: click.Option) -> str:
    names = " / ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or option.name.upper() if option.name else ''}"


def _meaning(option: click.Option, context: click.Context) -> str:
    default = option.get_default(context)
    shown = option.show_default and default is not None
    return f"{option.help} Default: `{default}`." if shown else f"{option.help}"


def _stages() -> Iterator[str]:
    for stage in load_registry().stages.values():
        yield from _stage(stage)


def _stage(stage: Stage) -> Iterator[str]:
    yield from (f"## `{stage.name}`", "", _first_line(stage.params), "")
    slots = [f"`{slot}`: `{schema.schema_id()}`" for slot, schema in stage.reads.items()]
    slots += [f"asset `{slot}`: `{schema.schema_id()}`" for slot, schema in stage.assets.items()]
    about = "" if stage.subject == "run" else " Belongs to no run."
    amount = {"run": "the whole run at once", "parts": "the whole run, in parts that are computed apart"}.get(
        stage.unit, f"{stage.block} {'events' if stage.reads else 'rows'} a block"
    )
    yield from (
        f"Version {stage.version}. Reads {', '.join(slots) or 'the files of the run'}. Writes `{stage.writes.schema_id()}`."
        f"{about} Lane `{stage.lane}`, {amount}.",
        "",
    )
    rows = ([f"`{name}`", f"`{default}`", _unit(name), bounds, doc] for name, default, bounds, doc in parameter_rows(stage.params))
    yield from _table(["parameter", "default", "unit", "bounds", "meaning"], rows)


def _schemas() -> Iterator[str]:
    registry = load_registry()
    raw = {instrument.raw.schema_id(): instrument.raw for instrument in registry.instruments.values()}
    written = {stage.writes.schema_id(): stage.writes for stage in registry.stages.values()}
    assets = {schema.schema_id(): schema for stage in registry.stages.values() for schema in stage.assets.values()}
    for schema in (raw | written | assets).values():
        yield from _schema(schema)


def _schema(schema: type[Records]) -> Iterator[str]:
    yield from (f"## `{schema.schema_id()}`", "", f"{_first_line(schema)} Stored as {_STORAGE[schema.storage]}.", "")
    for table in schema.tables:
        rows = "one row an event" if table.per is None else f"its rows belong to those of `{table.per}`"
        yield from (f"Table `{table.name}`: {rows}.", "")
        yield from _table(["column", "type", "unit", "meaning"], ([f"`{c.name}`", _type(c), c.unit, c.doc] for c in table.columns))


def _type(column: Column) -> str:
    dimensions = " × ".join(map(str, column.shape))
    return f"`{column.dtype}`, {dimensions} a row" if dimensions else f"`{column.dtype}`"


def _fields(model: type[BaseModel]) -> Iterator[str]:
    def rows() -> Iterator[list[str]]:
        for name, info in model.model_fields.items():
            value = info.get_default(call_default_factory=True)
            default = "needed" if info.is_required() else "none" if value is None else f"`{value}`"
            yield [f"`{name}`", default, (info.description or "").replace("\n", " ").replace("``", "`")]

    return _table(["field", "default", "meaning"], rows())


def _decisions() -> Iterator[str]:
    for path in sorted((Path(__file__).parent / "adr").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        yield f"* [{title}]({path.name})"


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").partition("\n")[0]


def _unit(name: str) -> str:
    return next((unit for suffix, unit in _UNITS if name.endswith(suffix)), "")


_MAKERS: dict[str, Callable[[], Iterator[str]]] = {
    "columns": lambda: _fields(ColumnSection),
    "commands": _commands,
    "decisions": _decisions,
    "experiment": lambda: _fields(_Experiment),
    "plugins": lambda: _fields(_Plugins),
    "resources": lambda: _fields(Resources),
    "schemas": _schemas,
    "stages": _stages,
    "store": lambda: _fields(_Store),
    "tables": lambda: _fields(_Tables),
}
