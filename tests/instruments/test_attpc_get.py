"""The AT-TPC with the files of its data acquisition: from frames to estimates without a merger."""

from __future__ import annotations

from pathlib import Path

import pytest

import penstock
from penstock.core.errors import ConfigError
from penstock.notebook import OpenExperiment
from penstock.simulate.get_runs import write_get_run
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

SETTINGS = TpcSimulation(seed=3)
EVENTS = 3


def experiment(folder: Path, instrument: str, *lines: str) -> OpenExperiment:
    """An experiment whose raw data lie in `folder`."""
    path = folder / f"{instrument}.toml"
    head = ["[experiment]", 'name = "e1"', f'instrument = "{instrument}"', 'raw = "."', "[store]", f'path = "store-{instrument}"']
    path.write_text("\n".join([*head, "[resources]", 'executor = "inline"', *lines]) + "\n")
    return penstock.open(path)


def test_estimates_from_frames_are_those_from_the_merged_file(tmp_path: Path) -> None:
    write_get_run(tmp_path, SETTINGS, 1, EVENTS)
    write_run(tmp_path, SETTINGS, 1, EVENTS, layout="merger-2.0")
    daq = experiment(tmp_path, "attpc-get", "[assets]", 'electronics = "electronics.csv"')
    merged = experiment(tmp_path, "attpc")

    reports = [opened.run(runs="1", stages="tpc.estimates", progress=False) for opened in (daq, merged)]

    assert [report.ok for report in reports] == [True, True]
    assert [result.stage for result in reports[0].results][:2] == ["tpc.merge", "tpc.points"]
    tables = [opened.table("tpc.estimates", runs="1") for opened in (daq, merged)]
    assert tables[0].equals(tables[1])
    assert len(tables[0]) > 0


def test_without_a_map_of_the_electronics_nothing_is_planned_and_what_is_needed_is_said(tmp_path: Path) -> None:
    write_get_run(tmp_path, SETTINGS, 1, 1)

    with pytest.raises(ConfigError, match=r"\[assets\] electronics is not named. tpc.merge needs a CSV file with the columns cobo, asad"):
        experiment(tmp_path, "attpc-get").run(runs="1", stages="tpc.merge", progress=False)
