"""Runs are found in the folders that data acquisition leaves; roles are stable."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.formats.get.folders import find_runs
from penstock.instruments.attpc_get import INSTRUMENT


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_catalogued_folder_is_found_with_a_role_a_file(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "run_0001/mm3/CoBo3_AsAd1_2022-04-12T08_03_44.533_0010.graw",
        "run_0001/mm3/CoBo3_AsAd1_2022-04-12T08_03_44.533_0009.graw",
        "run_0001/mm10/CoBo10_AsAd0_2022-04-12T08_03_44.533_0000.graw",
        "run1/run-0001-00.evt",
        "run1/run-0001-01.evt",
        "run_0002/mm3/CoBo3_AsAd1_2022-04-13T08_03_44.533_0000.graw",
    )

    runs = INSTRUMENT.find_runs(tmp_path)

    assert list(runs) == [1, 2]
    assert {role: path.name[-11:] for role, path in runs[1].items()} == {
        "evt.00": "0001-00.evt",
        "evt.01": "0001-01.evt",
        "graw.03.01.0000": "3_0009.graw",
        "graw.03.01.0001": "3_0010.graw",
        "graw.10.00.0000": "3_0000.graw",
    }


@pytest.mark.parametrize(
    "names",
    [
        ("run_0007/CoBo0_AsAd0_x_0000.graw", "run-0007-00.evt"),
        ("graw/run_0007/mm0/CoBo0_AsAd0_x_0000.graw", "evt/run7/run-0007-00.evt"),
        ("run_7/CoBo0_AsAd0_x_0000.graw", "run_7/run-0007-00.evt"),
    ],
    ids=["flat", "two trees", "together"],
)
def test_layouts_give_the_same_roles(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path, *names)

    assert {run: list(files) for run, files in find_runs(tmp_path).items()} == {7: ["evt.00", "graw.00.00.0000"]}


def test_names_without_a_board_have_a_role_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "run_0001/CoBo_AsAd2_x_0000.graw", "run_0001/CoBo_x_0000.graw", "run_0001/other.graw")

    assert list(find_runs(tmp_path)[1]) == ["graw.xx.02.0000", "graw.xx.xx.0000", "graw.xx.xx.0001"]


def test_other_files_and_files_without_a_run_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "CoBo0_AsAd0_x_0000.graw", "run_0001/notes.txt", "run_0001/.hidden.graw", "prerun3/CoBo0_AsAd0_x_0000.graw")

    assert find_runs(tmp_path) == {}
    assert find_runs(tmp_path / "nowhere") == {}
