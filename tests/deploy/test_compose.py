"""The compose file: valid by its schema, hardened, without secrets, and of one mind with images, lanes, pools and certificates."""

from __future__ import annotations

import copy
import json
import re
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import distributed
import pytest
import yaml
from jsonschema import Draft202012Validator

from penstock.security.certificates import make_certificates

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
OURS = ("migrate", "api", "services", "deploy", "scheduler", "worker-tpc", "worker-events", "worker-gpu", "flows")
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    spec = find_spec("check_jsonschema")
    if spec is None or spec.origin is None:
        pytest.skip("check-jsonschema, which brings the schema of compose files, is not installed")
    path = Path(spec.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    return Draft202012Validator(json.loads(path.read_text()))


def test_the_compose_file_is_valid(compose: dict[str, Any], schema: Draft202012Validator) -> None:
    assert [error.message for error in schema.iter_errors(compose)] == []


@pytest.mark.parametrize(
    ("service", "field", "typo"),
    [("api", "healthcheck", "helthcheck"), ("flows", "depends_on", "depend_on"), ("proxy", "read_only", "readonly")],
)
def test_a_typo_in_a_field_is_found(compose: dict[str, Any], schema: Draft202012Validator, service: str, field: str, typo: str) -> None:
    broken = copy.deepcopy(compose)
    broken["services"][service][typo] = broken["services"][service].pop(field)

    assert [error for error in schema.iter_errors(broken) if typo in error.message or typo in str(error.context)]


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert not str(service["user"]).startswith("0"), name


def test_what_computes_is_bounded_by_dask_and_all_else_by_the_engine(compose: dict[str, Any]) -> None:
    bounded = {name for name, service in compose["services"].items() if "mem_limit" in service}
    assert set(compose["services"]) - bounded == {"worker-tpc", "worker-events", "worker-gpu", "flows"}
    assert all("--memory-limit" in str(compose["services"][name]["command"]) for name in ("worker-tpc", "worker-events"))


def test_only_the_proxy_is_published_and_on_the_loopback_device(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"proxy": ["${PENSTOCK_BIND:-127.0.0.1}:${PENSTOCK_PORT:-8443}:8443"]}


def test_all_networks_but_the_proxys_have_no_way_out(compose: dict[str, Any]) -> None:
    assert [name for name, network in compose["networks"].items() if not network.get("internal")] == ["edge"]
    assert [name for name, service in compose["services"].items() if "edge" in service["networks"]] == ["api", "proxy"]


def test_raw_files_and_certificates_are_mounted_for_reading(compose: dict[str, Any]) -> None:
    mounts = [v for s in compose["services"].values() for v in s.get("volumes", []) if isinstance(v, dict)]
    writable = {mount["target"] for mount in mounts if not mount.get("read_only")}
    assert writable == {"/data/store"}


def test_secrets_have_no_values_and_must_be_given(compose: dict[str, Any]) -> None:
    text = (FOLDER / "compose.yaml").read_text()
    secrets = set(re.findall(r"\$\{([A-Z_]*(?:PASSWORD|AUTH_STRING))", text))
    given = re.findall(r"^\s+(\w*(?:PASSWORD|AUTH_STRING)): (.*)$", text, re.MULTILINE)

    assert secrets == {"PREFECT_DATABASE_PASSWORD", "PENSTOCK_DATABASE_PASSWORD", "REDIS_PASSWORD", "PREFECT_AUTH_STRING"}
    assert [(name, value) for name, value in given if not re.fullmatch(r"\$\{[A-Z_]+:\?\}", value)] == []


def test_the_example_of_settings_names_every_variable_and_no_secret(compose: dict[str, Any]) -> None:
    example = dict(line.split("=", 1) for line in (FOLDER / ".env.example").read_text().splitlines() if line and not line.startswith("#"))
    used = set(VARIABLE.findall((FOLDER / "compose.yaml").read_text()))

    assert {name for name in used if not name.endswith("_IMAGE")} == set(example)
    assert [name for name, value in example.items() if value and ("PASSWORD" in name or "AUTH" in name)] == []


def test_services_use_the_images_that_containers_builds(compose: dict[str, Any]) -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    used = {re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", compose["services"][name]["image"]) for name in OURS}
    assert used == {f"penstock-{family}:{version[1]}" for family in ("tpc", "events", "gpu", "flows")}


@pytest.mark.parametrize("lane", ["tpc", "events", "gpu"])
def test_a_worker_offers_the_lane_of_its_image(compose: dict[str, Any], lane: str) -> None:
    name = f"DASK_DISTRIBUTED__WORKER__RESOURCES__{lane.upper()}"
    offered = [key for key in compose["services"][f"worker-{lane}"]["environment"] if "WORKER__RESOURCES" in key]

    assert offered == [name]
    assert f"{name}=1" in (ROOT / "containers" / lane / "Dockerfile").read_text()


def test_what_waits_for_a_healthy_service_waits_for_one_with_a_health_check(compose: dict[str, Any]) -> None:
    services = compose["services"]
    awaited = {n for s in services.values() for n, how in s.get("depends_on", {}).items() if how["condition"] == "service_healthy"}
    assert awaited == {"postgres", "redis", "api", "scheduler"}
    assert [name for name in awaited if "healthcheck" not in services[name]] == []


def test_a_scheduler_that_does_not_answer_yet_is_not_healthy(compose: dict[str, Any]) -> None:
    check = compose["services"]["scheduler"]["healthcheck"]["test"]
    assert check == ["CMD", "python", "/opt/penstock/health.py", "--announced"]


def test_no_container_sees_the_key_of_the_authority(compose: dict[str, Any]) -> None:
    seen = {
        name: [Path(v["source"]).name for v in service.get("volumes", []) if isinstance(v, dict) and "PENSTOCK_CERTS" in v["source"]]
        for name, service in compose["services"].items()
    }
    assert {name: files for name, files in seen.items() if files} == {
        **{name: ["ca.pem", "node.pem", "node-key.pem"] for name in ("scheduler", "worker-tpc", "worker-events", "worker-gpu", "flows")},
        "proxy": ["node.pem", "node-key.pem"],
    }


def test_a_certificate_that_is_missing_is_an_error_and_no_new_folder(compose: dict[str, Any]) -> None:
    mounts = [compose["x-data"][name] for name in ("authority", "node", "node-key")]
    assert [mount["bind"] for mount in mounts] == [{"create_host_path": False}] * 3


@pytest.mark.parametrize("name", ["scheduler", "worker-tpc", "worker-events"])
def test_what_dask_serves_without_tls_stays_in_its_container(compose: dict[str, Any], name: str) -> None:
    assert "--dashboard-address 127.0.0.1:" in " ".join(compose["services"][name]["command"]).replace("=", " ")


def test_the_proxy_serves_the_certificate_that_penstock_makes_on_the_port_that_is_published() -> None:
    config = (FOLDER / "proxy.conf").read_text()
    assert "listen 8443 ssl" in config
    assert "ssl_certificate /certs/node.pem" in config
    assert "proxy_pass http://api:4200" in config


def test_links_in_logs_and_notifications_lead_to_the_proxy_as_the_ui_does(compose: dict[str, Any]) -> None:
    assert compose["x-prefect"]["PREFECT_UI_URL"] == compose["x-client"]["PREFECT_UI_URL"]
    assert compose["x-prefect"]["PREFECT_SERVER_UI_API_URL"] == compose["x-client"]["PREFECT_UI_URL"] + "/api"


def test_the_script_of_databases_is_a_program_that_the_shell_understands() -> None:
    script = FOLDER / "databases.sh"
    assert script.stat().st_mode & stat.S_IXOTH
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


def test_settings_of_dask_are_those_that_dask_knows(compose: dict[str, Any]) -> None:
    known = yaml.safe_load((Path(distributed.__file__).parent / "distributed.yaml").read_text())
    for name in compose["x-dask"]:
        node: Any = known
        for part in name.removeprefix("DASK_").lower().replace("_", "-").split("--"):
            assert part in node, name
            node = node[part]


def test_certificates_are_mounted_under_the_names_that_penstock_gives_them(compose: dict[str, Any], tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certs")
    paths = [value for name, value in compose["x-dask"].items() if "__TLS__" in name]
    assert {Path(path).name for path in paths} == {file.name for file in (made.authority, made.node, made.node_key)}
    assert {str(Path(path).parent) for path in paths} == {"/certs"}
