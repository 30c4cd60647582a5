"""The registry: instruments and stages, ours and those of plug-ins; a broken plug-in is listed and disturbs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from penstock.core.errors import ConfigError, nearest
from penstock.core.instrument import Instrument
from penstock.core.stage import Pipeline, Stage, load_dotted

__all__ = ["PluginProblem", "PluginSource", "Registry", "load_registry"]

_STAGES = ("penstock.tpc.stages:STAGES", "penstock.events.stages:STAGES")
_INSTRUMENTS = (
    "penstock.instruments.attpc:INSTRUMENT",
    "penstock.instruments.attpc_get:INSTRUMENT",
    "penstock.instruments.captures:INSTRUMENT",
)


@dataclass(frozen=True, slots=True)
class PluginSource:
    """A module named in experiment.toml: an importable name or a ``.py`` file, and the folder that it is imported from."""

    name: str
    folder: str | None = None
    """Absolute; None for a module that is installed."""

    @classmethod
    def parse(cls, text: str, base: Path) -> PluginSource:
        """A module name, of a module in `base` or installed, or a file relative to `base`."""
        if not text.endswith(".py"):
            beside = base.joinpath(*text.split("."))
            found = beside.with_name(f"{beside.name}.py").is_file() or (beside / "__init__.py").is_file()
            return cls(text, str(base.resolve()) if found else None)
        path = (base / text).resolve()
        if not path.is_file():
            raise ConfigError(f"plug-in {text!r}: {path} is not a file.")
        return cls(path.stem, str(path.parent))


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """A plug-in that could not be loaded, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Stages and instruments by name, and the plug-ins that failed."""

    stages: Mapping[str, Stage]
    instruments: Mapping[str, Instrument]
    problems: tuple[PluginProblem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each stage was declared."""

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        try:
            return self.stages[name]
        except KeyError:
            raise ConfigError(
                f"stage {name!r} is not known.{nearest(name, self.stages)}{self._broken()} List them with: penstock stages ls"
            ) from None

    def instrument(self, name: str) -> Instrument:
        """The instrument of that name."""
        try:
            return self.instruments[name]
        except KeyError:
            known = ", ".join(sorted(self.instruments))
            raise ConfigError(
                f"instrument {name!r} is not known (known: {known}).{nearest(name, self.instruments)}{self._broken()}"
            ) from None

    def pipeline(self, instrument: Instrument, names: Sequence[str]) -> Pipeline:
        """The stages of those names, checked against each other and against the instrument's raw data."""
        return Pipeline(tuple(self.stage(n) for n in names), (instrument.raw,))

    def _broken(self) -> str:
        return "".join(f" Plug-in {p.source!r} failed to load: {p.reason}." for p in self.problems)


@cache
def load_registry(plugins: tuple[PluginSource, ...] = ()) -> Registry:
    """Our own stages and instruments, those of installed plug-ins, and those of the modules in `plugins`."""
    stages: dict[str, Stage] = {}
    sources: dict[str, str] = {}
    instruments: dict[str, Instrument] = {}
    problems: list[PluginProblem] = []
    for dotted in _STAGES:
        _enter(stages, sources, load_dotted(dotted), "penstock")
    for dotted in _INSTRUMENTS:
        instrument = load_dotted(dotted)
        instruments[instrument.name] = instrument
    for point in entry_points(group="penstock.stages"):
        _try(problems, point.value, lambda p=point: _enter(stages, sources, _stages_of(p), p.value))
    for point in entry_points(group="penstock.instruments"):
        _try(problems, point.value, lambda p=point: instruments.update({p.load().name: p.load()}))
    for plugin in plugins:
        _try(problems, plugin.name, lambda p=plugin: _enter_module(stages, sources, instruments, _import(p), p.name))
    return Registry(stages, instruments, tuple(problems), sources)


def _try(problems: list[PluginProblem], source: str, load: object) -> None:
    try:
        load()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001  whatever a plug-in raises is recorded as its reason
        problems.append(PluginProblem(source, f"{type(error).__name__}: {error}"))


def _enter(stages: dict[str, Stage], sources: dict[str, str], found: Iterable[Stage], source: str) -> None:
    for candidate in found:
        if stages.get(candidate.name) is candidate:
            continue
        if candidate.name in stages:
            raise ConfigError(f"stage {candidate.name!r} is declared by {sources[candidate.name]!r} already. Give it a name of its own.")
        stages[candidate.name] = candidate
        sources[candidate.name] = source


def _enter_module(
    stages: dict[str, Stage], sources: dict[str, str], instruments: dict[str, Instrument], module: object, source: str
) -> None:
    found = [value for value in vars(module).values() if isinstance(value, Instrument)]
    for instrument in found:
        if instruments.get(instrument.name, instrument) is not instrument:
            raise ConfigError(f"instrument {instrument.name!r} is declared already. Give it a name of its own.")
    _enter(stages, sources, _stages_in(module, needed=not found), source)
    instruments.update({instrument.name: instrument for instrument in found})


def _import(plugin: PluginSource) -> object:
    if plugin.folder is not None and plugin.folder not in sys.path:
        sys.path.insert(0, plugin.folder)
    return importlib.import_module(plugin.name)


def _stages_of(point: EntryPoint) -> list[Stage]:
    found = point.load()
    if isinstance(found, Stage):
        return [found]
    return list(found) if isinstance(found, list | tuple) else _stages_in(found)


def _stages_in(module: object, *, needed: bool = True) -> list[Stage]:
    found = [value for value in vars(module).values() if isinstance(value, Stage)]
    if needed and not found:
        raise ConfigError("it declares no stage (penstock.core.stage.stage(...)).")
    return found
