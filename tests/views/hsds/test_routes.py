"""Answers of single routes, as h5web and others get them."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.views.hsds import FixedTree, PublishServer
from penstock.views.hsds._refusal import Refusal
from penstock.views.hsds._selection import parse_selection

Serve = Callable[..., PublishServer]
BINARY = {"accept": "application/octet-stream"}


def find(client: httpx.Client, url: str, path: str) -> str:
    """The route of the object at `path`, found as h5web finds it."""
    route = f"groups/{client.get(url).json()['root']}"
    for name in path.split("/"):
        links = client.get(f"{url}{route}/links").json()["links"]
        link = next(link for link in links if link["title"] == name)
        route = f"{link['collection']}/{link['id']}"
    return f"{url}{route}"


def test_h5web_reads_group_attributes_and_values(serve: Serve, client: httpx.Client) -> None:
    server = serve({"a b": {"image": np.arange(6).reshape(2, 3), "image_attrs": {"units of it": "mm"}}})
    dataset = find(client, server.url, "a b/image")

    described = client.get(dataset).json()
    attributes = client.get(f"{dataset}/attributes").json()["attributes"]
    attribute = client.get(f"{dataset}/attributes/units of it").json()
    value = client.get(f"{dataset}/value", params={"select": "[1,0:2]"}).json()

    assert described["shape"] == {"class": "H5S_SIMPLE", "dims": [2, 3]}
    assert described["type"] == {"class": "H5T_INTEGER", "base": "H5T_STD_I64LE"}
    assert described["attributeCount"] == 1
    assert [(a["name"], a["shape"], "value" in a) for a in attributes] == [("units of it", {"class": "H5S_SCALAR"}, False)]
    assert attribute["value"] == "mm"
    assert value == {"value": [[3, 4]]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(5, '{"value":5}', id="int"),
        pytest.param("tea", '{"value": "tea"}', id="one text"),
        pytest.param([1.5, float("nan"), float("inf")], '{"value": [1.5, NaN, Infinity]}', id="not finite"),
        pytest.param(np.array([True, False]), '{"value":[true,false]}', id="bool"),
        pytest.param(1 + 2j, '{"value": [1.0, 2.0]}', id="complex"),
        pytest.param([1j], '{"value": [[0.0, 1.0]]}', id="complex array"),
        pytest.param(np.array([(1, b"a")], [("n", "i2"), ("s", "S2")]), '{"value": [[1, "a"]]}', id="compound"),
        pytest.param(["a", "tür"], '{"value": ["a", "t\\u00fcr"]}', id="text"),
        pytest.param(b"\0\x11\x22", '{"value": "ABEi"}', id="opaque"),
        pytest.param(np.array([b"\0\x01"], "V2"), '{"value": ["AAE="]}', id="opaque array"),
        pytest.param(np.arange(2, dtype=">u2"), '{"value":[0,1]}', id="big-endian"),
        pytest.param(np.array([0.5], "f2"), '{"value":[0.5]}', id="half"),
        pytest.param([], '{"value":[]}', id="empty"),
        pytest.param(None, '{"value": null}', id="none"),
    ],
)
def test_values_are_json_where_bytes_are_not_asked_for(serve: Serve, client: httpx.Client, value: Any, expected: str) -> None:
    server = serve({"value": value})

    answer = client.get(f"{find(client, server.url, 'value')}/value")

    assert answer.headers["content-type"] == "application/json"
    assert answer.text == expected


def test_large_values_are_compressed(serve: Serve, client: httpx.Client) -> None:
    server = serve({"ones": np.ones((1000, 1000))})

    with client.stream("GET", f"{find(client, server.url, 'ones')}/value", headers=BINARY) as answer:
        raw = b"".join(answer.iter_raw())

    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 50_000
    assert gzip.decompress(raw) == np.ones((1000, 1000)).tobytes()


def test_what_does_not_shrink_is_sent_as_it_is(serve: Serve, client: httpx.Client) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 300_000, dtype="u1")
    server = serve({"noise": noise})

    answer = client.get(f"{find(client, server.url, 'noise')}/value", headers=BINARY)

    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == noise.tobytes()


def test_points_and_fields_can_be_asked_for(serve: Serve, client: httpx.Client) -> None:
    table = np.array([[(1, 2.0), (3, 4.0)]], [("a", "<i4"), ("b", "<f8")])
    dataset = find(client, serve({"table": table}).url, "table")

    points = client.post(f"{dataset}/value", json={"points": [[0, 1]]})
    binary = client.post(f"{dataset}/value", content=np.array([0, 1], "u8").tobytes(), headers={"content-type": "application/octet-stream"})
    fields = client.post(f"{dataset}/value", json={"select": "[0:1,0:2]", "fields": "b"}, headers=BINARY)

    assert points.json() == {"value": [[3, 4.0]]}
    assert binary.json() == {"value": [[3, 4.0]]}
    assert np.frombuffer(fields.content, "<f8").tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("asked", "status", "detail"),
    [
        pytest.param("?select=[1]", 400, "select=[1]: it has 1 dimensions, the dataset has 2.", id="dimensions"),
        pytest.param(
            "?select=[1,x]",
            400,
            "select=[1,x]: invalid literal for int() with base 10: 'x'. Write start:stop:step, an index, or a list of indices a dimension.",
            id="no number",
        ),
        pytest.param(
            "?select=[7,0:1]",
            400,
            "select=[7,0:1]: index 7 is not in 0 to 1. Write start:stop:step, an index, or a list of indices a dimension.",
            id="index",
        ),
        pytest.param(
            "?select=[0:1:-1,:]",
            400,
            "select=[0:1:-1,:]: '0:1:-1' counts from the end, or backwards. Write start:stop:step, an index, or a list of indices a dimension.",
            id="backwards",
        ),
        pytest.param("?select=[[0],[1]]", 400, "select=[[0],[1]]: only one dimension may have a list of indices.", id="lists"),
        pytest.param("?fields=a", 400, "there is no field 'a'; there are none.", id="field"),
        pytest.param("?query=a", 400, "queries are not supported. Read the values and select from them.", id="query"),
    ],
)
def test_a_wrong_request_is_told(serve: Serve, client: httpx.Client, asked: str, status: int, detail: str) -> None:
    server = serve({"image": np.zeros((2, 3))})

    answer = client.get(f"{find(client, server.url, 'image')}/value{asked}")

    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(
            b"{", "the body is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)).", id="json"
        ),
        pytest.param(b"[]", "the body is list, not a JSON object.", id="object"),
        pytest.param(b'{"points": [1]}', "1 coordinates do not make points of 2 dimensions.", id="coordinates"),
        pytest.param(b'{"points": [[1, 3]]}', "a point lies outside of the shape (2, 3).", id="outside"),
        pytest.param(b'{"points": [["a", 3]]}', "points are lists of indices.", id="text"),
    ],
)
def test_a_wrong_body_is_told(serve: Serve, client: httpx.Client, body: bytes, detail: str) -> None:
    server = serve({"image": np.zeros((2, 3))})

    answer = client.post(f"{find(client, server.url, 'image')}/value", content=body)

    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


def test_a_body_of_thousands_of_brackets_or_bytes_is_refused(serve: Serve, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.views.hsds.routes.BODY_BYTES", 1 << 20)
    value = f"{find(client, serve({'image': np.zeros((2, 3))}).url, 'image')}/value"

    deep, large = (client.post(value, content=text) for text in (b"[" * 200_000, b" " * (1 << 21)))

    assert (deep.status_code, deep.json()["detail"].startswith("the body is not JSON (")) == (400, True)
    assert (large.status_code, large.json()["detail"]) == (413, "the body is larger than 1 MiB. Ask for fewer points at once.")


def test_what_is_not_there_is_404_or_gone(serve: Serve, client: httpx.Client) -> None:
    tree: dict[str, Any] = {"a": 1, "bad": {1}, "g": {"b": 1}}
    server = serve(tree)
    root = f"{server.url}groups/{client.get(server.url).json()['root']}"
    group = find(client, server.url, "g")
    dataset = find(client, server.url, "a")
    del tree["a"]
    tree["g"] = 5

    answers = {
        path: (answer.status_code, answer.json()["detail"])
        for path in (
            f"{root}/links/none",
            f"{root}/links/bad",
            f"{root}/attributes/none",
            f"{server.url}groups/g-1",
            f"{group}/links",
            dataset,
        )
        for answer in [client.get(path)]
    }

    assert list(answers.values()) == [
        (404, "/: there is no 'none'."),
        (404, "/: 'bad' is left out: set has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group."),
        (404, "/: there is no attribute 'none'."),
        (404, "'g-1' is no identifier of this server."),
        (410, "/g is not what it was. Open the tree again."),
        (410, f"{dataset.rpartition('/')[2]} is not in the tree, or not any more. Open the tree again."),
    ]


def test_an_object_that_was_never_there_is_gone(serve: Serve, client: httpx.Client) -> None:
    server = serve({"a": 1})

    answer = client.get(f"{server.url}datasets/d-01234567-01234567-0123-012345-012345")

    assert answer.status_code == 410
    assert answer.json()["detail"] == "d-01234567-01234567-0123-012345-012345 is not in the tree, or not any more. Open the tree again."


def test_a_lock_that_is_held_too_long_is_503_until_it_is_free(serve: Serve, client: httpx.Client) -> None:
    lock = threading.Lock()
    server = serve(FixedTree({"a": 1}, lock), lock_wait_s=0.05)

    with lock:
        held = [client.get(server.url) for _ in range(3)]
    free = client.get(server.url)

    assert [answer.status_code for answer in held] == [503, 503, 503]
    assert held[0].headers["retry-after"] == "1"
    assert held[0].json()["detail"] == "the reducer held the lock of what it publishes for 0.05 s. Try again."
    assert free.status_code == 200


def test_a_reducer_that_publishes_no_dictionary_is_told(serve: Serve, client: httpx.Client) -> None:
    answer = client.get(serve([1]).url)

    assert (answer.status_code, answer.json()["detail"]) == (404, "publish is list, not a dict. Publish a dict of names and values.")


def test_parts_of_a_dataset_can_be_asked_for(serve: Serve, client: httpx.Client) -> None:
    dataset = find(client, serve({"a": [1, 2]}).url, "a")

    assert client.get(f"{dataset}/shape").json() == {"shape": {"class": "H5S_SIMPLE", "dims": [2]}}
    assert client.get(f"{dataset}/type").json() == {"type": {"class": "H5T_INTEGER", "base": "H5T_STD_I64LE"}}
    assert client.get(f"{dataset}/else").status_code == 404


def test_the_server_tells_what_it_is(serve: Serve, client: httpx.Client) -> None:
    about = json.loads(client.get(f"{serve({}).url}about").text)

    assert (about["name"], about["state"]) == ("penstock", "READY")


@given(st.data())
def test_any_selection_reads_as_numpy_does(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6)))
    array = np.arange(shape[0] * shape[1]).reshape(shape)
    slices = [slice(data.draw(st.integers(0, 8)), data.draw(st.integers(0, 8)), data.draw(st.integers(1, 3))) for _ in shape]
    text = ",".join(f"{s.start}:{s.stop}:{s.step}" for s in slices)

    parsed = parse_selection(f"[{text}]", shape)

    np.testing.assert_array_equal(array[parsed], array[tuple(slices)])


@pytest.mark.parametrize("text", ["[:,:]", "[0:,:3]", ":,:", "[ 0:2 , 0:3 ]"])
def test_ends_may_be_left_out_of_a_selection(text: str) -> None:
    assert np.zeros((2, 3))[parse_selection(text, (2, 3))].shape == (2, 3)


def test_too_many_colons_are_refused() -> None:
    with pytest.raises(Refusal, match=r"^select=\[1:2:3:4\]: '1:2:3:4' has too many colons\."):
        parse_selection("[1:2:3:4]", (9,))
