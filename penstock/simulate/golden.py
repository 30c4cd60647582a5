"""Golden outputs: what each stage of penstock gives on a small fixed input, as statistics by column, for ``stages.lock``."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.config import LockedStage, fingerprint, load_registry, read_lock
from penstock.core.errors import ConfigError
from penstock.core.schema import Records
from penstock.core.stage import RunSource, Stage, load_dotted
from penstock.simulate.golden_streams import stream_results, write_stream_run

__all__ = ["Golden", "check_lock", "deviation", "golden_outputs", "make_lock"]

Golden = dict[str, dict[str, float]]
"""By ``table.column``: number of rows, mean, standard deviation, least and greatest value."""

EVENTS = 4
"""Events of the golden input."""
_PARAMS: dict[str, dict[str, Any]] = {
    "tpc.mesh": {"ke_min_mev": 1.0, "ke_max_mev": 10.0, "ke_bins": 40, "polar_min_deg": 15.0, "polar_max_deg": 90.0, "polar_bins": 31},
}
"""Parameters other than the defaults, where these would make much of little."""
TOLERANCE = 1e-4
"""Greatest deviation of a statistic, relative to the scale of its column, that counts as the same result."""


def golden_outputs() -> dict[str, Golden]:
    """Statistics of the output of every stage of ours, on simulated events with fixed settings."""
    registry = load_registry()
    instrument = registry.instrument("attpc")
    outputs: dict[str, Golden] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = _write_tpc_run(Path(folder))
        open_run = partial(load_dotted(instrument.reader), path)
        with open_run() as reader:
            available: dict[str, Records] = {instrument.raw.schema_id(): reader.read(0, EVENTS)}
        streams = write_stream_run(Path(folder))
        outputs["input.tpc"] = _statistics(available[instrument.raw.schema_id()])
        for stage in registry.stages.values():
            if not _is_ours(stage):
                continue
            if stage.unit == "parts":
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    results = stream_results(stage, streams, Path(scratch))
                outputs[stage.name] = {name: _summary(values) for name, values in results.items()}
                continue
            params = stage.params.model_validate(_PARAMS.get(stage.name, {}))
            others: dict[str, Any] = {
                slot: load_dotted(instrument.asset_makers[schema.schema_id()])({}) for slot, schema in stage.assets.items()
            }
            if stage.subject == "none":
                others["positions"] = range(load_dotted(stage.count)(params, **others))
            elif stage.unit == "run":
                others["source"] = RunSource(1, {"traces": path}, {}, open_run)
            else:
                others |= {slot: available[schema.schema_id()] for slot, schema in stage.reads.items()}
            records = stage.load_body()(params=params, **others)
            available[stage.writes.schema_id()] = records
            outputs[stage.name] = _statistics(records)
    return outputs


def _is_ours(stage: Stage) -> bool:
    return stage.body.partition(".")[0] == "penstock"


def make_lock(stages: Sequence[Stage], *, same_results: str | None = None) -> dict[str, LockedStage]:
    """Entries of a new lock for our own stages.

    Parameters
    ----------
    same_results
        Why the code of stages may have changed without a new version.

    Raises
    ------
    ConfigError
        Code changed, the version did not, and no reason is given; or a reason is given, but the results moved.
    """
    golden = golden_outputs()
    before = read_lock()
    entries: dict[str, LockedStage] = {}
    for stage in stages:
        if not _is_ours(stage):
            continue
        old, current = before.get(stage.name), fingerprint(stage)
        reasons: tuple[str, ...] = ()
        if old is not None and old.version == stage.version:
            reasons = old.same_results
            if old.fingerprint != current:
                _refuse_silent_change(stage, old, current, golden[stage.name], same_results)
                reasons = (*reasons, str(same_results))
        entries[stage.name] = LockedStage(stage.version, current, golden[stage.name], reasons)
    return entries


def check_lock(stages: Sequence[Stage], lock: Mapping[str, LockedStage] | None = None) -> list[str]:
    """Where the code or the golden output of our own stages is not what the lock holds; empty where all agree.

    Parameters
    ----------
    lock
        Another lock than the packaged one.
    """
    golden = golden_outputs()
    held = read_lock() if lock is None else lock
    problems = []
    for stage in stages:
        if not _is_ours(stage):
            continue
        old, current = held.get(stage.name), fingerprint(stage)
        ways = f"Raise its version ({stage.version}), or, where the results are the same, run: penstock stages lock --same-results REASON"
        if old is None or old.version != stage.version:
            found = "nothing" if old is None else f"version {old.version}"
            problems.append(f"stage {stage.name!r}: version {stage.version}, the lock holds {found}. Run: penstock stages lock")
        elif old.fingerprint != current:
            problems.append(f"stage {stage.name!r}: its code has fingerprint {current}, the lock holds {old.fingerprint}. {ways}")
        elif (moved := deviation(old.golden, golden[stage.name])) > TOLERANCE:
            problems.append(
                f"stage {stage.name!r} (fingerprint {current}): the golden output moved by {moved:.2g} (allowed {TOLERANCE:.2g}). {ways}"
            )
    return problems


def deviation(old: Mapping[str, Mapping[str, float]], new: Mapping[str, Mapping[str, float]]) -> float:
    """The greatest difference of two golden outputs, relative to the scale of each column; infinite where rows differ."""
    if old.keys() != new.keys():
        return math.inf
    worst = 0.0
    for name, one in old.items():
        other = new[name]
        if one["rows"] != other["rows"]:
            return math.inf
        scale = max(abs(one["least"]), abs(one["greatest"]), 1e-12)
        worst = max(worst, *(abs(one[word] - other[word]) / scale for word in ("mean", "deviation", "least", "greatest")))
    return worst


def _refuse_silent_change(stage: Stage, old: LockedStage, current: str, golden: Golden, same_results: str | None) -> None:
    moved = deviation(old.golden, golden)
    if same_results is None:
        raise ConfigError(
            f"stage {stage.name!r}: its code changed ({old.fingerprint} -> {current}) and its version ({stage.version}) did not. "
            "Raise the version in its declaration, or, where the results are the same: penstock stages lock --same-results REASON"
        )
    if moved > TOLERANCE:
        raise ConfigError(
            f"stage {stage.name!r}: the golden output moved by {moved:.2g} (allowed {TOLERANCE:.2g}), so the results are not the same. Raise the version in its declaration."
        )


def _write_tpc_run(folder: Path) -> Path:
    from penstock.simulate.tpc_runs import write_run
    from penstock.simulate.tpc_settings import TpcSimulation

    return write_run(folder, TpcSimulation(seed=20261121, particles=("p", "p")), 1, EVENTS)


def _statistics(records: Records) -> Golden:
    return {
        f"{table}.{name}": _summary(np.asarray(values)) for table, columns in records.columns.items() for name, values in columns.items()
    }


def _summary(values: NDArray[Any]) -> dict[str, float]:
    if values.size == 0:
        return {"rows": 0.0, "mean": 0.0, "deviation": 0.0, "least": 0.0, "greatest": 0.0}
    numbers = values.astype(np.float64)
    return {
        "rows": float(len(values)),
        "mean": float(numbers.mean()),
        "deviation": float(numbers.std()),
        "least": float(numbers.min()),
        "greatest": float(numbers.max()),
    }
