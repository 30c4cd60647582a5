from __future__ import annotations

from pathlib import Path

import pytest
from toyline.plugin import INSTRUMENT

from penstock.core.instrument import Instrument


@pytest.fixture
def two_files() -> Instrument:
    return Instrument(
        name="two",
        title="Two files a run",
        raw=INSTRUMENT.raw,
        reader=INSTRUMENT.reader,
        files={"traces": "z_{run:03d}.h5", "scalers": "a_{run:03d}.h5"},
        pipeline=(),
        presets=Path(),
    )


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_runs_are_found_by_their_file_names(tmp_path: Path) -> None:
    fill(tmp_path, "toy_0094.txt", "toy_12345.txt", "toy_0001.txt.part", "other_0003.txt")

    found = INSTRUMENT.find_runs(tmp_path)

    assert found == {94: {"text": tmp_path / "toy_0094.txt"}, 12345: {"text": tmp_path / "toy_12345.txt"}}


def test_files_of_a_run_come_in_the_order_of_the_roles(tmp_path: Path, two_files: Instrument) -> None:
    fill(tmp_path, "a_001.h5", "z_001.h5")

    assert list(two_files.find_runs(tmp_path)[1]) == ["traces", "scalers"]


def test_the_file_with_the_instruments_own_name_wins_over_another_spelling(tmp_path: Path, two_files: Instrument) -> None:
    fill(tmp_path, "z_001.h5", "z_1.h5", "z_00001.h5")

    assert two_files.find_runs(tmp_path) == {1: {"traces": tmp_path / "z_001.h5"}}


def test_a_folder_that_is_not_there_holds_no_runs(tmp_path: Path) -> None:
    assert INSTRUMENT.find_runs(tmp_path / "nowhere") == {}


def test_the_file_name_of_a_run_is_known() -> None:
    assert INSTRUMENT.file_name("text", 7) == "toy_0007.txt"
