"""Maps of the electronics from CSV files, of the old and the new kind, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.electronics import electronics_map, read_electronics_csv, required_electronics

OLD = "cobo,asad,aget,aget channel,pad"
NEW = "cobo,asad,aget,aget channel,det keyword,det channel"


def write(folder: Path, text: str) -> Path:
    path = folder / "map.csv"
    path.write_bytes(text.encode())
    return path


def rows(path: Path) -> list[tuple[int, ...]]:
    columns = read_electronics_csv(path)["channels"]
    return list(zip(*(columns[name].tolist() for name in ("cobo", "asad", "aget", "channel", "set", "number")), strict=True))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CR LF", "CR"])
def test_five_columns_name_pads(tmp_path: Path, end: str) -> None:
    assert rows(write(tmp_path, end.join([OLD, "7,2,1,10,9908", "0,0,0,4,12", ""]))) == [(0, 0, 0, 4, -1, 12), (7, 2, 1, 10, -1, 9908)]


def test_six_columns_name_detectors(tmp_path: Path) -> None:
    lines = [
        NEW,
        "0,0,0,0,pad,5",
        *(
            f"1,0,0,{k},{name},{10 * k}"
            for k, name in enumerate(("si_upstream_front", "si_upstream_back", "si_downstream_front", "si_downstream_back"))
        ),
    ]

    assert [row[4:] for row in rows(write(tmp_path, "\n".join(lines)))] == [(-1, 5), (0, 0), (1, 10), (2, 20), (3, 30)]


@pytest.mark.parametrize(
    "line, message",
    [
        ("1,2,3", r"line 3: found 3 columns, expected 5 \(address, pad\) or 6 \(address, detector, number\)"),
        ("1,2,3,4,pda,5", r"line 3: detector 'pda' is unknown; expected one of pad, si_upstream_front.*Did you mean 'pad'\?"),
        ("1,2,4,4,pad,5", r"line 3: found '4' for aget, expected a whole number of 0 to 3"),
        ("1,2,3,68,5", r"line 3: found '68' for channel, expected a whole number of 0 to 67"),
        ("1,2,3,4,x", r"line 3: found 'x' for number, expected a whole number of 0 to 32767"),
        ("0,0,0,4,7", r"line 3: channel \(0, 0, 0, 4\) stands in line 2 already"),
    ],
    ids=["columns", "detector", "chip", "channel", "number", "twice"],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_electronics_csv(write(tmp_path, "\n".join([OLD, "0,0,0,4,12", line])))


def test_a_file_without_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has 1 lines, expected a header and one line a channel"):
        read_electronics_csv(write(tmp_path, OLD))


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"electronics map '.*nowhere.csv' cannot be read"):
        read_electronics_csv(tmp_path / "nowhere.csv")


def test_without_a_file_runs_that_name_their_pads_have_an_empty_map() -> None:
    assert electronics_map({}).n_events == 0


def test_without_a_file_runs_of_the_data_acquisition_say_what_they_need() -> None:
    with pytest.raises(ConfigError, match=r'experiment.toml, as \[assets\] electronics = "map.csv"'):
        required_electronics({})


def test_with_a_file_both_read_it(tmp_path: Path) -> None:
    path = write(tmp_path, f"{OLD}\n0,0,0,4,12\n")

    assert electronics_map({"electronics": path}).n_events == required_electronics({"electronics": path}).n_events == 1
