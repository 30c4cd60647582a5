"""Where each track of an event was lost: what every stage made of the event, and why a cluster has no row further on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.canonical import Json
from penstock.core.plan import PlanRow
from penstock.core.schema import Records
from penstock.execute import asset_files
from penstock.store import Store
from penstock.tpc.assets import PadMap
from penstock.tpc.estimates import explain_tracks
from penstock.tpc.pads import pad_map
from penstock.tpc.params import ClusterParams, EstimateParams, FitParams, PointParams
from penstock.tpc.schemas import Clusters, Estimates, Fits, Kinematics, PointCloud, Traces
from penstock.views._recompute import EventChain, recompute_event
from penstock.views.tpc_fit import FIT_STATUS, LEFT_OUT

__all__ = ["EventFate", "Fate", "Step", "find_lost_tracks"]

ION_CHAMBER = 1
"""Reason of a track that the ion chamber left out."""

FULL_SCALE_ADC = 4095
"""Greatest value of the converter."""

WAYS = {1: "towards the micromegas", -1: "towards the window", 0: "direction undecided"}

NO_EXCITATION = {
    10: "not the ejectile of the reaction",
    11: "no beam energy is left at the vertex",
    12: "energy and momentum leave no mass to the residue",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the event: what it gave, in words, and why nothing goes on from there."""

    stage: str
    found: str
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """One cluster: where it ended (empty where it came through all stages), why, and what is known of its track."""

    cluster: int
    label: int
    points: int
    direction: int
    ended: str = ""
    why: str = ""
    found: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The fate in one line."""
        words = [f"{self.points:,} points, {WAYS[self.direction]}", *self.found]
        end = f" -> lost at {self.ended}: {self.why}" if self.ended else ""
        return f"cluster {self.cluster} (label {self.label}): {'; '.join(words)}{end}"


@dataclass(frozen=True, slots=True)
class EventFate:
    """Steps of an event, and the fate of each of its clusters."""

    run: int
    event: int
    steps: tuple[Step, ...]
    clusters: tuple[Fate, ...]

    def lines(self) -> Iterator[str]:
        """The fate of the event as text."""
        yield f"run {self.run}, event {self.event}"
        width = max((len(step.stage) for step in self.steps), default=0)
        for step in self.steps:
            yield f"  {step.stage:{width}}  {step.found}{f' -> lost: {step.lost}' if step.lost else ''}"
        yield from (f"  {fate.line}" for fate in self.clusters)

    def as_json(self) -> dict[str, Json]:
        """The fate of the event as plain values."""
        return cast("dict[str, Json]", asdict(self))


def find_lost_tracks(
    experiment: Experiment, store: Store, run: int, event: int, overrides: Mapping[str, Any] | None = None
) -> tuple[EventFate, EventChain]:
    """Follow one event through all stages, with the parameters of today.

    Returns
    -------
    fate
        What became of the event and of each of its clusters.
    chain
        The results of the stages, for those who want to look closer.

    Raises
    ------
    ConfigError
        The run has no such event.
    RunMissing, BadRun
        There is no such run, or it cannot be read.
    """
    chain = recompute_event(experiment, store, run, event, overrides)
    fates = _cluster_fates(chain)
    steps = tuple(_steps(chain, experiment, store))
    return EventFate(run, event, steps, tuple(fates)), chain


def _steps(chain: EventChain, experiment: Experiment, store: Store) -> Iterator[Step]:
    if isinstance(chain.raw, Traces):
        yield Step("traces", _traces_in_words(chain.raw), _rejection(chain.raw))
    for name, row in chain.rows.items():
        if name in chain.problems:
            yield Step(name, "not computed", chain.problems[name])
        elif name not in chain.records or row.stage.subject == "none":
            continue
        elif (reason := _rejection(chain.records[name])) and row.stage.writes is not Traces:
            yield Step(name, "nothing", reason)
        else:
            found, lost = _in_words(chain, row, chain.records[name], experiment, store)
            yield Step(name, found, lost)


def _in_words(chain: EventChain, row: PlanRow, records: Records, experiment: Experiment, store: Store) -> tuple[str, str]:
    """What a stage gave, and why nothing goes on from it."""
    if isinstance(records, PointCloud):
        return _points_in_words(chain, row, records, experiment, store)
    if isinstance(records, Clusters):
        return _clusters_in_words(chain, row, records)
    if isinstance(records, Traces):
        return _traces_in_words(records), ""
    rows = {table.name: len(next(iter(records[table.name].values()))) for table in records.tables if table.per is not None}
    return ", ".join(f"{n:,} row{'' if n == 1 else 's'} of {name}" for name, n in rows.items()), ""


def _traces_in_words(traces: Traces) -> str:
    samples = traces.pad_samples
    saturated = int(np.sum(samples.max(axis=1, initial=0) >= FULL_SCALE_ADC))
    unknown = int(np.sum(traces["pads"]["pad"] < 0))
    trigger = int(traces["events"]["coincidence"][0])
    parts = [f"{len(samples):,} pads", f"{saturated:,} saturated", f"trigger {trigger}"]
    return ", ".join(parts) + (f", {unknown:,} channels without a pad" if unknown else "")


def _points_in_words(chain: EventChain, row: PlanRow, cloud: PointCloud, experiment: Experiment, store: Store) -> tuple[str, str]:
    n, pads = len(cloud["points"]["z"]), len(np.unique(cloud["points"]["pad"]))
    chamber = cloud["events"]
    height, pulses = float(chamber["ic_amplitude"][0]), int(chamber["ic_multiplicity"][0])
    beam = "no ion chamber" if pulses < 0 else f"ion chamber {height:.0f} ADC, {pulses} pulse{'' if pulses == 1 else 's'}"
    text = f"{n:,} points on {pads:,} pads; {beam}"
    if isinstance(row.params, PointParams) and isinstance(chain.raw, Traces):
        text += f"; pads without a point: {_silent_pads(chain.raw, row, row.params, cloud, experiment, store)}"
    return text, "" if n else "no pad has a pulse"


def _silent_pads(traces: Traces, row: PlanRow, params: PointParams, cloud: PointCloud, experiment: Experiment, store: Store) -> str:
    """Pads that were read out and gave no point, by the reason."""
    slot = next(slot for slot, schema in row.stage.assets.items() if schema.schema_id() == PadMap.schema_id())
    plane = pad_map(asset_files(experiment, store, slot))["pads"]
    pads = traces["pads"]["pad"].astype(np.int64)
    known = pads[(pads >= 0) & (pads < len(plane["x"]))]
    in_beam = np.hypot(plane["x"][known], plane["y"][known]) < params.beam_pad_radius_mm
    silent = np.setdiff1d(known[~in_beam], cloud["points"]["pad"])
    busy = np.intersect1d(silent, _pads_with_points(traces, row, params, experiment, store))
    counts = {
        f"in the beam (beam_pad_radius_mm {params.beam_pad_radius_mm:g})": int(in_beam.sum()),
        f"more than {params.max_pulses} pulses (max_pulses)": len(busy),
        "no pulse": len(silent) - len(busy),
    }
    return ", ".join(f"{n:,} {why}" for why, n in counts.items() if n) or "none"


def _pads_with_points(traces: Traces, row: PlanRow, params: PointParams, experiment: Experiment, store: Store) -> NDArray[Any]:
    """Pads that would have points if any number of pulses were allowed."""
    from penstock.execute import load_assets

    lenient = params.model_copy(update={"max_pulses": traces.pad_samples.shape[1]})
    assets = load_assets(row.stage, experiment.instrument, {slot: asset_files(experiment, store, slot) for slot in row.stage.assets})
    inputs: dict[str, Any] = dict.fromkeys(row.stage.reads, traces)
    return np.asarray(row.stage.load_body()(**inputs, params=lenient, **assets)["points"]["pad"])


def _clusters_in_words(chain: EventChain, row: PlanRow, clusters: Clusters) -> tuple[str, str]:
    n, clustered = len(clusters["clusters"]["label"]), len(clusters["points"]["z"])
    before = chain.step(PointCloud)
    total = clustered if before is None else len(before[1]["points"]["z"])
    noise = f", {1 - clustered / total:.0%} noise" if total else ""
    text = f"{n} cluster{'' if n == 1 else 's'} of {clustered:,} of {total:,} points{noise}"
    if n or not isinstance(row.params, ClusterParams):
        return text, ""
    if total < row.params.min_cloud_size:
        return text, f"{total} points, fewer than min_cloud_size ({row.params.min_cloud_size})"
    return text, "no group is dense and large enough"


def _cluster_fates(chain: EventChain) -> list[Fate]:
    step = chain.step(Clusters)
    if step is None:
        return []
    _, clusters = step
    table, sizes = clusters["clusters"], np.diff(clusters.offsets["points"])
    fates = [Fate(i, int(table["label"][i]), int(sizes[i]), int(table["direction"][i])) for i in range(len(sizes))]
    fates = _judge_estimates(chain, clusters, fates)
    return _judge_kinematics(chain, _judge_fits(chain, fates))


def _judge_estimates(chain: EventChain, clusters: Clusters, fates: list[Fate]) -> list[Fate]:
    step = chain.step(Estimates)
    if step is None:
        return fates
    row, estimates = step
    rows = estimates["estimates"]
    own = isinstance(row.params, EstimateParams) and row.stage.body == "penstock.tpc.estimates:estimate_tracks"
    reasons = explain_tracks(clusters, cast("EstimateParams", row.params)) if own else [""] * len(fates)
    judged = []
    for fate, why in zip(fates, reasons, strict=True):
        found = np.flatnonzero(rows["cluster_index"] == fate.cluster)
        if found.size:
            polar, brho, z = (float(rows[name][found[0]]) for name in ("polar", "brho", "vertex_z"))
            words = f"polar {math.degrees(polar):.1f}°, Bρ {brho:.3f} T·m, vertex z {z:.0f} mm"
            judged.append(replace(fate, found=(*fate.found, words)))
        else:
            judged.append(replace(fate, ended=row.stage.name, why=why or "the stage gave no row and no reason"))
    return judged


def _judge_fits(chain: EventChain, fates: list[Fate]) -> list[Fate]:
    """Rows of the fits, or the reason for which a track was left out."""
    step = chain.step(Fits)
    if step is None:
        return fates
    row, fits = step
    rows, left = fits["fits"], fits["left_out"]
    judged = []
    for fate in fates:
        found = np.flatnonzero(rows["cluster_index"] == fate.cluster)
        out = np.flatnonzero(left["cluster_index"] == fate.cluster)
        if fate.ended:
            judged.append(fate)
        elif found.size:
            judged.append(replace(fate, found=(*fate.found, *(_fit_in_words(rows, i) for i in found.tolist()))))
        else:
            why = "; ".join(_left_out_in_words(left, i, row, chain) for i in out.tolist()) or "the stage gave no row and no reason"
            judged.append(replace(fate, ended=row.stage.name, why=why))
    return judged


def _fit_in_words(rows: Mapping[str, NDArray[Any]], i: int) -> str:
    status = FIT_STATUS.get(int(rows["status"][i]), f"status {rows['status'][i]}")
    text = f"fitted as {_nucleus(rows, i)}: KE {rows['ke'][i]:.3f} MeV, polar {math.degrees(rows['polar'][i]):.1f}°, reduced χ² {rows['redchisq'][i]:.2f}"
    return text if rows["status"][i] == 0 else f"{text}, not converged: {status}"


def _left_out_in_words(left: Mapping[str, NDArray[Any]], i: int, row: PlanRow, chain: EventChain) -> str:
    reason, params, step = int(left["reason"][i]), row.params, chain.step(Estimates)
    words = LEFT_OUT.get(reason, f"reason {reason}")
    if reason == ION_CHAMBER and isinstance(params, FitParams) and step is not None:
        table = step[1]["estimates"]
        height, pulses = float(table["ic_amplitude"][0]), int(table["ic_multiplicity"][0])
        limits = f"{params.ic_min_adc:g} to {params.ic_max_adc:g} ADC and at most {params.ic_multiplicity}"
        return f"{words}: {height:.0f} ADC, {pulses} pulse{'' if pulses == 1 else 's'}, fits want {limits}"
    return f"{words} ({_nucleus(left, i)})" if left["A"][i] > 0 else words


def _nucleus(rows: Mapping[str, NDArray[Any]], i: int) -> str:
    return f"Z={rows['Z'][i]} A={rows['A'][i]}"


def _judge_kinematics(chain: EventChain, fates: list[Fate]) -> list[Fate]:
    step = chain.step(Kinematics)
    if step is None:
        return fates
    row, kinematics = step
    rows = kinematics["kinematics"]
    judged = []
    for fate in fates:
        found = np.flatnonzero(rows["cluster_index"] == fate.cluster)
        good = [i for i in found.tolist() if int(rows["status"][i]) not in NO_EXCITATION]
        if fate.ended or (not found.size):
            judged.append(fate)
        elif good:
            words = (f"excitation energy {rows['ex'][i]:.3f} MeV" for i in good)
            judged.append(replace(fate, found=(*fate.found, *words)))
        else:
            judged.append(replace(fate, ended=row.stage.name, why=NO_EXCITATION[int(rows["status"][found[0]])]))
    return judged


def _rejection(records: Records) -> str:
    return records.rejections[0].reason if records.rejections else ""
