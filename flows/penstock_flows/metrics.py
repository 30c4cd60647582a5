"""Flow runs by state and queues by what waits in them, for Prometheus: Prefect's own /api/metrics has neither.

Asks the API over HTTP and imports no Prefect. Few numbers: nine states, and at most `MOST_QUEUES` queues.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penstock.cli.prefect_api import ask_prefect
from penstock_flows._api import api_url

__all__ = ["FlowRunMetrics", "flow_run_metrics"]

MOST_QUEUES = 50
"""Queues beyond this number are left out."""
_STATES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED")

_log = logging.getLogger(__name__)


def flow_run_metrics() -> FlowRunMetrics | None:
    """What the configured API says; None where none is configured."""
    url = api_url()
    return FlowRunMetrics(url) if url is not None else None


class FlowRunMetrics(Collector):
    """Counts of flow runs without those that other flow runs started.

    A scrape never fails: where the API does not answer, ``penstock_prefect_up`` is 0 and the log says why.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked on registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The counts of this moment."""
        up = GaugeMetricFamily("penstock_prefect_up", "1 where the Prefect API answers.")
        try:
            families = [self._runs(), *self._queues()]
        except (OSError, ValueError, http.client.HTTPException) as error:
            _log.warning("Prefect API %s: %s", self._url, error)
            up.add_metric([], 0.0)
            yield up
            return
        up.add_metric([], 1.0)
        yield up
        yield from families

    def _runs(self) -> Metric:
        family = GaugeMetricFamily("penstock_flow_runs", "Flow runs by state.", labels=["state"])
        for state in _STATES:
            family.add_metric([state.lower()], self._count({"state": {"type": {"any_": [state]}}}))
        return family

    def _queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("penstock_queue_waiting", "Flow runs that are due and wait for a worker.", labels=["pool", "queue"])
        running = GaugeMetricFamily("penstock_queue_running", "Flow runs that a worker has taken.", labels=["pool", "queue"])
        due = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": datetime.now(UTC).isoformat()}}
        taken = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
        for queue in self._ask("/work_queues/filter", {"limit": MOST_QUEUES}):
            where = [str(queue.get("work_pool_name") or ""), str(queue["name"])]
            waiting.add_metric(where, self._count(due, queue["id"]))
            running.add_metric(where, self._count(taken, queue["id"]))
        yield waiting
        yield running

    def _count(self, runs: Mapping[str, Any], queue: str | None = None) -> int:
        body: dict[str, Any] = {"flow_runs": {**runs, "parent_task_run_id": {"is_null_": True}}}
        if queue is not None:
            body["work_pool_queues"] = {"id": {"any_": [queue]}}
        return int(self._ask("/flow_runs/count", body))

    def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        status, content = ask_prefect(self._url, path, body)
        if status != http.client.OK:
            raise OSError(f"{path} was answered with {status}")
        return content
