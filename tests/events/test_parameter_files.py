"""Files of parameters."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cbor2
import pytest

from penstock.core.errors import ConfigError
from penstock.events.parameter_files import read_parameters, write_parameters


def test_json_cbor_and_with_a_flag_pickle_give_the_same(tmp_path: Path) -> None:
    entries = [{"name": "till_x", "data": "3"}, {"name": "mask", "data": "äöü"}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    (tmp_path / "a.cbor").write_bytes(cbor2.dumps([{**e, "data": e["data"].encode() + b"\xff"} for e in entries]))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(entries))

    assert read_parameters(tmp_path / "a.json") == {"till_x": b"3", "mask": "äöü".encode()}
    assert read_parameters(tmp_path / "a.cbor") == {"till_x": b"3\xff", "mask": "äöü".encode() + b"\xff"}
    assert read_parameters(tmp_path / "a.pkl", allow_pickle=True) == read_parameters(tmp_path / "a.json")


def test_a_pickle_is_not_loaded_unless_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([]))

    with pytest.raises(ConfigError, match="this is a pickle, which can run any code"):
        read_parameters(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"[{", "not JSON"),
        (b'{"name": "a"}', "holds dict, not a list"),
        (b'[{"name": "a"}]', "entry 0 is .* needs a 'name' and 'data'"),
        (b'[{"name": "a", "data": 3}]', "entry 0 is"),
        (b"\xff\xfe\xfd", "neither JSON nor CBOR"),
    ],
)
def test_what_is_no_list_of_parameters_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p").write_bytes(content)

    with pytest.raises(ConfigError, match=message):
        read_parameters(tmp_path / "p")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_parameters(tmp_path / "nothing.json")


@pytest.mark.parametrize("values", [{"a": b"1", "b": "ü".encode()}, {"a": b"\x00\xff"}])
def test_what_is_written_is_read_back(tmp_path: Path, values: dict[str, bytes]) -> None:
    write_parameters(tmp_path / "p", values)

    assert read_parameters(tmp_path / "p") == values
