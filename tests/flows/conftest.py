"""One real Prefect server for all tests that need one, and two small simulated runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

N_EVENTS = 6


@dataclass
class Api:
    """The server's API, asked as a test wants to know."""

    settings: dict[str, str]

    def client(self) -> Any:
        from prefect.client.orchestration import get_client

        return get_client(sync_client=True)

    def runs_named(self, text: str) -> list[Any]:
        """Flow runs whose name holds `text`, newest first."""
        with self.client() as client:
            found = client.read_flow_runs(limit=200)
        return sorted((r for r in found if text in r.name), key=lambda r: r.created, reverse=True)

    def artifacts(self, flow_run_id: UUID) -> dict[str, Any]:
        """Artifacts of a flow run by key; tables are decoded."""
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

        with self.client() as client:
            found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id])))
        return {a.key: json.loads(a.data) if a.type == "table" else a.data for a in found}

    def task_runs(self, flow_run_id: UUID, wanted: int) -> list[Any]:
        """Task runs of a flow run; the server enters them from events, so it may be a moment behind."""
        import time

        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        deadline = time.monotonic() + 20
        while True:
            with self.client() as client:
                found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))
            if (len(found) >= wanted and all(t.state and t.state.is_final() for t in found)) or time.monotonic() > deadline:
                return found
            time.sleep(0.2)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    from penstock_flows.server import serve

    with serve(tmp_path_factory.mktemp("prefect")) as settings:
        yield settings
        # Logs and events that wait would be offered to a dead server when this process ends, for a minute.
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all()
        EventsWorker.drain_all()


@pytest.fixture(scope="module")
def api(prefect_server: dict[str, str]) -> Iterator[Api]:
    """This process and what it starts talk to the test server, and to no other; other modules' tests do not."""
    from prefect import settings
    from prefect.settings import temporary_settings

    chosen = {
        settings.PREFECT_API_URL: prefect_server["PREFECT_API_URL"],
        settings.PREFECT_HOME: prefect_server["PREFECT_HOME"],
        settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
    }
    with pytest.MonkeyPatch.context() as patch, temporary_settings(chosen):
        for name, value in prefect_server.items():
            patch.setenv(name, value)
        yield Api(prefect_server)


@pytest.fixture(scope="session")
def raw_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 and 2 of six events each; not to be changed."""
    folder = tmp_path_factory.mktemp("raw")
    for run in (1, 2):
        write_run(folder, TpcSimulation(), run, N_EVENTS)
    return folder


def make_experiment(folder: Path, raw_runs: Path) -> Path:
    """An experiment over a copy of the runs, with a name that no other has."""
    shutil.copytree(raw_runs, folder / "raw")
    (folder / "experiment.toml").write_text(
        f'[experiment]\nname = "{folder.name}"\ninstrument = "attpc"\nraw = "raw"\n[resources]\nexecutor = "inline"\n'
    )
    return folder


@pytest.fixture
def experiment_folder(tmp_path_factory: pytest.TempPathFactory, raw_runs: Path) -> Path:
    """An experiment for one test."""
    return make_experiment(tmp_path_factory.mktemp("e"), raw_runs)


@pytest.fixture(scope="module")
def done_folder(tmp_path_factory: pytest.TempPathFactory, raw_runs: Path) -> Path:
    """An experiment whose runs a module processes once."""
    return make_experiment(tmp_path_factory.mktemp("done"), raw_runs)
