"""Settings of Prefect in the manifests are settings that Prefect knows, and pools are those that deployments name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kustomized import render
from prefect.settings import Settings
from prefect.settings.legacy import _get_valid_setting_names

from penstock_flows._specs import POOLS

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_INTEGRATIONS = ("PREFECT_REDIS_MESSAGING_", "PREFECT_INTEGRATIONS_KUBERNETES_")


def of_compose() -> list[str]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return [*content["x-prefect"], *content["x-client"]]


def of_kubernetes() -> list[str]:
    manifests = render(DEPLOY / "kubernetes" / "overlays" / "gpu")
    return [name for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"] != "penstock-files" for name in m["data"]]


@pytest.mark.parametrize("names", [of_compose(), of_kubernetes()], ids=["compose", "kubernetes"])
def test_prefect_knows_its_settings(names: list[str]) -> None:
    known = _get_valid_setting_names(Settings)
    ours = [name for name in names if name.startswith("PREFECT_") and not name.startswith(OF_INTEGRATIONS)]

    assert ours
    assert [name for name in ours if name not in known] == []


def test_the_workers_serve_the_pools_of_the_deployments() -> None:
    compose = (DEPLOY / "compose" / "compose.yaml").read_text()
    base = (DEPLOY / "kubernetes" / "base" / "flows.yaml").read_text()

    assert f"worker, start, --pool, {POOLS['process']}," in compose
    assert f"worker, start, --pool, {POOLS['kubernetes']}," in base
    assert f"work-pool create {POOLS['kubernetes']} " in base


def test_flow_runs_on_kubernetes_are_started_in_the_namespace_and_image_of_the_manifests() -> None:
    template = json.loads((DEPLOY / "kubernetes" / "base" / "job-template.json").read_text())
    (flows,) = (
        m for m in render(DEPLOY / "kubernetes" / "overlays" / "gpu") if (m["kind"], m["metadata"]["name"]) == ("Deployment", "flows")
    )
    defaults = {name: about.get("default") for name, about in template["variables"]["properties"].items()}

    assert defaults["namespace"] == flows["metadata"]["namespace"]
    assert defaults["image"] == flows["spec"]["template"]["spec"]["containers"][0]["image"]
