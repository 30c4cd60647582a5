"""From the settings of Spyral to those of an experiment, with what became of each field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from penstock.config import Registry
from penstock.config.spyral.fields import RULES, Rule
from penstock.config.spyral.settings import Setting, SpyralSettings, Unresolved
from penstock.core.errors import ConfigError, nearest
from penstock.core.params import field_paths
from penstock.formats.spyral.layout import isotope_name

__all__ = ["Conversion", "Outcome", "convert"]

Status = Literal["taken", "renamed", "dropped", "unknown"]

_DEFAULTS = ("DEFAULT_MAP", "INVALID_PATH", "DefaultPath", "Invalid", "")
_INSTRUMENT = "attpc"
_CLUSTER_GROUPS = {"Cluster", "Hdbscan", "Tripclust", "OverlapJoin", "ContinuityJoin"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one field: `target` is our name, `why` the reason or what differs."""

    written: str
    value: object
    status: Status
    target: str = ""
    why: str = ""


@dataclass(slots=True)
class Conversion:
    """An experiment as the settings of Spyral describe it.

    Attributes
    ----------
    params
        By dotted path: value, and the field that it comes from.
    assets, absent
        Files by role; those that are there, and those that are not.
    """

    source: SpyralSettings
    outcomes: list[Outcome] = field(default_factory=list)
    params: dict[str, tuple[object, str]] = field(default_factory=dict)
    assets: dict[str, list[Path]] = field(default_factory=dict)
    absent: dict[str, list[Path]] = field(default_factory=dict)
    pipeline: tuple[str, ...] = ()
    wanted: str = ""
    """The last stage that is active; empty where none is."""

    @property
    def runs(self) -> str:
        """The run range as our commands take it; empty where there is none."""
        least, greatest = (self.source.value("Run", name) for name in ("run_min", "run_max"))
        if not isinstance(least, int) or not isinstance(greatest, int):
            return ""
        skipped = self.source.value("Run", "runs_to_skip")
        left_out = "".join(f",!{run}" for run in skipped if isinstance(run, int)) if isinstance(skipped, list) else ""
        return (str(least) if least == greatest else f"{least}-{greatest}") + left_out

    @property
    def workers(self) -> int | None:
        """Processes asked for."""
        found = self.source.value("Run", "n_processes")
        return found if isinstance(found, int) and found > 0 else None

    @property
    def raw(self) -> Path | None:
        """The folder of the traces."""
        found = self.source.value("Workspace", "trace_data_path")
        return self.source.base / Path(str(found)) if isinstance(found, str | Path) and str(found) else None


def convert(settings: SpyralSettings, registry: Registry, *, epsilon_mm: float | None = None) -> Conversion:
    """Lead every field over, and say what became of it.

    Parameters
    ----------
    epsilon_mm
        Taken instead of the `cluster_selection_epsilon` of the configuration.

    Raises
    ------
    ConfigError
        `cluster_selection_epsilon` is of a generation that scaled the points otherwise.
    """
    work = _Work(settings, registry, epsilon_mm)
    for setting in settings.settings:
        work.take(setting)
    work.derive()
    return work.result


class _Work:
    """One conversion on its way."""

    def __init__(self, settings: SpyralSettings, registry: Registry, epsilon_mm: float | None) -> None:
        self.settings = settings
        self.result = Conversion(settings)
        self._epsilon_mm = epsilon_mm
        self._known = {f"{s.name}.{path}" for s in registry.stages.values() for path in field_paths(s.params)}
        self._stages = set(registry.stages)
        self._roles = {role for roles in registry.instrument(_INSTRUMENT).asset_roles.values() for role in roles}

    def take(self, setting: Setting) -> None:
        """Lead one field over."""
        rule = RULES.get(f"{setting.group}.{setting.name}")
        if setting.group == "Unused":
            self._note(setting, "dropped", why="no phase of the pipeline takes it")
        elif rule is None:
            known = [name.partition(".")[2] for name in RULES if name.startswith(f"{setting.group}.")]
            self._note(
                setting,
                "unknown",
                why=f"not a field of Spyral that is known here.{nearest(setting.name, known)} Look what it did, and set it by hand",
            )
        elif isinstance(setting.value, Unresolved):
            target = ", ".join(rule.params) or rule.asset
            self._note(setting, "dropped", why=f"not a constant, and scripts are not executed; set {target or rule.note} by hand")
        elif rule.asset:
            self._asset(setting, rule)
        elif rule.params and setting.value is not None:
            self._param(setting, rule)
        elif rule.note.startswith(("[", "--")):
            self._note(setting, "renamed", rule.note)
        else:
            self._note(setting, "dropped", why=rule.note)

    def derive(self) -> None:
        """What follows from which fields are there: methods, particles, the pipeline."""
        groups = {s.group for s in self.settings.settings}
        given = {"Hdbscan": "hdbscan", "Tripclust": "tripclust"}
        self._choose(
            "tpc.clusters.method",
            next((v for g, v in given.items() if g in groups), None),
            "the parameters of the clustering that are given",
        )
        joins = {"ContinuityJoin": "continuity", "OverlapJoin": "overlap"}
        join = next(
            (v for g, v in joins.items() if g in groups),
            "none" if self.settings.generation == "script" and groups & _CLUSTER_GROUPS else None,
        )
        self._choose("tpc.clusters.join", join, "the parameters of the joining that are given")
        solvers = {p.name for p in self.settings.phases if p.stage == "tpc.fits"}
        if solvers and self.settings.value("Solver", "fit_method") is None:
            self._choose("tpc.fits.method", "leastsq" if "InterpLeastSqSolverPhase" in solvers else "lbfgsb", "the phase that solves")
        if self.settings.value("Hdbscan", "min_size") is not None:
            self.result.params["tpc.clusters.hdbscan.min_size_scale_factor"] = (0.0, "min_size")
        self._particles()
        self._pipeline()

    def _note(self, setting: Setting, status: Status, target: str = "", why: str = "") -> None:
        self.result.outcomes.append(Outcome(setting.written, setting.value, status, target, why))

    def _param(self, setting: Setting, rule: Rule) -> None:
        value = setting.value
        if setting.name == "cluster_selection_epsilon":
            value = self._epsilon(setting)
        if setting.name == "beam_region_radius" and self.settings.value("Estimate", "max_distance_from_beam_axis") is not None:
            self._note(setting, "dropped", why="in this generation maximum_distance_from_beam_axis is the greatest distance of a vertex")
            return
        targets = [path for path in rule.params if path in self._known]
        if not targets:
            self._note(setting, "dropped", why=f"there is no parameter {rule.params[0]} in this penstock")
            return
        before = self.result.params.get(targets[0], (value, ""))[0]
        if targets[0] == "tpc.fits.fit_vertex_xy":
            value = bool(value) and bool(before)
        elif before != value:
            self._note(setting, "dropped", why=f"{targets[0]} is {before!r} already, from another object of the script")
            return
        for path in targets:
            self.result.params[path] = (value, setting.written)
        same = targets[0].rpartition(".")[2] == setting.written.rpartition(".")[2]
        self._note(setting, "taken" if same else "renamed", ", ".join(targets), rule.note)

    def _epsilon(self, setting: Setting) -> object:
        if self._epsilon_mm is not None:
            return self._epsilon_mm
        value = setting.value
        if not isinstance(value, int | float) or 0 < value < 1 or value < 0:
            where = f"{self.settings.path}{f', line {setting.line}' if setting.line else ''}"
            raise ConfigError(
                f"{where}: {setting.written} = {value!r} is of a generation of Spyral that scaled the points of each event before clustering, "
                "so that the distance had no unit. Today it is in mm (10 is the documented value), and there is no way to lead one over to the other. "
                "Write a distance in mm into the configuration, or give one with --epsilon-mm 10; then compare a few with penstock tune."
            )
        return value

    def _asset(self, setting: Setting, rule: Rule) -> None:
        text = str(setting.value if setting.value is not None else "")
        if setting.group == "Pad" and self.settings.value("Pad", "is_default") is True:
            self._note(setting, "dropped", why="is_default is set, so Spyral did not look at it")
        elif setting.group == "Pad" and text in _DEFAULTS:
            self._note(setting, "dropped", why=_default_map(rule.asset))
        elif setting.name == "garfield_file_path" and self.settings.value("Detector", "do_garfield_correction") is False:
            self._note(setting, "dropped", why="do_garfield_correction is off")
        elif rule.asset not in self._roles:
            self._note(setting, "dropped", why=f"there is no asset {rule.asset!r} in this penstock")
        else:
            path = self._place(setting, Path(text))
            there = path.is_file()
            files = (self.result.assets if there else self.result.absent).setdefault(rule.asset, [])
            if path not in files:
                files.append(path)
            why = rule.note if there else f"{path} is not there, so the line is commented out"
            self._note(setting, "renamed", f"[assets] {rule.asset}", why)

    def _place(self, setting: Setting, path: Path) -> Path:
        workspace = self.settings.value("Workspace", "workspace_path")
        if (
            setting.name == "particle_id_filename"
            and path.name == str(path)
            and isinstance(workspace, str)
            and self.settings.generation != "script"
        ):
            return self.settings.base / workspace / "gates" / path
        return self.settings.base / path

    def _choose(self, path: str, value: object, because: str) -> None:
        if value is not None and path in self._known:
            self.result.params[path] = (value, because)
            self.result.outcomes.append(Outcome(f"({because})", value, "renamed", path))

    def _particles(self) -> None:
        """The particles of the mesh are those of the gates."""
        names = []
        for path in self.result.assets.get("gates", []):
            try:
                gate = json.loads(path.read_text(encoding="utf-8"))
                names.append(isotope_name(int(gate["Z"]), int(gate["A"])))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                self.result.outcomes.append(Outcome(str(path), "", "dropped", "tpc.mesh.particles", f"the gate cannot be read ({error!r})"))
        if names:
            self._choose("tpc.mesh.particles", list(dict.fromkeys(names)), "the particles of the gates")

    def _pipeline(self) -> None:
        """Stages up to the last active phase; an inactive one before it stays, as its results are read."""
        active = [i for i, p in enumerate(self.settings.phases) if p.active and p.stage in self._stages]
        last = active[-1] if active else -1
        kept: list[str] = []
        for i, phase in enumerate(self.settings.phases):
            value = "active" if phase.active else "inactive"
            if not phase.stage:
                self.result.outcomes.append(
                    Outcome(
                        phase.name,
                        value,
                        "unknown",
                        why="not a phase of Spyral: make it a stage of your own, or run it as one through penstock.compat",
                    )
                )
            elif phase.stage not in self._stages:
                self.result.outcomes.append(Outcome(phase.name, value, "dropped", why=f"there is no stage {phase.stage} in this penstock"))
            elif i <= last or not active:
                kept += [*(["tpc.mesh"] if phase.stage == "tpc.fits" and "tpc.mesh" in self._stages else []), phase.stage]
                why = "" if phase.active else "later stages read it: it is computed once, then taken from the store"
                self.result.outcomes.append(Outcome(phase.name, value, "renamed", phase.stage, why))
            else:
                self.result.outcomes.append(
                    Outcome(phase.name, value, "dropped", why=f"inactive; add {phase.stage} to the pipeline when you want it")
                )
        self.result.pipeline = tuple(dict.fromkeys(kept))
        self.result.wanted = self.settings.phases[last].stage if active else ""


def _default_map(asset: str) -> str:
    if asset == "pad_time":
        return "times are not corrected: the map that Spyral ships is not part of penstock. Copy its pad_time_correction.csv and name it in [assets] pad_time"
    return "the pad plane is made from its geometry, which gives the same pads"


def by_stage(params: Mapping[str, tuple[object, str]]) -> dict[str, dict[str, tuple[object, str]]]:
    """Parameters by the table of experiment.toml that they stand in: ``tpc.points.pads`` -> name -> (value, source)."""
    tables: dict[str, dict[str, tuple[object, str]]] = {}
    for path, found in params.items():
        table, _, name = path.rpartition(".")
        tables.setdefault(table, {})[name] = found
    return tables
