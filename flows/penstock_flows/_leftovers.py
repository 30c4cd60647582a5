"""Deployments of an experiment under a name that it had before: nobody else would remove them, and their schedules fire."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse

from penstock.config import Experiment
from penstock_flows._specs import OF_EXPERIMENT

__all__ = ["left_over"]

_PAGE = 200


def left_over(client: SyncPrefectClient, experiments: Collection[Experiment]) -> list[str]:
    """Flow and name of deployments that were made for one of `experiments` when it had another name."""
    names = {str(experiment.path): experiment.name for experiment in experiments}
    if not names:
        return []
    found = []
    for deployment in _all(client):
        flow = (deployment.entrypoint or "").rpartition(".")[2]
        request = deployment.parameters.get("request")
        path = request.get("experiment") if isinstance(request, dict) else None
        made_for = [tag for tag in deployment.tags if flow in OF_EXPERIMENT and deployment.name == f"{flow}-{tag}"]
        if path in names and made_for and names[path] not in made_for:
            found.append(f"{flow}/{deployment.name}")
    return sorted(found)


def _all(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    offset = 0
    while page := client.read_deployments(limit=_PAGE, offset=offset):
        yield from page
        offset += _PAGE
