"""Enough of kustomize to render the overlays of deploy/kubernetes without it; a test compares the two where kubectl is installed.

It knows what those files use: resources, namespace, images, configMapGenerator with files, and JSON patches by target. Anything else is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_KNOWN = {"apiVersion", "kind", "namespace", "resources", "generatorOptions", "configMapGenerator", "images", "patches"}
_CLUSTER_WIDE = {"Namespace"}


def render(folder: Path) -> list[Manifest]:
    """The manifests that `folder` comes to."""
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(asked) - _KNOWN
    assert not unknown, f"{folder}: kustomization has {sorted(unknown)}, which this renderer does not know"
    found: list[Manifest] = []
    for name in asked.get("resources", []):
        path = folder / name
        found += render(path) if path.is_dir() else [_without_aliases(d) for d in yaml.safe_load_all(path.read_text()) if d]
    found += [_config_map(folder, made) for made in asked.get("configMapGenerator", [])]
    for patch in asked.get("patches", []):
        matched = [m for m in found if _matches(m, patch["target"])]
        assert matched, f"{folder}: a patch of {patch['target']} matches nothing"
        for manifest in matched:
            for step in yaml.safe_load(patch["patch"]):
                _apply(manifest, step)
    for manifest in found:
        if "namespace" in asked and manifest["kind"] not in _CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = asked["namespace"]
        for container in containers(manifest):
            _rename(container, asked.get("images", []))
    return found


def containers(node: Any) -> list[dict[str, Any]]:
    """All containers, of pods wherever they stand in a manifest."""
    if isinstance(node, list):
        return [c for item in node for c in containers(item)]
    if not isinstance(node, dict):
        return []
    here = [c for key in ("containers", "initContainers") if isinstance(node.get(key), list) for c in node[key]]
    return here + [c for value in node.values() for c in containers(value)]


def pod_specs(node: Any) -> list[dict[str, Any]]:
    """All pod specs of a manifest."""
    if isinstance(node, list):
        return [p for item in node for p in pod_specs(item)]
    if not isinstance(node, dict):
        return []
    return ([node] if isinstance(node.get("containers"), list) else []) + [p for value in node.values() for p in pod_specs(value)]


def _without_aliases(manifest: Manifest) -> Manifest:
    copied: Manifest = json.loads(json.dumps(manifest))
    return copied


def _config_map(folder: Path, made: Manifest) -> Manifest:
    data = {Path(file).name: (folder / file).read_text() for file in made["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data}


def _matches(manifest: Manifest, target: Manifest) -> bool:
    name = target.get("name", ".*")
    return bool(manifest["kind"] == target["kind"] and re.fullmatch(name, manifest["metadata"]["name"]))


def _apply(manifest: Manifest, step: Manifest) -> None:
    *parts, last = step["path"].strip("/").split("/")
    node: Any = manifest
    for part in parts:
        node = node[int(part)] if isinstance(node, list) else node[part]
    key = int(last) if isinstance(node, list) else last
    assert step["op"] in ("add", "replace"), step
    if step["op"] == "replace":
        node[key]  # what is replaced is there
    node[key] = step["value"]


def _rename(container: dict[str, Any], images: list[Manifest]) -> None:
    name = container["image"].rpartition(":")[0] or container["image"]
    for image in images:
        if image["name"] == name or container["image"] == image["name"]:
            tag = image.get("newTag") or container["image"].rpartition(":")[2]
            container["image"] = f"{image.get('newName', image['name'])}:{tag}"
