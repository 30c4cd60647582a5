"""What the doctor says of the Prefect API: passwords, TLS, telemetry, profiles."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from penstock.cli.doctor import _prefect
from penstock.cli.doctor._finding import Finding
from penstock.cli.doctor._prefect import look_at_prefect
from penstock.cli.prefect_api import ask_prefect, prefect_setting

Serve = Callable[..., str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """A server that answers as Prefect's does, with a password or without; it becomes the configured API."""
    for name in (
        "PREFECT_API_URL",
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_API_AUTH_STRING",
        "PREFECT_API_KEY",
        "PREFECT_API_SSL_CERT_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    answers: dict[str, object] = {}
    with ExitStack() as stack:

        def start(
            password: str | None = None,
            *,
            telemetry: bool = False,
            version: str | None = None,
            pages: str = "",
            posts: Mapping[str, object] | None = None,
        ) -> str:
            answers.update(posts or {})

            class Answering(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    wanted = None if password is None else f"Basic {base64.b64encode(password.encode()).decode()}"
                    known = wanted is None or self.headers.get("Authorization") == wanted or self.path.endswith("/health")
                    content = version if self.path.endswith("/version") else {"server": {"analytics_enabled": telemetry}}
                    body = json.dumps(content if known else {}).encode()
                    self.send_response(200 if known else 401)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def do_OPTIONS(self) -> None:
                    self.send_response(200)
                    if pages:
                        self.send_header("Access-Control-Allow-Origin", pages)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    body = json.dumps(answers.get(self.path.removeprefix("/api"))).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    """Say nothing."""

            server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Answering))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(server.shutdown)
            url = f"http://127.0.0.1:{server.server_port}/api"
            monkeypatch.setenv("PREFECT_API_URL", url)
            return url

        yield start


def found() -> dict[str, Finding]:
    return {f.what: f for f in look_at_prefect()}


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address counts as one that other machines reach."""
    monkeypatch.setattr(_prefect, "is_loopback", lambda host: False)


def test_an_api_without_password_on_this_machine_is_a_note(serve: Serve) -> None:
    url = serve()
    assert found()["prefect access"].state == "note"
    assert found()["prefect access"].detail == f"{url} asks for no password: all users of this machine may use it"


@pytest.mark.parametrize(
    ("password", "pages", "state"), [(None, "*", "problem"), (None, "http://127.0.0.1", "note"), ("admin:tea", "*", "ok")]
)
def test_an_api_that_answers_to_every_web_page_wants_a_password(serve: Serve, password: str | None, pages: str, state: str) -> None:
    url = serve(password, pages=pages)
    access = found()["prefect access"]
    assert access.state == state
    assert ("every web page" in access.detail) == (state == "problem")
    assert (f"PREFECT_SERVER_CORS_ALLOWED_ORIGINS={url.removesuffix('/api')}" in access.advice) == (state == "problem")


@pytest.mark.usefixtures("far_away")
def test_an_api_without_password_that_others_reach_is_a_problem(serve: Serve) -> None:
    url = serve()
    assert found()["prefect access"].state == "problem"
    assert found()["prefect access"].detail == f"{url} asks for no password: whoever reaches it runs code on its workers"


@pytest.mark.usefixtures("far_away")
def test_a_password_in_the_clear_is_a_problem(serve: Serve) -> None:
    url = serve("admin:tea")
    assert found()["prefect access"].state == "problem"
    assert found()["prefect access"].detail == f"{url} takes its password in the clear"


@pytest.mark.parametrize(("ours", "told"), [(None, "a client without password"), ("admin:coffee", "the password of this shell")])
def test_a_password_that_is_refused_is_a_problem(serve: Serve, monkeypatch: pytest.MonkeyPatch, ours: str | None, told: str) -> None:
    url = serve("admin:tea")
    if ours is not None:
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", ours)
    assert found()["prefect password"].detail == f"{url} refuses {told}"
    assert "tea" not in str(found()["prefect password"])


def test_the_right_password_leaves_nothing_to_say(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("admin:tea")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:tea")
    assert {f.state for f in found().values()} == {"ok"}


def test_telemetry_of_the_server_is_told(serve: Serve) -> None:
    url = serve(telemetry=True)
    assert found()["telemetry"].state == "note"
    assert found()["telemetry"].detail == f"the Prefect server at {url} reports its use to its makers"
    serve(telemetry=False)
    assert "telemetry" not in found()


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o644, "problem")])
def test_a_profile_with_a_password_is_for_its_owner_only(serve: Serve, tmp_path: Path, mode: int, state: str) -> None:
    profile = tmp_path / "profiles.toml"
    profile.write_text('active = "site"\n[profiles.site]\nPREFECT_API_AUTH_STRING = "admin:tea"\n')
    profile.chmod(mode)
    finding = found()["prefect profile"]
    assert finding.state == state
    assert "PREFECT_API_AUTH_STRING" in finding.detail
    assert "tea" not in str(finding)


@pytest.mark.parametrize(
    "name", ["PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_REDIS_MESSAGING_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING"]
)
def test_every_secret_of_a_profile_counts(serve: Serve, tmp_path: Path, name: str) -> None:
    (tmp_path / "profiles.toml").write_text(f'active = "site"\n[profiles.site]\n{name} = "tea"\nPREFECT_LOGGING_LEVEL = "INFO"\n')
    (tmp_path / "profiles.toml").chmod(0o644)
    assert found()["prefect profile"].detail == f"{tmp_path / 'profiles.toml'} holds {name} and can be read by others"


def test_settings_come_from_the_environment_and_then_from_the_profile(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "profiles.toml").write_text('active = "site"\n[profiles.site]\nPREFECT_API_AUTH_STRING = "admin:tea"\n')
    assert prefect_setting("PREFECT_API_AUTH_STRING") == "admin:tea"
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:coffee")
    assert prefect_setting("PREFECT_API_AUTH_STRING") == "admin:coffee"
    assert prefect_setting("PREFECT_API_KEY") is None


def test_an_address_that_is_not_of_http_is_told() -> None:
    with pytest.raises(ValueError, match=r"^Prefect API 'file:///etc/passwd': is no address of HTTP\. Set PREFECT_API_URL to one such as"):
        ask_prefect("file:///etc/passwd", "")


@pytest.mark.parametrize(("theirs", "told"), [("3.2.1", True), (importlib.metadata.version("prefect"), False)])
def test_a_server_of_another_version_is_a_problem(serve: Serve, theirs: str, told: bool) -> None:
    url = serve(version=theirs)
    assert ("prefect version" in found()) == told
    assert not told or found()["prefect version"].detail.startswith(f"the server at {url} is Prefect 3.2.1, this client")


def test_an_api_that_nobody_serves_is_a_problem(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert found()["prefect API"].state == "problem"
    assert found()["prefect API"].detail.startswith("http://127.0.0.1:9/api does not answer")


def test_a_password_in_the_address_of_the_api_is_a_problem_and_is_not_repeated(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://admin:tea@127.0.0.1:9/api")
    assert found()["prefect API"].state == "problem"
    assert "tea" not in str(found())


def deployment(version: str, pool: str = "penstock") -> dict[str, str]:
    """As the API describes one."""
    return {"name": "process", "version": version, "work_pool_name": pool}


@pytest.mark.parametrize(
    ("version", "state", "told"),
    [
        (importlib.metadata.version("penstock"), "ok", "1 of penstock"),
        ("0.0.1", "problem", "penstock 0.0.1 made"),
        ("of mine", "ok", "1 of penstock"),
    ],
)
def test_deployments_of_another_penstock_are_a_problem(serve: Serve, version: str, state: str, told: str) -> None:
    serve(posts={"/deployments/filter": [deployment(version)]})
    assert found()["deployments"].state == state
    assert told in found()["deployments"].detail


def test_an_api_without_deployments_is_told(serve: Serve) -> None:
    serve(posts={"/deployments/filter": []})
    assert (found()["deployments"].state, found()["deployments"].advice) == ("note", "Make them with: penstock deploy")


@pytest.mark.parametrize(
    ("status", "is_paused", "state", "told"),
    [("READY", False, "ok", "a worker asks"), ("NOT_READY", False, "problem", "they wait as Late"), ("READY", True, "note", "is paused")],
)
def test_a_pool_that_no_worker_asks_is_a_problem(serve: Serve, status: str, is_paused: bool, state: str, told: str) -> None:
    pools = [
        {"name": "penstock", "status": status, "is_paused": is_paused},
        {"name": "of others", "status": "NOT_READY", "is_paused": False},
    ]
    serve(posts={"/deployments/filter": [deployment("0.1.0")], "/work_pools/filter": pools})
    pool = found()["work pool penstock"]
    assert (pool.state, told in pool.detail) == (state, True)
    assert "work pool of others" not in found()
