"""The Kubernetes manifests: valid against the schemas of Kubernetes and of the Dask operator, confined, and of one mind with the rest."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from kustomized import Manifest, containers, pod_specs, render

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
DASK = "kubernetes.dask.org/v1"
VERSIONS = ("1.33", "1.37")
"""The oldest and the newest Kubernetes that manifests are checked against."""

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate, which brings the schemas, is not installed")


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    return tuple(render(FOLDER / "overlays" / overlay))


@cache
def dask_schema(kind: str) -> Draft7Validator:
    """The schema of a resource of the operator, with what the API server would drop without a word made an error."""
    spec = find_spec("dask_kubernetes")
    if spec is None or spec.origin is None:
        pytest.skip("dask-kubernetes, which brings the schemas of the Dask operator, is not installed")
    folder = Path(spec.origin).parent / "operator" / "deployment" / "helm" / "dask-kubernetes-operator" / "crds"
    crd = yaml.load((folder / f"{kind.lower()}.yaml").read_text(), Loader=yaml.CSafeLoader)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return Draft7Validator(closed(schema) | {"properties": closed(schema)["properties"] | {"apiVersion": {}, "kind": {}, "metadata": {}}})


def closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if "properties" in inner and isinstance(inner.get("type"), str) and "additionalProperties" not in inner:
        inner["additionalProperties"] = bool(inner.get("x-kubernetes-preserve-unknown-fields"))
    if inner.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    return inner


def check(manifest: Manifest) -> None:
    """Raise where the API server would refuse the manifest or drop a part of it."""
    if manifest["apiVersion"] == DASK:
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in dask_schema(manifest["kind"]).iter_errors(manifest)]
        if errors:
            raise ValueError("; ".join(errors))
        for pod in pod_specs(manifest):
            validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod})
    else:
        validate(manifest)


def validate(manifest: Manifest) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def one(overlay: str, kind: str, name: str) -> Manifest:
    found = [m for m in rendered(overlay) if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, (kind, name)
    return copy.deepcopy(found[0])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid(overlay: str) -> None:
    for manifest in rendered(overlay):
        check(manifest)


@pytest.mark.parametrize(
    ("kind", "name", "where", "typo"),
    [
        ("Deployment", "prefect-api", ("spec",), ("replicas", "replica")),
        ("Deployment", "worker-tpc", ("spec", "template", "spec", "containers", 0), ("volumeMounts", "volumesMounts")),
        ("DaskCluster", "penstock", ("spec",), ("scheduler", "schedular")),
        ("DaskWorkerGroup", "worker-gpu", ("spec", "worker", "spec"), ("nodeSelector", "nodeselector")),
        ("HorizontalPodAutoscaler", "worker-tpc", ("spec",), ("maxReplicas", "maxReplica")),
        ("NetworkPolicy", "redis", ("spec",), ("podSelector", "podselector")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_typo_in_a_field_is_found(kind: str, name: str, where: tuple[str | int, ...], typo: tuple[str, str]) -> None:
    manifest = one("gpu", kind, name)
    node: Any = manifest
    for part in where:
        node = node[part]
    node[typo[1]] = node.pop(typo[0])

    with pytest.raises(Exception, match=f"{typo[0]}|{typo[1]}"):
        check(manifest)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_renderer_of_the_tests_says_what_kustomize_says(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    text = subprocess.run(["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)], capture_output=True, text=True, check=True).stdout
    theirs = {(m["kind"], m["metadata"]["name"]): m for m in yaml.load_all(text, Loader=yaml.CSafeLoader)}

    assert {(m["kind"], m["metadata"]["name"]): m for m in rendered(overlay)} == theirs


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_meets_the_restricted_standard(overlay: str) -> None:
    idle = [one(overlay, "DaskCluster", "penstock")["spec"]["worker"]["spec"]]
    pods = [pod for manifest in rendered(overlay) for pod in pod_specs(manifest) if pod not in idle] + [
        job_template()["spec"]["template"]["spec"]
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert not [v for v in pod.get("volumes", []) if "hostPath" in v]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            confined = container["securityContext"]
            assert confined == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            assert {"requests", "limits"} <= set(container["resources"])
            assert "memory" in container["resources"]["limits"]


def test_the_group_that_scales_to_nothing_stays_empty() -> None:
    assert one("gpu", "DaskCluster", "penstock")["spec"]["worker"]["replicas"] == 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_only_referred_to(overlay: str) -> None:
    assert [m for m in rendered(overlay) if m["kind"] == "Secret"] == []
    named = [e for m in rendered(overlay) for c in containers(m) for e in c.get("env", []) if re.search("PASSWORD|AUTH_STRING$", e["name"])]
    assert [e for e in named if "value" in e] == []
    values = json.dumps(
        [m.get("data", {}) for m in rendered(overlay) if m["kind"] == "ConfigMap" and m["metadata"]["name"] != "penstock-files"]
    )
    assert not re.search("PASSWORD|AUTH_STRING|PGPASS", values)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_links_in_logs_and_notifications_lead_where_the_ui_is(overlay: str) -> None:
    server, client = (one(overlay, "ConfigMap", f"penstock-{who}")["data"] for who in ("server", "client"))
    assert server["PREFECT_SERVER_UI_API_URL"] == server["PREFECT_UI_URL"] + "/api" == client["PREFECT_UI_URL"] + "/api"


def test_what_is_not_allowed_is_denied() -> None:
    deny = one("single", "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("lane", ["tpc", "events", "gpu"])
def test_workers_offer_the_lane_of_their_image(lane: str) -> None:
    kind = "DaskWorkerGroup" if lane == "gpu" else "Deployment"
    (container,) = containers(one("gpu", kind, f"worker-{lane}"))
    name = f"DASK_DISTRIBUTED__WORKER__RESOURCES__{lane.upper()}"

    assert container["image"].startswith(f"penstock-{lane}:")
    assert {"name": name, "value": "1"} in container["env"]
    assert f"{name}=1" in (ROOT / "containers" / lane / "Dockerfile").read_text()
    assert "tls://penstock-scheduler:8786" in [*container.get("command", []), *container.get("args", [])]


@pytest.mark.parametrize("lane", ["tpc", "events", "gpu"])
def test_a_worker_pod_is_ready_once_its_workers_answer(lane: str) -> None:
    kind = "DaskWorkerGroup" if lane == "gpu" else "Deployment"
    (container,) = containers(one("gpu", kind, f"worker-{lane}"))
    assert container["readinessProbe"]["exec"]["command"] == ["python", "/opt/penstock/health.py", "--announced"]


@pytest.mark.parametrize("lane", ["tpc", "events"])
def test_lanes_that_compute_on_cpus_are_scaled_apart(lane: str) -> None:
    scaler = one("gpu", "HorizontalPodAutoscaler", f"worker-{lane}")["spec"]
    worker = one("gpu", "Deployment", f"worker-{lane}")["spec"]

    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"worker-{lane}"}
    assert "replicas" not in worker, "the autoscaler says how many"
    assert "cpu" in worker["template"]["spec"]["containers"][0]["resources"]["requests"], "utilization is a share of what is requested"


def test_the_scale_of_a_worker_group_names_no_pods_so_that_no_autoscaler_of_kubernetes_can_follow_it() -> None:
    spec = find_spec("dask_kubernetes")
    if spec is None or spec.origin is None:
        pytest.skip("dask-kubernetes is not installed")
    folder = Path(spec.origin).parent / "operator" / "customresources"
    crd = yaml.safe_load((folder / "daskworkergroup.yaml").read_text())
    assert "labelSelectorPath" not in crd["spec"]["versions"][0]["subresources"]["scale"]


def test_gpu_workers_go_to_nodes_with_devices_and_book_them() -> None:
    pod = one("gpu", "DaskWorkerGroup", "worker-gpu")["spec"]["worker"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_site_takes_all_images_from_its_registry() -> None:
    ours = {c["image"] for m in rendered("site-example") for c in containers(m) if "penstock-" in c["image"]}
    (first,) = one("site-example", "Deployment", "flows")["spec"]["template"]["spec"]["initContainers"]
    flow_runs = first["env"][0]

    assert {image.rpartition("/")[0] for image in ours} == {"registry.example.org/penstock"}
    assert flow_runs == {"name": "FLOWS_IMAGE", "value": "registry.example.org/penstock/penstock-flows:0.1.0"}


def job_template() -> Manifest:
    """The Job of a flow run, with the defaults of its variables."""
    template = json.loads((FOLDER / "base" / "job-template.json").read_text())
    variables = {name: about.get("default") for name, about in template["variables"]["properties"].items()}
    variables |= {"name": "e20009", "env": [], "labels": {}, "annotations": {}, "command": ["prefect", "flow-run", "execute"]}

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(item) for item in node]
        whole = re.fullmatch(r"\{\{ (\w+) \}\}", node) if isinstance(node, str) else None
        if whole:
            return variables[whole[1]]
        return re.sub(r"\{\{ (\w+) \}\}", lambda m: str(variables[m[1]]), node) if isinstance(node, str) else node

    filled: Manifest = fill(template["job_configuration"]["job_manifest"])
    return filled


def test_the_job_of_a_flow_run_is_valid() -> None:
    validate(job_template())


def test_every_variable_of_the_job_template_is_used_and_declared() -> None:
    template = json.loads((FOLDER / "base" / "job-template.json").read_text())
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])


def test_pods_that_need_the_api_or_dask_carry_the_label_that_lets_them() -> None:
    labels = job_template()["spec"]["template"]["metadata"]["labels"]
    assert labels["penstock/api"] == labels["penstock/dask"] == "client"
    for name in ("worker-tpc", "worker-events"):
        assert one("gpu", "Deployment", name)["spec"]["template"]["metadata"]["labels"]["penstock/dask"] == "client"


def test_a_label_that_prometheus_is_told_of_is_one_that_pods_carry() -> None:
    page = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    (named,) = set(re.findall(r"__meta_kubernetes_pod_label_(\w+)", page))
    labels = one("gpu", "Deployment", "worker-tpc")["spec"]["template"]["metadata"]["labels"]
    assert named in {re.sub(r"\W", "_", label) for label in labels}


def test_the_same_script_makes_the_databases_in_compose_and_kubernetes() -> None:
    assert (FOLDER / "base" / "databases.sh").read_text() == (ROOT / "deploy" / "compose" / "databases.sh").read_text()
