"""Published trees as HDF5 files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from penstock.formats.published import SnapshotFailed, write_snapshot
from penstock.formats.published.hdf5_types import describe_shape, describe_type

COMPOUND = np.array([(1, 2.5, b"ab", [1, 2])], [("a", "<i4"), ("b", ">f8"), ("u", "S3"), ("v", "i2", (2,))])


def make_tree() -> dict[str, Any]:
    return {
        "int": 5,
        "float": 2.5,
        "truth": True,
        "flags": np.array([True, False]),
        "complex": np.array([1 + 2j]),
        "text": "tür",
        "texts": ["a", "bc"],
        "bytes": b"abc",
        "opaque": b"\0\xff",
        "compound": COMPOUND,
        "image": np.arange(6, dtype=">u2").reshape(2, 3),
        "image_attrs": {"units": "counts", "centre": [1.0, 2.0], "flat": False},
        "empty": [],
        "sub group": {"a name with spaces": [1, 2], "_attrs": {"k": 1}},
        "_attrs": {"title": "tea"},
    }


def test_a_snapshot_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.h5"

    left_out = write_snapshot(make_tree(), path)

    assert left_out == {}
    with h5py.File(path) as file:
        assert {name: file[name][()] for name in ("int", "float", "truth", "bytes")} == {
            "int": 5,
            "float": 2.5,
            "truth": True,
            "bytes": b"abc",
        }
        assert file["text"].asstr()[()] == "tür"
        assert file["texts"].asstr()[:].tolist() == ["a", "bc"]
        assert file["flags"][:].tolist() == [True, False]
        assert file["complex"][0] == 1 + 2j
        assert file["opaque"][()].tobytes() == b"\0\xff"
        assert file["compound"].dtype == COMPOUND.dtype
        assert file["compound"][0].tolist()[:3] == (1, 2.5, b"ab")
        assert file["image"].dtype == ">u2"
        assert file["image"][:].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file["empty"].shape == (0,)
        assert file["sub group/a name with spaces"][:].tolist() == [1, 2]


def test_a_snapshot_has_the_attributes_own_and_added(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.h5"

    write_snapshot(make_tree(), path)

    with h5py.File(path) as file:
        assert dict(file.attrs) == {"NX_class": "NXdata", "signal": "image", "title": "tea"}
        assert file["image"].attrs["units"] == "counts"
        assert file["image"].attrs["centre"].tolist() == [1.0, 2.0]
        assert not file["image"].attrs["flat"]
        assert file["sub group"].attrs["k"] == 1


def test_none_is_a_dataset_without_a_value(tmp_path: Path) -> None:
    write_snapshot({"nothing": None}, tmp_path / "snapshot.h5")

    with h5py.File(tmp_path / "snapshot.h5") as file:
        assert isinstance(file["nothing"][()], h5py.Empty)


def test_equal_trees_give_equal_bytes(tmp_path: Path) -> None:
    write_snapshot(make_tree(), tmp_path / "a.h5")
    write_snapshot(make_tree(), tmp_path / "b.h5")

    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    left_out = write_snapshot({"a": {1}, "b": 1, "b_attrs": {"large": np.zeros(10_000)}}, tmp_path / "snapshot.h5")

    assert left_out == {
        "/a": "set has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.",
        "/b@large": "attributes in files hold at most 64000 bytes, this has 80000.",
    }


def test_a_snapshot_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(
        SnapshotFailed, match=rf"^snapshot {re.escape(str(tmp_path / 'folder'))}: it cannot be written \(.*\)\. Name a file in"
    ):
        write_snapshot({"a": 1}, tmp_path / "folder")

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("dtype", "described"),
    [
        pytest.param("<i8", {"class": "H5T_INTEGER", "base": "H5T_STD_I64LE"}, id="int"),
        pytest.param(">u2", {"class": "H5T_INTEGER", "base": "H5T_STD_U16BE"}, id="big-endian"),
        pytest.param("u1", {"class": "H5T_INTEGER", "base": "H5T_STD_U8LE"}, id="byte"),
        pytest.param(">f4", {"class": "H5T_FLOAT", "base": "H5T_IEEE_F32BE"}, id="float"),
        pytest.param("V3", {"class": "H5T_OPAQUE", "size": 3}, id="opaque"),
        pytest.param("S5", {"class": "H5T_STRING", "charSet": "H5T_CSET_ASCII", "strPad": "H5T_STR_NULLPAD", "length": 5}, id="bytes"),
        pytest.param(
            ">c8",
            {
                "class": "H5T_COMPOUND",
                "fields": [
                    {"name": "r", "type": {"class": "H5T_FLOAT", "base": "H5T_IEEE_F32BE"}},
                    {"name": "i", "type": {"class": "H5T_FLOAT", "base": "H5T_IEEE_F32BE"}},
                ],
            },
            id="complex",
        ),
        pytest.param(
            [("v", "<i2", (2,))],
            {
                "class": "H5T_COMPOUND",
                "fields": [
                    {"name": "v", "type": {"class": "H5T_ARRAY", "base": {"class": "H5T_INTEGER", "base": "H5T_STD_I16LE"}, "dims": [2]}}
                ],
            },
            id="compound",
        ),
    ],
)
def test_types_have_their_hdf5_names(dtype: Any, described: dict[str, Any]) -> None:
    assert describe_type(np.dtype(dtype)) == described


def test_truth_values_are_an_enumeration_in_both_notations() -> None:
    described = describe_type(np.dtype(bool))

    assert described["class"] == "H5T_ENUM"
    assert described["mapping"] == {"FALSE": 0, "TRUE": 1}
    assert described["members"] == [{"name": "FALSE", "value": 0}, {"name": "TRUE", "value": 1}]


def test_shapes_have_their_hdf5_names() -> None:
    assert describe_shape((2, 3)) == {"class": "H5S_SIMPLE", "dims": [2, 3]}
    assert describe_shape(()) == {"class": "H5S_SCALAR"}
    assert describe_shape(None) == {"class": "H5S_NULL"}
