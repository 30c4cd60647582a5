"""Flow runs and queues of a real server, as Prometheus sees them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.actions import WorkPoolCreate

from penstock_flows.metrics import FlowRunMetrics, flow_run_metrics
from penstock_flows.server import free_port


def samples(collector: FlowRunMetrics) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for family in collector.collect() for s in family.samples}


@pytest.mark.server
def test_flow_runs_count_by_state_and_by_queue(api: Any) -> None:
    collector = flow_run_metrics()
    assert collector is not None
    before = samples(collector)
    with api.client() as client:
        client.create_work_pool(WorkPoolCreate(name="pool-of-metrics", type="process"))

        @flow(name="counted", persist_result=False)
        def counted() -> None:
            """Nothing."""

        counted()
        deployment = client.create_deployment(
            flow_id=client.read_flow_by_name("counted").id, name="counted", work_pool_name="pool-of-metrics", work_queue_name="online"
        )
        client.create_flow_run_from_deployment(deployment)

    after = samples(collector)

    assert after["penstock_prefect_up",] == 1
    assert after["penstock_flow_runs", "completed"] == before["penstock_flow_runs", "completed"] + 1
    assert after["penstock_queue_waiting", "pool-of-metrics", "online"] == 1
    assert after["penstock_queue_running", "pool-of-metrics", "online"] == 0


def test_an_api_that_is_silent_is_a_zero_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert samples(FlowRunMetrics(f"http://127.0.0.1:{free_port()}/api")) == {("penstock_prefect_up",): 0.0}
    assert "Prefect API http://127.0.0.1:" in caplog.text


def test_where_no_api_is_configured_there_are_no_flow_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert flow_run_metrics() is None
