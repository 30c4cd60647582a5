"""Things of a Prefect server that can be compared with what is wanted, and made so: pools, queues, limits and deployments."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from penstock.core.errors import ConfigError
from penstock_flows._specs import DeploymentSpec, QueueSpec, Timing

__all__ = ["DeploymentItem", "Item", "LimitItem", "PoolItem", "QueueItem"]

Content = dict[str, Any]


class Item(Protocol):
    """Something that a server should have."""

    @property
    def kind(self) -> str:
        """What it is: ``work pool``, ``deployment``, ..."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """Fields in which the server's differs from what is wanted; None where it has none."""
        ...

    def write(self, client: SyncPrefectClient) -> None:
        """Make the server's what is wanted."""
        ...


@dataclass(frozen=True, slots=True)
class PoolItem:
    """A work pool; one that is there stays as people set it up."""

    name: str
    type: str
    kind: str = "work pool"

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """See `Item`.

        Raises
        ------
        ConfigError
            There is a pool of that name and another type.
        """
        try:
            found = client.read_work_pool(self.name)
        except ObjectNotFound:
            return None
        if found.type != self.type:
            raise ConfigError(
                f"work pool {self.name!r} has type {found.type!r}, wanted {self.type!r}. Rename it, or remove it with: prefect work-pool delete {self.name}"
            )
        return []

    def write(self, client: SyncPrefectClient) -> None:
        """See `Item`."""
        template = asyncio.run(get_default_base_job_template_for_infrastructure_type(self.type))
        if template is None:
            raise ConfigError(f"Prefect knows no work pool of type {self.type!r}. Install prefect-{self.type} where you deploy.")
        client.create_work_pool(WorkPoolCreate(name=self.name, type=self.type, base_job_template=template))


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A queue of a work pool."""

    pool: str
    spec: QueueSpec
    kind: str = "work queue"

    @property
    def name(self) -> str:
        """Pool and queue."""
        return f"{self.pool}/{self.spec.name}"

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """See `Item`."""
        try:
            found = client.read_work_queue_by_name(self.spec.name, work_pool_name=self.pool)
        except ObjectNotFound:
            return None
        late_enough = self.spec.or_later and (found.priority or 0) >= self.spec.priority
        here = {"priority": self.spec.priority if late_enough else found.priority, "concurrency_limit": found.concurrency_limit}
        return _differing(here, self._wanted())

    def write(self, client: SyncPrefectClient) -> None:
        """See `Item`."""
        try:
            found = client.read_work_queue_by_name(self.spec.name, work_pool_name=self.pool)
        except ObjectNotFound:
            client.create_work_queue(self.spec.name, work_pool_name=self.pool, **self._wanted())
        else:
            client.update_work_queue(found.id, **self._wanted())

    def _wanted(self) -> Content:
        return {"priority": self.spec.priority, "concurrency_limit": self.spec.limit}


@dataclass(frozen=True, slots=True)
class LimitItem:
    """How many steps of a lane run at a time, over all flow runs of the server."""

    lane: str
    limit: int
    kind: str = "limit"

    @property
    def name(self) -> str:
        """The tag that the tasks of the lane carry."""
        return f"lane:{self.lane}"

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """See `Item`."""
        try:
            found = client.read_concurrency_limit_by_tag(self.name)
        except ObjectNotFound:
            return None
        return [] if found.concurrency_limit == self.limit else ["limit"]

    def write(self, client: SyncPrefectClient) -> None:
        """See `Item`."""
        client.create_concurrency_limit(self.name, self.limit)


@dataclass(frozen=True, slots=True)
class DeploymentItem:
    """A deployment of a flow."""

    spec: DeploymentSpec
    kind: str = "deployment"

    @property
    def name(self) -> str:
        """Flow and deployment, as Prefect's command line takes them."""
        return f"{self.spec.flow}/{self.spec.name}"

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """See `Item`."""
        found = self._read(client)
        if found is None:
            return None
        wanted = self._wanted()
        here = {name: getattr(found, name) for name in wanted}
        changed = _differing(here | {"tags": sorted(found.tags), "pull_steps": found.pull_steps or []}, wanted)
        there = [_as_it_is(schedule) for schedule in found.schedules]
        return [*changed, *(["schedules"] if there != _schedules(self.spec.timing, there) else [])]

    def write(self, client: SyncPrefectClient) -> None:
        """See `Item`."""
        found = self._read(client)
        there = [_as_it_is(schedule) for schedule in found.schedules] if found else []
        client.create_deployment(
            client.create_flow_from_name(self.spec.flow),
            self.spec.name,
            schedules=_schedules(self.spec.timing, there),
            concurrency_limit=None,
            **self._wanted(),
        )

    def _read(self, client: SyncPrefectClient) -> Any | None:
        try:
            return client.read_deployment_by_name(self.name)
        except ObjectNotFound:
            return None

    def _wanted(self) -> Content:
        spec = self.spec
        flow: Any = load_flow_from_entrypoint(spec.entrypoint, use_placeholder_flow=False)
        return {
            "version": spec.version,
            "description": spec.description,
            "tags": sorted(spec.tags),
            "parameters": dict(spec.parameters),
            "entrypoint": spec.entrypoint,
            "work_pool_name": spec.pool,
            "work_queue_name": spec.queue,
            "job_variables": dict(spec.job_variables),
            "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
            "enforce_parameter_schema": True,
            "pull_steps": [],
        }


def _differing(found: Content, wanted: Content) -> list[str]:
    return [name for name in wanted if found[name] != wanted[name]]


def _as_it_is(there: DeploymentSchedule) -> DeploymentScheduleCreate:
    fields = [name for name in DeploymentScheduleCreate.model_fields if getattr(there, name, None) is not None]
    return DeploymentScheduleCreate.model_validate({name: getattr(there, name) for name in fields})


def _schedules(timing: Timing | None, there: list[DeploymentScheduleCreate]) -> list[DeploymentScheduleCreate]:
    """The schedules as they should be, given those of the server: people's stay as they are, but for what was asked for."""
    if timing is None:
        return there
    ours = next((schedule for schedule in there if schedule.slug == timing.slug), None)
    if not there or (timing.asked_for and (ours is None or _rhythm(ours.schedule) != (timing.cron or timing.interval_s))):
        made = _new(timing, active=timing.active if ours is None else bool(ours.active))
        there = [made, *(schedule for schedule in there if schedule is not ours)]
    return [schedule.model_copy(update={"active": timing.active}) for schedule in there] if timing.insist else there


def _rhythm(schedule: object) -> str | float | None:
    """Cron or seconds, as one asks for them; None where it is neither, or cron in another time zone."""
    if isinstance(schedule, CronSchedule):
        return schedule.cron if schedule.timezone in (None, "UTC") else None
    return schedule.interval.total_seconds() if isinstance(schedule, IntervalSchedule) else None


def _new(timing: Timing, *, active: bool) -> DeploymentScheduleCreate:
    rhythm = (
        CronSchedule(cron=timing.cron, timezone="UTC") if timing.cron else IntervalSchedule(interval=timedelta(seconds=timing.interval_s))
    )
    return DeploymentScheduleCreate(schedule=rhythm, slug=timing.slug, active=active)
