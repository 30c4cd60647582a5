"""Real clients over a real socket: h5pyd, and silx on top of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import h5pyd
import numpy as np
import pytest
import silx.io
from silx.io.dictdump import h5todict
from silx.io.nxdata import get_default

from penstock.views.hsds import FixedTree, Publisher, PublishServer

Serve = Callable[..., PublishServer]
COMPOUND = np.array([(1, 2.5, b"ab"), (3, 4.5, b"c")], [("a", "<i4"), ("b", ">f8"), ("u", "S3")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(5, 5, id="int"),
        pytest.param(2**63, 2**63, id="uint64"),
        pytest.param(2.5, 2.5, id="float"),
        pytest.param(True, True, id="bool"),
        pytest.param("tür", "tür".encode(), id="text"),
        pytest.param("", b"", id="empty text"),
        pytest.param(b"abc", b"abc", id="bytes"),
        pytest.param(np.float32(1.5), 1.5, id="numpy scalar"),
        pytest.param(float("nan"), float("nan"), id="nan"),
    ],
)
def test_h5pyd_reads_scalars(serve: Serve, value: Any, expected: Any) -> None:
    with h5pyd.File(serve({"value": value}).url, "r") as file:
        read = file["value"][()]

    np.testing.assert_equal(read, expected)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.arange(6, dtype="u1").reshape(2, 3), id="bytes"),
        pytest.param(np.arange(6, dtype=">i4"), id="big-endian"),
        pytest.param(np.arange(3, dtype="f2"), id="half"),
        pytest.param(np.array([[True, False]]), id="bool"),
        pytest.param(np.array([b"a", b"bc"]), id="fixed strings"),
        pytest.param(COMPOUND, id="compound"),
        pytest.param(np.zeros((0, 3)), id="empty"),
        pytest.param(np.asfortranarray(np.arange(6.0).reshape(2, 3)), id="column order"),
        pytest.param(np.array([1.0, np.nan, np.inf]), id="not finite"),
    ],
)
def test_h5pyd_reads_arrays_with_their_type(serve: Serve, array: np.ndarray[Any, Any]) -> None:
    with h5pyd.File(serve({"value": array}).url, "r") as file:
        dataset = file["value"]
        read = dataset[...]

    assert dataset.dtype == array.dtype
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_h5pyd_reads_text_complex_and_nothing(serve: Serve) -> None:
    tree = {"texts": [["a", "bc"], ["", "tür"]], "complex": np.array([1 + 2j]), "nothing": None, "opaque": b"\0\xff"}
    with h5pyd.File(serve(tree).url, "r") as file:
        assert file["texts"].asstr()[:].tolist() == [["a", "bc"], ["", "tür"]]
        assert file["texts"][1].tolist() == [b"", "tür".encode()]
        assert file["complex"][:].view("c16").tolist() == [1 + 2j]
        assert file["nothing"].shape is None
        assert file["opaque"][()].tobytes() == b"\0\xff"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(np.s_[2:5, 7:20], id="part"),
        pytest.param(np.s_[::3, 1::7], id="steps"),
        pytest.param(np.s_[4], id="row"),
        pytest.param(np.s_[:, -1], id="column from the end"),
        pytest.param(np.s_[5, 6], id="element"),
        pytest.param(np.s_[:, [1, 4, 9]], id="list"),
        pytest.param(np.s_[8:200], id="beyond"),
        pytest.param(np.s_[..., 3], id="ellipsis"),
        pytest.param(np.arange(300).reshape(10, 30) % 7 == 0, id="mask"),
        pytest.param(np.s_[3:3], id="none"),
    ],
)
def test_h5pyd_reads_parts_as_numpy_does(serve: Serve, part: Any) -> None:
    array = np.arange(300, dtype="i4").reshape(10, 30)
    with h5pyd.File(serve({"value": array}).url, "r") as file:
        np.testing.assert_array_equal(file["value"][part], array[part])


def test_h5pyd_reads_one_field(serve: Serve) -> None:
    with h5pyd.File(serve({"value": COMPOUND}).url, "r") as file:
        np.testing.assert_array_equal(file["value"]["b"], COMPOUND["b"])


def test_h5pyd_finds_groups_attributes_and_names_with_spaces(serve: Serve) -> None:
    tree = {
        "scan 1": {"a deep": {"map of x": [1, 2]}, "_attrs": {"a motor": "sx"}},
        "_attrs": {"title": "tür", "list": ["a", "b"], "matrix": [[1, 2], [3, 4]], "truth": True, "none": None},
    }
    with h5pyd.File(serve(tree).url, "r") as file:
        assert list(file) == ["scan 1"]
        assert file["scan 1/a deep/map of x"][:].tolist() == [1, 2]
        assert file["scan 1"].attrs["a motor"] == "sx"
        assert file.attrs["title"] == "tür"
        assert list(file.attrs["list"]) == ["a", "b"]
        assert file.attrs["matrix"].tolist() == [[1, 2], [3, 4]]
        assert file.attrs["truth"]
        assert "none" in file.attrs
        assert "absent" not in file


def test_values_that_cannot_be_published_do_not_hinder_the_others(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="penstock.views.hsds.routes")
    with h5pyd.File(serve({"good": 1, "bad": {1}}).url, "r") as file:
        assert list(file) == ["good"]

    assert "publish: /bad is left out: set has no type in HDF5." in caplog.text


def test_an_open_file_keeps_the_shape_it_was_told(serve: Serve) -> None:
    tree: dict[str, Any] = {"points": [1, 2, 3]}
    server = serve(tree)
    with h5pyd.File(server.url, "r") as early, h5pyd.File(server.url, "r") as late:
        assert early["points"].shape == (3,)
        tree["points"] += [4, 5]
        assert late["points"].shape == (5,)

        assert early["points"][:].tolist() == [1, 2, 3]
        assert late["points"][:].tolist() == [1, 2, 3, 4, 5]
        early["points"].refresh()
        assert early["points"][:].tolist() == [1, 2, 3, 4, 5]


def test_a_dataset_that_no_longer_fits_has_to_be_opened_again(serve: Serve) -> None:
    tree: dict[str, Any] = {"points": [1, 2, 3]}
    with h5pyd.File(serve(tree).url, "r") as file:
        dataset = file["points"]
        tree["points"] = [1.5]

        with pytest.raises(OSError, match="410"):
            dataset[:]


def test_lists_that_grow_are_read_whole(serve: Serve) -> None:
    lock, tree = threading.Lock(), {"x": [0], "y": [0]}
    url = serve(FixedTree(tree, lock)).url
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            with lock:
                for values in tree.values():
                    values.append(len(values))
            time.sleep(0)

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        for _ in range(5):
            with h5pyd.File(url, "r") as file:
                read = file["x"][:]
                assert read.tolist() == list(range(len(read)))
    finally:
        stop.set()
        growing.join()


def test_the_next_tree_is_seen_by_who_opens_it(serve: Serve) -> None:
    publisher = Publisher()
    publisher.replace(FixedTree({"a": 1}))
    with PublishServer(publisher) as server:
        publisher.replace(FixedTree({"b": 2}))
        with h5pyd.File(server.url, "r") as file:
            assert {name: file[name][()] for name in file} == {"b": 2}


def test_h5pyd_sends_the_token_as_api_key(serve: Serve) -> None:
    server = serve({"a": 1}, token="tea")

    with h5pyd.File(server.url, "r", api_key="tea") as file:
        assert file["a"][()] == 1
    with h5pyd.File(server.url, "r", username="anyone", password="tea") as file:
        assert file["a"][()] == 1
    with pytest.raises(OSError, match="401"):
        h5pyd.File(server.url, "r", api_key="coffee")


def test_silx_reads_the_tree(serve: Serve) -> None:
    with silx.io.open(serve({"scan": {"image": np.ones((2, 3)), "n": 3}}).url) as file:
        assert silx.io.is_file(file)
        assert silx.io.is_group(file["scan"])
        assert silx.io.is_dataset(file["scan/image"])
        read = h5todict(file, "/scan", include_attributes=False)

    np.testing.assert_array_equal(read["image"], np.ones((2, 3)))
    assert read["n"] == 3


def test_silx_plots_an_image_with_its_axes_at_once(serve: Serve) -> None:
    tree = {"scan": {"maps": {"x": np.arange(3.0), "y": np.arange(2.0), "image": np.ones((2, 3))}}}
    with silx.io.open(serve(tree).url) as file:
        default = get_default(file)

        assert default is not None
        assert default.is_valid
        assert default.signal_name == "image"
        assert default.axes_dataset_names == ["y", "x"]


def test_silx_plots_a_scatter_at_once(serve: Serve) -> None:
    with silx.io.open(serve({"x": [0.0, 1.0], "y": [0.0, 1.0], "roi1": [3, 4]}).url) as file:
        default = get_default(file)

        assert default is not None
        assert default.signal_name == "roi1"
        assert default.axes_dataset_names == ["x", "y"]


def test_a_snapshot_over_http_equals_what_h5pyd_reads(serve: Serve, client: Any, tmp_path: Path) -> None:
    server = serve({"image": np.arange(6).reshape(2, 3), "g": {"text": "tür"}, "image_attrs": {"units": "mm"}})

    answer = client.get(f"{server.url}api/v1/snapshot")
    (tmp_path / "snapshot.h5").write_bytes(answer.content)

    assert answer.headers["content-disposition"] == 'attachment; filename="snapshot.h5"'
    with h5py.File(tmp_path / "snapshot.h5") as file, h5pyd.File(server.url, "r") as live:
        np.testing.assert_array_equal(file["image"][:], live["image"][:])
        assert file["g/text"][()] == live["g/text"][()]
        assert dict(file.attrs) == dict(live.attrs)
        assert dict(file["image"].attrs) == dict(live["image"].attrs)
