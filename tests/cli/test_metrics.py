"""`penstock metrics`: printed once, or served to whoever may ask."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from toybench import ToyExperiment

from penstock.cli import metrics as command
from penstock.cli.metrics import metrics
from penstock.core.errors import ConfigError
from penstock.security import CertificateError, CertificateFolder, make_certificates

TOYS = Path(__file__).parents[1] / "toy"
SERVE = "import sys; from penstock.cli.metrics import metrics; metrics(sys.argv[1:])"


def call(*args: str) -> str:
    return CliRunner().invoke(metrics, args, catch_exceptions=False).output


@pytest.fixture
def experiment(toy: ToyExperiment) -> Path:
    """The experiment.toml of one run that is current."""
    toy.write_run(1)
    toy.run()
    return toy.folder / "experiment.toml"


def ask(app: Any, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(url, headers=headers)

    return asyncio.run(get())


def test_once_prints_what_prometheus_reads(experiment: Path) -> None:
    families = {f.name: f for f in text_string_to_metric_families(call(str(experiment), "--once"))}
    found = {s.labels["stage"]: s.value for s in families["penstock_artifacts"].samples}
    assert found == {"toy.hits": 1, "toy.groups": 1, "toy.summary": 1}
    assert families["penstock_readable"].samples[0].labels == {"experiment": "toys"}


def test_once_prints_json_for_programs(experiment: Path) -> None:
    samples = json.loads(call(str(experiment), "--once", "--json"))
    assert {"name": "penstock_runs", "labels": {"experiment": "toys"}, "value": 1.0} in samples


def test_metrics_of_plug_ins_come_in_by_entry_point(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def load(self) -> Any:
            from prometheus_client.core import GaugeMetricFamily
            from prometheus_client.registry import Collector

            class Extra(Collector):
                def collect(self) -> Iterator[Any]:
                    yield GaugeMetricFamily("extra_beam", "Current.", 3.0)

            return Extra

    class Silent:
        def load(self) -> Any:
            return lambda: None

    monkeypatch.setattr(command, "entry_points", lambda group: [Point(), Silent()] if group == "penstock.metrics" else [])
    assert "extra_beam 3.0" in call(str(experiment), "--once")


def test_json_goes_with_once_only() -> None:
    with pytest.raises(ConfigError, match=r"^--json goes with --once; without it the numbers are served over HTTP\.$"):
        call("--json")


def test_other_machines_need_a_token(experiment: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^host '0\.0\.0\.0' is reached by other machines, so a token is needed\. Give one, or serve on 127\.0\.0\.1\.$"
    ):
        call(str(experiment), "--host", "0.0.0.0")


def test_certificates_that_are_not_there_are_told(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"node\.pem: no certificate can be read there"):
        call(str(experiment), "--port", "0", "--tls", str(tmp_path))


@pytest.mark.parametrize(("token", "sent", "status"), [(None, None, 200), ("tea", "tea", 200), ("tea", "coffee", 401), ("tea", None, 401)])
def test_a_token_is_asked_for_where_there_is_one(experiment: Path, token: str | None, sent: str | None, status: int) -> None:
    app = command._app(command._registry(experiment), token)
    headers = {"Authorization": f"Bearer {sent}"} if sent else {}
    answer = ask(app, "http://localhost/metrics", headers)
    assert answer.status_code == status
    assert ("penstock_readable" in answer.text) == (status == 200)


def test_a_page_that_leads_here_by_another_name_reads_nothing(experiment: Path) -> None:
    app = command._app(command._registry(experiment), None)
    assert ask(app, "http://evil.example.org/metrics").status_code == 403


@contextmanager
def serving(experiment: Path, *options: str) -> Iterator[str]:
    arguments = [str(experiment), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(TOYS)}
    with subprocess.Popen([sys.executable, "-c", SERVE, *arguments], stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        told = re.search(r"https?://\S+/metrics", process.stderr.readline())
        assert told is not None
        yield told[0]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def test_a_process_serves_encrypted_to_holders_of_the_certificate_only(experiment: Path, tmp_path: Path) -> None:
    made: CertificateFolder = make_certificates(tmp_path / "certs")
    node = ssl.create_default_context(cafile=made.authority)
    stranger = ssl.create_default_context(cafile=made.authority)
    node.load_cert_chain(made.node, made.node_key)
    with serving(experiment, "--tls", str(made.path)) as url:
        with urllib.request.urlopen(url, context=node, timeout=30) as answer:
            text = answer.read().decode()
        with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
            urllib.request.urlopen(url, context=stranger, timeout=30)
    assert url.startswith("https://127.0.0.1:")
    assert 'penstock_readable{experiment="toys"} 1.0' in text
