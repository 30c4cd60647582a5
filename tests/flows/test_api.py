"""Finding out whether a Prefect API is configured and answers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from penstock_flows import api_is_configured, api_is_reachable, api_url
from penstock_flows.server import free_port

PAGE = "http://page.invalid"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/api/health": 200, "/locked/health": 401}.get(self.path, 500))
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


def test_without_settings_no_api_is_configured() -> None:
    assert not api_is_configured()
    assert not api_is_reachable()


def test_environment_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('active = "lab"\n[profiles.lab]\nPREFECT_API_URL = "http://lab/api"\n')
    assert api_url() == "http://lab/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://other/api")
    assert api_url() == "http://other/api"


def test_profile_without_api_is_none(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('active = "ephemeral"\n[profiles.ephemeral]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"\n')
    assert not api_is_configured()


@pytest.mark.parametrize(
    ("path", "reachable"), [("/api", True), ("/locked", True), ("/broken", False)], ids=["healthy", "wants a login", "broken"]
)
def test_api_is_reachable_where_it_answers(monkeypatch: pytest.MonkeyPatch, port: int, path: str, reachable: bool) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}{path}")
    assert api_is_reachable() is reachable


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:{free_port()}/api", "nonsense", "ftp://127.0.0.1/api"], ids=["silent", "nonsense", "ftp"]
)
def test_api_that_does_not_answer_is_not_reachable(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert api_is_configured()
    assert not api_is_reachable()


def test_asking_imports_no_prefect() -> None:
    code = "import sys, penstock_flows; penstock_flows.api_is_reachable(); print('prefect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.server
def test_only_its_own_pages_may_use_a_server_of_ours(prefect_server: dict[str, str]) -> None:
    url = f"{prefect_server['PREFECT_API_URL']}/deployments/filter"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    own = prefect_server["PREFECT_API_URL"].removesuffix("/api")

    allowed = {
        page: httpx.options(url, headers={"origin": page, **asked}).headers.get("access-control-allow-origin") for page in (own, PAGE)
    }

    assert allowed == {own: own, PAGE: None}
