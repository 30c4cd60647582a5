"""The automations of a deployed penstock: a flow run that shows no life becomes Crashed, and one that fails is told of.

The address that is told lies in a block of the server, where Prefect keeps it encrypted; nothing else holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from penstock.core.errors import ConfigError

__all__ = ["BLOCK", "AutomationItem", "WebhookItem", "lost_runs", "pending_runs", "told_failures"]

BLOCK = "penstock-notify"
"""Name of the webhook block that `penstock deploy` makes."""

SILENCE_S = 90
"""Flow runs of deployments show life every 30 s; after this time without they are given up."""

PENDING_S = 600
"""A flow run whose process did not begin within this time never will, in s."""

_HEARTBEAT = "prefect.flow-run.heartbeat"
_ENDED = {f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut")}
_OURS = {"prefect.resource.id": "prefect.tag.penstock", "prefect.resource.role": "tag"}
_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}

PAYLOAD = """{
  "text": {{ ("penstock: flow run " ~ flow_run.name ~ " is " ~ flow_run.state.name ~ ". " ~ (flow_run.state.message or "")) | tojson }},
  "flow_run": {{ flow_run.name | tojson }},
  "state": {{ flow_run.state.name | tojson }},
  "message": {{ (flow_run.state.message or "") | tojson }},
  "url": {{ (flow_run | ui_url) | tojson }}
}"""
"""What is sent: JSON; Slack and Mattermost show its `text`."""


def lost_runs() -> AutomationCore:
    """A flow run that runs and shows no life becomes Crashed, which frees its place in queue and limits."""
    return _given_up(
        name="penstock: no sign of life",
        description=f"A flow run whose process gave no sign of life for {SILENCE_S} s becomes Crashed.",
        after={"prefect.flow-run.Running", _HEARTBEAT},
        expect={_HEARTBEAT, *_ENDED},
        within_s=SILENCE_S,
        message=f"No sign of life for {SILENCE_S} s: its process, worker or machine is gone. What was committed stays; run it again.",
    )


def pending_runs() -> AutomationCore:
    """A flow run that a worker took and never began becomes Crashed."""
    return _given_up(
        name="penstock: never began",
        description=f"A flow run that a worker took and that did not begin within {PENDING_S} s becomes Crashed.",
        after={"prefect.flow-run.Pending"},
        # The server may lose an event, and with it the word Running; signs of life come every 30 s.
        expect={"prefect.flow-run.Running", _HEARTBEAT, "prefect.flow-run.Cancelling", *_ENDED},
        within_s=PENDING_S,
        message=f"A worker took it and did not begin it within {PENDING_S} s. Look at the worker's log, and run it again.",
    )


def _given_up(name: str, description: str, after: set[str], expect: set[str], within_s: int, message: str) -> AutomationCore:
    """Crashed, where none of the expected events follows in time. A flow run that has ended stays as it is: the server refuses."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            match=_RUNS,
            match_related=_OURS,
            after=after,
            expect=expect,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=message)],
    )


def told_failures(block_id: Any) -> AutomationCore:
    """A flow run that fails or crashes is told to the address of a webhook block."""
    return AutomationCore(
        name="penstock: tell of failures",
        description="A flow run that ends Failed or Crashed is told to a webhook.",
        trigger=EventTrigger(
            match=_RUNS,
            match_related=_OURS,
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[CallWebhook(block_document_id=block_id, payload=PAYLOAD)],
    )


@dataclass(frozen=True, slots=True)
class AutomationItem:
    """An automation."""

    automation: AutomationCore
    kind: str = "automation"

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return self.automation.name

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """Fields that differ; whether it is enabled is for people to say."""
        found = client.read_automations_by_name(self.name)
        if not found:
            return None
        here, wanted = _comparable(found[0]), _comparable(self.automation)
        return [name for name in wanted if here[name] != wanted[name]]

    def write(self, client: SyncPrefectClient) -> None:
        """Make it, or make it what is wanted."""
        found = client.read_automations_by_name(self.name)
        if found:
            client.update_automation(found[0].id, self.automation.model_copy(update={"enabled": found[0].enabled}))
        else:
            client.create_automation(self.automation)


@dataclass(frozen=True, slots=True)
class WebhookItem:
    """The automation that tells of failures, and the block with its address."""

    block: str
    url: SecretStr | None = None
    kind: str = "automation"
    name: str = "penstock: tell of failures"

    def differences(self, client: SyncPrefectClient) -> list[str] | None:
        """See `AutomationItem`; a new address is a difference, which is named and not shown."""
        document = self._document(client)
        if document is None:
            if self.url is None:
                raise ConfigError(
                    f"there is no webhook block {self.block!r}. Make it in the UI (Blocks, Webhook), or give --notify-url-env."
                )
            return None
        changed = AutomationItem(told_failures(document.id)).differences(client)
        if changed is not None and self.url is not None and document.data.get("url") != self.url.get_secret_value():
            return ["address", *changed]
        return changed

    def write(self, client: SyncPrefectClient) -> None:
        """Keep the address in the block where there is a new one, and make the automation."""
        if self.url is not None:
            block: Any = Webhook(url=self.url, headers={"Content-Type": "application/json"})
            block.save(self.block, overwrite=True, _sync=True)
        document = self._document(client)
        assert document is not None
        AutomationItem(told_failures(document.id)).write(client)

    def _document(self, client: SyncPrefectClient) -> Any | None:
        try:
            return client.read_block_document_by_name(self.block, "webhook", include_secrets=True)
        except ObjectNotFound:
            return None


def _comparable(automation: AutomationCore) -> dict[str, Any]:
    actions: list[ActionTypes] = list(automation.actions)
    trigger = automation.trigger.model_dump(mode="json")
    for name in ("after", "expect", "for_each"):
        trigger[name] = sorted(trigger[name])
    return {
        "description": automation.description,
        "trigger": trigger,
        "actions": [action.model_dump(mode="json") for action in actions],
    }
