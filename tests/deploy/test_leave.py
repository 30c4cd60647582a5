"""The hook that a worker pod runs before it goes, on a real scheduler in this process."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

pytestmark = pytest.mark.server
SCRIPT = Path(__file__).parents[2] / "deploy" / "kubernetes" / "base" / "leave.py"


def test_workers_of_a_pod_are_retired_and_no_others() -> None:
    leave = runpy.run_path(str(SCRIPT))["leave"]
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        (worker,) = client.scheduler_info()["workers"]
        assert leave(cluster.scheduler_address, "127.0.0.9") == []
        assert list(client.scheduler_info()["workers"]) == [worker]
        assert leave(cluster.scheduler_address, "127.0.0.1") == [worker]
        assert list(client.scheduler_info()["workers"]) == []
