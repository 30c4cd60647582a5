"""Who may ask, and where the server listens."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import httpx
import pytest

from penstock.core.errors import ConfigError
from penstock.views.hsds import Publisher, PublishServer

Serve = Callable[..., PublishServer]
PAGE = "https://h5web.example.org"


def test_a_token_is_needed_where_other_machines_reach() -> None:
    message = r"^host '0\.0\.0\.0' is reached by other machines, so a token is needed\. Give one, or serve on 127\.0\.0\.1\.$"
    with pytest.raises(ConfigError, match=message):
        PublishServer(Publisher(), host="0.0.0.0")


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^the token is empty\. Give one that is hard to guess\.$"):
        PublishServer(Publisher(), token="")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_no_token(client: httpx.Client, host: str) -> None:
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with PublishServer(Publisher(), host=host) as server:
        assert client.get(server.url).status_code == 200


def test_a_port_that_is_taken_is_named() -> None:
    with PublishServer(Publisher()) as first:
        second = PublishServer(Publisher(), port=first.port)

        with pytest.raises(ConfigError, match=rf"^port {first.port} on 127\.0\.0\.1 is taken\. Name another, or 0 for a free one\.$"):
            second.__enter__()


def test_an_address_of_another_machine_is_told() -> None:
    server = PublishServer(Publisher(), host="192.0.2.1", token="tea")

    with pytest.raises(ConfigError, match=r"^192\.0\.2\.1 port 0 cannot be listened on \(.*\)\. Name an address of this machine"):
        server.__enter__()


def test_a_stopped_server_gives_back_its_port_and_can_start_again(client: httpx.Client) -> None:
    server = PublishServer(Publisher())
    with server:
        port = server.port
        assert client.get(server.url).status_code == 200

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")
    with server:
        assert client.get(server.url).status_code == 200
    assert not [thread for thread in threading.enumerate() if thread.name == "penstock-publish"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param({}, 401, id="nothing"),
        pytest.param({"headers": {"authorization": "Bearer tea"}}, 200, id="bearer"),
        pytest.param({"headers": {"authorization": "Bearer coffee"}}, 401, id="wrong bearer"),
        pytest.param({"auth": ("anyone", "tea")}, 200, id="password"),
        pytest.param({"auth": ("tea", "coffee")}, 401, id="wrong password"),
        pytest.param({"headers": {"authorization": "Basic ?"}}, 401, id="broken password"),
        pytest.param({"headers": {"authorization": b"Basic \xe9"}}, 401, id="password that is no ASCII"),
        pytest.param({"params": {"token": "tea"}}, 200, id="address"),
        pytest.param({"params": {"token": "te"}}, 401, id="wrong address"),
    ],
)
def test_a_token_opens(serve: Serve, client: httpx.Client, asked: dict[str, object], status: int) -> None:
    server = serve({}, token="tea")

    for path in ("", "about", "api/v1/status", "api/v1/snapshot"):
        assert client.get(f"{server.url}{path}", **asked).status_code == status


def test_a_name_that_is_not_this_machine_is_refused(serve: Serve, client: httpx.Client) -> None:
    answer = client.get(serve({}).url, headers={"host": "evil.example.org"})

    assert answer.status_code == 403
    assert answer.json()["detail"] == "host 'evil.example.org' is not this machine. Use localhost, or serve with a token."


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:80"])
def test_names_of_this_machine_are_accepted(serve: Serve, client: httpx.Client, host: str) -> None:
    assert client.get(serve({}).url, headers={"host": host}).status_code == 200


def test_web_pages_read_only_where_they_are_allowed(serve: Serve, client: httpx.Client) -> None:
    closed, opened = serve({}), serve({}, allow_origins=[PAGE], token="tea")
    asked = {"origin": PAGE, "access-control-request-method": "GET", "access-control-request-headers": "authorization"}

    assert "access-control-allow-origin" not in client.get(closed.url, headers={"origin": PAGE}).headers
    answer = client.get(opened.url, headers={"origin": PAGE, "authorization": "Bearer tea"})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert client.options(opened.url, headers=asked).status_code == 200
    other = client.get(opened.url, headers={"origin": "https://other.example.org", "authorization": "Bearer tea"})
    assert "access-control-allow-origin" not in other.headers


def test_web_pages_set_nothing(serve: Serve, client: httpx.Client) -> None:
    answer = client.post(f"{serve({}).url}api/v1/parameter/a", content=b"1", headers={"origin": PAGE})

    assert (answer.status_code, answer.json()["detail"]) == (403, f"origin {PAGE!r} is not allowed.")
