"""Parameters and status over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from penstock.stream.parameters import BinaryParameter, IntParameter, ParameterBase
from penstock.views.hsds import Publisher, PublishServer

Serve = Callable[..., PublishServer]


class Board:
    """A store of one number and some bytes."""

    def __init__(self) -> None:
        self.described: dict[str, ParameterBase] = {
            "till_x": IntParameter(name="till_x", default=2, description="last column"),
            "mask": BinaryParameter(name="mask", default=b"\xff"),
        }
        self.values = {"till_x": b"2", "mask": b"\xff"}

    def get(self, name: str) -> bytes:
        return self.values[name]

    def set(self, name: str, data: bytes) -> None:
        self.described[name].read(data)
        self.values[name] = data

    def list(self) -> list[ParameterBase]:
        return [*self.described.values()]


@pytest.fixture
def board() -> Board:
    """A fresh store."""
    return Board()


@pytest.fixture
def url(serve: Serve, board: Board) -> str:
    """Where a server with that store answers."""
    return f"{serve({'a': 1, 'bad': {1}}, parameters=board).url}api/v1"


def test_a_parameter_is_read_as_bytes(url: str, client: httpx.Client) -> None:
    answer = client.get(f"{url}/parameter/mask")

    assert answer.headers["content-type"] == "application/x.bytes"
    assert answer.content == b"\xff"


def test_a_parameter_is_set_as_bytes(url: str, client: httpx.Client, board: Board) -> None:
    answer = client.post(f"{url}/parameter/till_x", content=b"3")

    assert (answer.status_code, answer.json()) == (200, "")
    assert board.values["till_x"] == b"3"


def test_a_large_binary_parameter_is_set(url: str, client: httpx.Client, board: Board) -> None:
    client.post(f"{url}/parameter/mask", content=bytes(range(256)) * 4000)

    assert board.values["mask"] == bytes(range(256)) * 4000


def test_a_value_of_the_wrong_type_is_400(url: str, client: httpx.Client, board: Board) -> None:
    answer = client.post(f"{url}/parameter/till_x", content=b"many")

    assert (answer.status_code, answer.json()["detail"]) == (400, "parameter 'till_x': 'many' is not a whole number.")
    assert board.values["till_x"] == b"2"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_parameter_is_404(url: str, client: httpx.Client, method: str) -> None:
    answer = client.request(method, f"{url}/parameter/none")

    assert (answer.status_code, answer.json()["detail"]) == (404, "parameter 'none' is not known.")


def test_a_parameter_beyond_the_limit_is_413(url: str, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.views.hsds.api._LARGEST_PARAMETER", 1 << 20)

    answer = client.post(f"{url}/parameter/mask", content=bytes((1 << 20) + 1))

    assert (answer.status_code, answer.json()["detail"]) == (413, "parameter 'mask': the value is larger than 1 MiB.")


def test_descriptions_are_listed_by_name(url: str, client: httpx.Client) -> None:
    assert client.get(f"{url}/parameters").json() == [
        {"name": "mask", "description": None, "dtype": "binary", "default": "\\xff"},
        {"name": "till_x", "description": "last column", "dtype": "int", "default": 2},
    ]


def test_a_server_without_parameters_lists_none(serve: Serve, client: httpx.Client) -> None:
    url = f"{serve({}).url}api/v1"

    assert client.get(f"{url}/parameters").json() == []
    assert client.get(f"{url}/parameter/a").json()["detail"] == "there are no parameters here."


def test_the_status_tells_whether_something_is_published(url: str, client: httpx.Client) -> None:
    status = client.get(f"{url}/status").json()

    assert (status["publishing"], status["count"]) == (True, 1)
    with PublishServer(Publisher()) as empty:
        assert client.get(f"{empty.url}api/v1/status").json()["publishing"] is False


def test_what_is_left_out_is_listed(url: str, client: httpx.Client) -> None:
    left_out: dict[str, Any] = client.get(f"{url}/left_out").json()

    assert left_out == {"/bad": "set has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group."}
