"""A password that the Prefect API does not take is one clear message."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock_flows import login
from penstock_flows.deployments import apply
from penstock_flows.login import ApiRefused, check_login, check_version
from penstock_flows.server import free_port

RIGHT = f"Basic {base64.b64encode(b'admin:tea').decode()}"


class Locked(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.headers.get("Authorization") == RIGHT else 401)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), Locked) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        found = f"http://127.0.0.1:{server.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", found)
        yield found
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(("password", "told"), [(None, "wants a password"), ("admin:coffee", "refuses the password")])
def test_an_api_that_refuses_us_says_what_to_set(url: str, monkeypatch: pytest.MonkeyPatch, password: str | None, told: str) -> None:
    if password is not None:
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", password)
    with pytest.raises(ApiRefused) as caught:
        check_login()
    assert str(caught.value) == (
        f"Prefect API {url}: {told} (401). Set PREFECT_API_AUTH_STRING to what the server was started with (PREFECT_SERVER_API_AUTH_STRING)."
    )


def test_the_right_password_is_let_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:tea")
    check_login()


def test_a_password_of_the_profile_counts(url: str, tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text('active = "site"\n[profiles.site]\nPREFECT_API_AUTH_STRING = "admin:tea"\n')
    check_login()


def test_an_api_that_is_silent_or_not_configured_is_for_others_to_tell(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    check_login()
    monkeypatch.delenv("PREFECT_API_URL")
    check_login()


def test_a_server_of_another_major_version_is_named_with_both_versions(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "ask_prefect", lambda *_: (200, "2.19.0"))
    with pytest.raises(
        ConfigError,
        match=rf"Prefect API {url}: its server has version 2\.19\.0, and here Prefect \d+\.\S+ is installed\. Set PREFECT_API_URL",
    ):
        apply([])
    with pytest.raises(ConfigError, match="has version"):
        check_login()


def test_a_server_of_another_minor_version_is_let_in(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    major = version("prefect").partition(".")[0]
    monkeypatch.setattr(login, "ask_prefect", lambda *_: (200, f"{major}.999.0"))
    assert check_version() == 200
