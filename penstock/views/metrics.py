"""An experiment as Prometheus sees it: artifacts, events, steps by state, failures, claims, disks. Numbers only, and few.

Everything comes from the index, the names of recorded failures, and the disks; no artifact and no raw file is opened. Labels are the
experiment, stages that are registered (others count as ``other``), states and places, so the number of series is bounded.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from penstock import __version__
from penstock.config import load_experiment
from penstock.core.errors import PenstockError
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request
from penstock.store import StageTotals, Store

__all__ = ["ExperimentMetrics"]

PLAN_EVERY_S = 60.0
"""A plan is made so often at most, in seconds: it looks at every raw file's size and time."""
EXPIRED_S = 30.0
"""A claim without heartbeat for so long may be taken over, in seconds."""

_log = logging.getLogger(__name__)


class ExperimentMetrics(Collector):
    """What a scrape of one experiment yields.

    A scrape never fails: where something cannot be read, ``penstock_readable`` is 0, the log says why, and what depends on it is left out.

    Parameters
    ----------
    path
        An experiment.toml, read anew whenever a plan is due.
    """

    def __init__(self, path: Path) -> None:
        self._experiment = load_experiment(path)
        self._planned = float("-inf")
        self._steps: Counter[tuple[str, str]] = Counter()
        self._n_runs = 0
        self._failures: dict[str, str] = {}

    def describe(self) -> Iterable[Metric]:
        """Nothing is collected on registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        yield InfoMetricFamily("penstock_build", "Version that answers.", value={"version": __version__})
        experiment, readable = self._experiment, True
        try:
            with experiment.open_store() as store:
                yield from self._artifacts(store.index.totals())
                yield self._claims(store.index.claims())
                yield self._recorded_failures(store)
                self._plan(store)
            yield from self._plan_metrics()
        except (PenstockError, OSError) as error:
            _log.warning("%s: %s", experiment.path, error)
            readable = False
        yield from self._disks()
        yield self._gauge("penstock_readable", "1 where experiment, index and store could be read.", {(): float(readable)})

    def _artifacts(self, totals: Mapping[str, StageTotals]) -> Iterator[Metric]:
        names = ("count", "bytes", "in", "out", "newest")
        found: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in names}
        for name, one in totals.items():
            stage = (self._stage(name),)
            found["count"][stage] += one.count
            found["bytes"][stage] += one.size
            found["in"][stage] += one.events_in
            found["out"][stage] += one.events_out
            found["newest"][stage] = max(found["newest"][stage], int(datetime.fromisoformat(one.newest).timestamp()))
        lost = {stage: n - found["out"][stage] for stage, n in found["in"].items()}
        yield self._gauge("penstock_artifacts", "Artifacts in the store.", found["count"], "stage")
        yield self._gauge("penstock_artifact_bytes", "Bytes of their data files.", found["bytes"], "stage")
        yield self._gauge("penstock_events_in", "Events that came into those artifacts.", found["in"], "stage")
        yield self._gauge("penstock_events_out", "Events with a result in them.", found["out"], "stage")
        yield self._gauge("penstock_events_without_result", "Events that the stage rejected or left out.", lost, "stage")
        yield self._gauge("penstock_newest_artifact_timestamp_seconds", "When the newest was committed.", found["newest"], "stage")

    def _claims(self, claims: Mapping[str, tuple[str, float]]) -> Metric:
        now = time.time()
        expired = sum(now - heartbeat > EXPIRED_S for _, heartbeat in claims.values())
        states: dict[tuple[str, ...], float] = {("held",): len(claims) - expired, ("expired",): expired}
        return self._gauge("penstock_claims", "Keys that are being computed, and those whose owner is silent.", states, "state")

    def _recorded_failures(self, store: Store) -> Metric:
        self._failures = store.failed_attempts(self._failures)
        counts: Counter[tuple[str, ...]] = Counter((self._stage(stage),) for stage in self._failures.values())
        return self._gauge("penstock_failures", "Failed attempts that are recorded in the store.", counts, "stage")

    def _plan(self, store: Store) -> None:
        if time.monotonic() - self._planned < PLAN_EVERY_S:
            return
        self._experiment = load_experiment(self._experiment.path)
        planner = Planner(self._experiment, store, Request(runs=RunRange("all")))
        self._n_runs = len(planner.registrar.available)
        rows = planner.plan() if self._n_runs else []
        self._steps = Counter((row.stage.name, str(row.state)) for row in rows)
        self._planned = time.monotonic()

    def _plan_metrics(self) -> Iterator[Metric]:
        states = (State.CURRENT, State.STALE, State.MISSING, State.FAILED)
        steps: dict[tuple[str, ...], float] = {
            (s.name, str(state)): self._steps[s.name, str(state)] for s in self._experiment.pipeline.stages for state in states
        }
        yield self._gauge("penstock_runs", "Runs in the raw folder.", {(): self._n_runs})
        yield self._gauge("penstock_steps", "Runs by stage and state, as penstock plan says.", steps, "stage", "state")

    def _disks(self) -> Iterator[Metric]:
        free: dict[tuple[str, ...], float] = {}
        size: dict[tuple[str, ...], float] = {}
        for place, path in (("store", self._experiment.store_path), ("raw", self._experiment.raw)):
            if isinstance(path, Path) and path.exists():
                usage = shutil.disk_usage(path)
                free[place,], size[place,] = usage.free, usage.total
        yield self._gauge("penstock_disk_free_bytes", "Free on the disk of the store and of the raw files.", free, "place")
        yield self._gauge("penstock_disk_size_bytes", "Size of that disk.", size, "place")

    def _stage(self, name: str) -> str:
        return name if name in self._experiment.registry.stages or name == "asset" else "other"

    def _gauge(self, name: str, what: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
        family = GaugeMetricFamily(name, what, labels=("experiment", *labels))
        for found, value in values.items():
            family.add_metric((self._experiment.name, *found), value)
        return family
