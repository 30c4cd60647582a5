"""`apply`: work pools, queues, limits, deployments and automations on the configured Prefect server, as they should be.

What is there already and right stays untouched, so it may be applied as often as one likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx
from pydantic import SecretStr

from penstock.config import Experiment, load_experiment
from penstock.core.errors import ConfigError, PenstockError
from penstock.security import without_login
from penstock_flows._api import api_is_reachable, api_url
from penstock_flows._specs import (
    POOLS,
    DeploymentSpec,
    PoolKind,
    QueueSpec,
    Timing,
    common_deployments,
    experiment_deployments,
    queues,
    read_yaml,
)
from penstock_flows.login import check_version

__all__ = ["Applied", "Outcome", "PoolKind", "apply", "check_experiments"]

Outcome = Literal["created", "changed", "unchanged", "would be created", "would be changed", "wanted", "left over"]


class Applied(NamedTuple):
    """What became of one thing of the server.

    Attributes
    ----------
    kind
        ``work pool``, ``work queue``, ``limit``, ``deployment`` or ``automation``.
    outcome
        ``wanted`` where there was no server to compare with, which a dry run allows; ``left over`` of a deployment that an experiment
        has under a name of before, which stays untouched.
    fields
        What differed.
    """

    kind: str
    name: str
    outcome: Outcome
    fields: tuple[str, ...] = ()


def apply(
    experiments: Sequence[Path] = (),
    pool: PoolKind = "process",
    *,
    job_variables: Mapping[str, Any] | None = None,
    schedule: str | float | None = None,
    schedules_active: bool | None = None,
    limits: Mapping[str, int] | None = None,
    notify: SecretStr | str | None = None,
    dry_run: bool = False,
) -> list[Applied]:
    """Make the deployments of penstock, and four for each experiment, with all that they need.

    Parameters
    ----------
    experiments
        experiment.toml files, or the folders that hold them.
    pool
        Where flow runs are started: in processes of a worker, in containers, or in pods.
    job_variables
        Of the work pool, for every deployment, such as ``{"image": "penstock/flows:0.1"}``.
    schedule
        When experiments are reprocessed: cron (UTC), or every so many seconds. Without, as it is on the server, and where it is new
        every night.
    schedules_active
        Whether schedules fire; as they are on the server, and of new ones those of experiments, without.
    limits
        How many steps of a lane run at a time, over all flow runs.
    notify
        Whom failed flow runs are told: a secret address, or the name of a webhook block of the server. Without, as it is.
    dry_run
        Only say what would be done; without a server, what is wanted.

    Raises
    ------
    ConfigError
        An experiment, its preset or a plug-in is wrong, or no server of our version answers. Nothing was changed then.
    """
    loaded = check_experiments(experiments)
    content = read_yaml()
    common = common_deployments(content, pool, job_variables or {})
    specs = [*common, *(spec for experiment in loaded for spec in experiment_deployments(common, experiment))]
    timed = [_timed(spec, schedule, schedules_active) for spec in specs]
    found = api_is_reachable()
    if not found and not dry_run:
        raise ConfigError(_unreachable())
    check_version()
    applied = _settle(pool, queues(content, loaded), limits or {}, timed, notify, dry_run=dry_run, compare=found)
    return [*applied, *(_left_over(loaded) if found else [])]


def check_experiments(paths: Sequence[Path]) -> list[Experiment]:
    """The experiments, with their presets, plug-ins and pipelines checked.

    Raises
    ------
    ConfigError
        An experiment cannot be loaded, a plug-in of it cannot be imported, or two have one name.
    """
    loaded: dict[str, Experiment] = {}
    for path in paths:
        experiment = load_experiment(path)
        if problems := experiment.registry.problems:
            reasons = " ".join(f"Plug-in {p.source!r} failed to load: {p.reason}." for p in problems)
            raise ConfigError(f"{experiment.path}: {reasons} Mend it, or take it out of [plugins], and deploy again.")
        other = loaded.get(experiment.name)
        if other is not None:
            raise ConfigError(
                f"{experiment.path} and {other.path} are both named {experiment.name!r}, and so would be their deployments. Rename one of them."
            )
        loaded[experiment.name] = experiment
    return list(loaded.values())


def _timed(spec: DeploymentSpec, schedule: str | float | None, active: bool | None) -> DeploymentSpec:
    """The deployment with its schedule as it was asked for."""
    timing = spec.timing
    if timing is None:
        return spec
    if schedule is not None and spec.flow == "reprocess" and spec.parameters:
        by_cron = isinstance(schedule, str)
        timing = Timing(timing.slug, str(schedule) if by_cron else "", 0.0 if by_cron else float(schedule), asked_for=True)
    if active is not None and (spec.parameters or not active):
        timing = replace(timing, active=active, insist=True)
    return replace(spec, timing=timing)


def _settle(
    pool: PoolKind,
    queue_specs: Sequence[QueueSpec],
    limits: Mapping[str, int],
    deployments: Sequence[DeploymentSpec],
    notify: SecretStr | str | None,
    *,
    dry_run: bool,
    compare: bool,
) -> list[Applied]:
    from prefect.client.orchestration import get_client

    from penstock_flows._automations import BLOCK, AutomationItem, WebhookItem, lost_runs, pending_runs
    from penstock_flows._items import DeploymentItem, Item, LimitItem, PoolItem, QueueItem

    items: list[Item] = [
        PoolItem(POOLS[pool], pool),
        *(QueueItem(POOLS[pool], spec) for spec in queue_specs),
        *(LimitItem(lane, limit) for lane, limit in limits.items()),
        *(DeploymentItem(spec) for spec in deployments),
        *(AutomationItem(automation) for automation in (lost_runs(), pending_runs())),
    ]
    if notify is not None:
        items.append(WebhookItem(BLOCK, notify) if isinstance(notify, SecretStr) else WebhookItem(notify))
    if not compare:
        return [Applied(item.kind, item.name, "wanted") for item in items]
    try:
        with get_client(sync_client=True) as client:
            # What cannot be done is found out by comparing, before anything is changed.
            differences = [item.differences(client) for item in items]
            for item, fields in zip(items, differences, strict=True):
                if fields != [] and not dry_run:
                    item.write(client)
    except httpx.HTTPStatusError as error:
        raise ConfigError(_refused(error)) from error
    except httpx.TransportError as error:
        raise PenstockError(
            f"the Prefect API {without_login(api_url() or '')} went away meanwhile: {error}. Give the same command again."
        ) from error
    return [
        Applied(item.kind, item.name, _outcome(fields, dry_run=dry_run), tuple(fields or ()))
        for item, fields in zip(items, differences, strict=True)
    ]


def _left_over(experiments: Sequence[Experiment]) -> list[Applied]:
    from prefect.client.orchestration import get_client

    from penstock_flows._leftovers import left_over

    with get_client(sync_client=True) as client:
        return [Applied("deployment", name, "left over") for name in left_over(client, experiments)]


def _outcome(fields: list[str] | None, *, dry_run: bool) -> Outcome:
    if fields == []:
        return "unchanged"
    if fields is None:
        return "would be created" if dry_run else "created"
    return "would be changed" if dry_run else "changed"


def _unreachable() -> str:
    url = api_url()
    if url is None:
        return "no Prefect API is configured. Start a server with: penstock up, and set PREFECT_API_URL to its address."
    return f"the Prefect API {without_login(url)} does not answer. Start a server with: penstock up, or set PREFECT_API_URL to the right address."


def _refused(error: httpx.HTTPStatusError) -> str:
    answer = f"the Prefect API {without_login(api_url() or '')} answered {error.response.status_code} to {error.request.method} {error.request.url.path}"
    if error.response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return f"{answer}: it asks for credentials. Set PREFECT_API_AUTH_STRING."
    return f"{answer}: {error.response.text[:500]}"
