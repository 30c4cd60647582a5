"""Enough of Compose to start the services of deploy/compose one by one: what a service is, with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<other>[^}]*))?\}")


def rendered(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The services of a compose file; a variable that must be given and is not is an error, as it is for Compose."""

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        value = variables.get(found["name"], "")
        if not value and found["how"] == "?":
            raise ValueError(f"{path}: variable {found['name']} is not set")
        return value or found["other"] or ""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        return _VARIABLE.sub(fill, node) if isinstance(node, str) else node

    services: dict[str, Any] = walk(yaml.safe_load(path.read_text())["services"])
    return services


def run_options(service: Mapping[str, Any]) -> list[str]:
    """The options of ``podman run`` that a service comes to, but for its name and networks."""
    options = ["--user", service["user"], *(["--init"] if service["init"] else []), *(["--read-only"] if service["read_only"] else [])]
    options += [word for what in service["cap_drop"] for word in ("--cap-drop", what)]
    options += [word for what in service["security_opt"] for word in ("--security-opt", what.replace(":true", ""))]
    options += [word for what in service.get("tmpfs", []) for word in ("--tmpfs", what)]
    options += [word for name, value in service.get("environment", {}).items() for word in ("--env", f"{name}={value}")]
    for mount in service.get("volumes", []):
        assert mount["type"] == "bind", mount
        options += ["--volume", f"{mount['source']}:{mount['target']}{':ro' if mount.get('read_only') else ''}"]
    return options
