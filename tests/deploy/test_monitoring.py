"""Configuration of Prometheus, alerts and dashboard: what they name is measured, and Prometheus itself accepts them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client, LocalCluster
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from toybench import ToyExperiment

from penstock.views.metrics import ExperimentMetrics
from penstock_flows.metrics import FlowRunMetrics
from penstock_flows.server import free_port

FOLDER = Path(__file__).parents[2] / "deploy/monitoring"
GRAMMAR = {"by", "on", "and", "or", "sum", "max", "clamp_min", "rate", "delta", "deriv", "increase", "time", "ignoring", "unless"}
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answered(FlowRunMetrics):
    """Flow runs and queues of a server that has one of each."""

    def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        return [{"id": "1", "name": "default", "work_pool_name": "penstock"}] if path == "/work_queues/filter" else 1


def names_in(expression: str) -> set[str]:
    """The metrics that an expression of Prometheus names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - GRAMMAR


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return found


def panel_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def read(url: str) -> str:
    with HTTP.open(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


@pytest.fixture(scope="module")
def dask_ports() -> Iterator[tuple[int, int]]:
    """Where a real scheduler and a real worker, which has computed a batch, serve their metrics."""
    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            resources={"tpc": 1},
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):

        def run_batch() -> int:
            return 1

        client.submit(run_batch).result(timeout=10)
        yield cluster.scheduler.http_server.port, next(iter(cluster.workers.values())).http_server.port


@pytest.fixture
def registry(toy: ToyExperiment) -> CollectorRegistry:
    toy.write_run(1)
    toy.run()
    found = CollectorRegistry()
    found.register(ExperimentMetrics(toy.folder / "experiment.toml"))
    found.register(Answered("http://127.0.0.1:9/api"))
    return found


def test_names_are_told_from_the_grammar() -> None:
    assert names_in('sum by (a) (rate(x_total{a="b_c"}[5m])) / (y > 0) and on (i) z == 0') == {"x_total", "y", "z"}


def test_every_metric_that_alerts_and_panels_name_is_measured(registry: CollectorRegistry, dask_ports: tuple[int, int]) -> None:
    texts = [
        generate_latest(registry).decode(),
        generate_latest(REGISTRY).decode(),
        *(read(f"http://127.0.0.1:{p}/metrics") for p in dask_ports),
    ]
    measured = {sample.name for text in texts for family in text_string_to_metric_families(text) for sample in family.samples}
    # penstock_failures has no series before something failed; Prometheus itself makes up.
    measured |= {family.name for family in text_string_to_metric_families(texts[0])} | {"up"}
    named = set().union(*map(names_in, [*panel_expressions(), *(rule["expr"] for rule in alerts())]))
    assert len(named) > 15
    assert named - measured == set()


def test_labels_that_expressions_choose_by_are_measured(registry: CollectorRegistry, dask_ports: tuple[int, int]) -> None:
    text = generate_latest(registry).decode() + "".join(read(f"http://127.0.0.1:{p}/metrics") for p in dask_ports)
    chosen = set(re.findall(r'(\w+)=~?"', " ".join([*panel_expressions(), *(rule["expr"] for rule in alerts())]))) - {"job"}
    assert {label for label in chosen if f'{label}="' not in text} == set()


def test_jobs_that_expressions_name_are_scraped() -> None:
    jobs = {job["job_name"] for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]}
    named = {name for text in panel_expressions() for match in re.findall(r'job=~?"([^"]*)"', text) for name in match.split("|")}
    assert named
    assert named <= jobs


def test_everything_is_asked_on_this_machine_only() -> None:
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    targets = [target for job in jobs for config in job["static_configs"] for target in config["targets"]]
    assert {target.partition(":")[0] for target in targets} == {"127.0.0.1"}


def test_panels_have_a_title_a_description_and_a_place_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == len({panel["title"] for panel in panels})
    assert all(panel["description"] for panel in panels)
    taken = [
        (x, y)
        for p in (panel["gridPos"] for panel in panels)
        for x in range(p["x"], p["x"] + p["w"])
        for y in range(p["y"], p["y"] + p["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_alerts_say_what_and_what_to_do() -> None:
    assert all(rule["labels"]["severity"] in ("info", "warning", "critical") for rule in alerts())
    assert all(rule["annotations"].keys() == {"summary", "action"} for rule in alerts())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (package prometheus)")
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts.test.yml")], ids=" ".join)
def test_promtool_accepts(command: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def prometheus(tmp_path: Path, registry: CollectorRegistry, dask_ports: tuple[int, int]) -> Iterator[str]:
    """A real Prometheus with our configuration, its targets where the tests serve them; its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs prometheus (package prometheus)")
    server, thread = start_http_server(0, "127.0.0.1", registry)
    config = (FOLDER / "prometheus.yml").read_text().replace("interval: 15s", "interval: 1s").replace("interval: 30s", "interval: 1s")
    for old, port in (("9105", server.server_port), ("8787", dask_ports[0]), ("8790", dask_ports[1])):
        config = config.replace(f"127.0.0.1:{old}", f"127.0.0.1:{port}")
    (tmp_path / "prometheus.yml").write_text(config)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    port = free_port()
    command = [
        program,
        f"--web.listen-address=127.0.0.1:{port}",
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={tmp_path / 'data'}",
    ]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as process:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(20)
    server.shutdown()
    server.server_close()
    thread.join(5)


def query(address: str, expression: str) -> list[Any]:
    answer = json.loads(read(f"{address}/api/v1/query?query={urllib.parse.quote(expression)}"))
    assert answer["status"] == "success"
    found: list[Any] = answer["data"]["result"]
    return found


@pytest.mark.slow
def test_a_real_prometheus_scrapes_us_and_answers_every_panel(prometheus: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if len(query(prometheus, "up == 1")) >= 3 and len(query(prometheus, "deriv(penstock_events_out[10m])")):
                break
        except OSError:
            pass
        time.sleep(0.5)
    assert {(r["metric"]["job"], r["metric"].get("lane")) for r in query(prometheus, "up == 1")} == {
        ("penstock", None),
        ("dask-scheduler", None),
        ("dask-worker", "tpc"),
    }
    empty = [e for e in panel_expressions() if not query(prometheus, e.replace("$experiment", ".*"))]
    # Nothing has failed, and three samples are few for rates of Dask.
    assert {name for e in empty for name in names_in(e)} <= {
        "penstock_failures",
        "dask_scheduler_prefix_state_totals_total",
        "process_resident_memory_bytes",
    }
    rules = json.loads(read(f"{prometheus}/api/v1/rules"))["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
