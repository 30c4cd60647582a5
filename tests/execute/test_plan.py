from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from toybench import DRIVE, ToyExperiment
from toyline.raw import write_run

from penstock.core.errors import ConfigError
from penstock.execute import Planner, Quiet, Registrar, prepare

CURRENT = [(1, "toy.hits", "current", ""), (1, "toy.groups", "current", ""), (1, "toy.summary", "current", "")]


def test_an_unregistered_run_is_missing_and_is_not_read(toy: ToyExperiment) -> None:
    toy.write_run(1)

    assert toy.plan() == [(1, stage, "missing", "not registered") for stage in ("toy.hits", "toy.groups", "toy.summary")]


def test_a_registered_run_without_results_is_missing(toy: ToyExperiment) -> None:
    toy.write_run(1)
    prepare(toy.load(), toy.store, toy.request(), Quiet())

    assert [row[2:] for row in toy.plan()] == [("missing", "never computed")] * 3


def test_what_was_computed_is_current(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    assert toy.plan() == CURRENT


def test_a_changed_parameter_makes_its_stage_and_those_after_it_stale_and_says_why(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    assert toy.plan(overrides={"toy.groups.width": 0.3}) == [
        CURRENT[0],
        (1, "toy.groups", "stale", "width: 0.1 -> 0.3"),
        (1, "toy.summary", "stale", "toy.groups: width: 0.1 -> 0.3"),
    ]


def test_raw_data_that_changed_make_everything_stale(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.write_run(1, seed=5)
    prepare(toy.load(), toy.store, toy.request(), Quiet())

    assert [row[2:] for row in toy.plan()] == [("stale", "raw data differ")] * 3


def test_another_stage_in_the_middle_makes_those_after_it_stale(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.configure(pipeline=("toy.hits", "toy.scaled", "toy.groups", "toy.summary"))

    assert [row[1:] for row in toy.plan()] == [
        ("toy.hits", "current", ""),
        ("toy.scaled", "missing", "never computed"),
        ("toy.groups", "stale", "toy.scaled: never computed"),
        ("toy.summary", "stale", "toy.groups: toy.scaled: never computed"),
    ]


def test_a_stale_stage_after_one_that_is_current_again_names_its_input(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.run(stages=("toy.groups",), overrides={"toy.groups.width": 0.3})

    assert toy.plan(overrides={"toy.groups.width": 0.3})[2] == (1, "toy.summary", "stale", "input 'groups' differs")


def test_a_run_that_is_not_there_is_missing_with_the_file_that_was_looked_for(toy: ToyExperiment) -> None:
    assert toy.plan("7")[0][2:] == (
        "missing",
        f"run 7: no file toy_0007.txt in {toy.folder.resolve()}/raw. Check the run range or [experiment] raw in experiment.toml.",
    )


def test_a_run_that_is_not_there_has_no_files(toy: ToyExperiment) -> None:
    with pytest.raises(FileNotFoundError, match=r"^run 7: no file toy_0007\.txt in "):
        Registrar(toy.load(), toy.store).files(7)


def test_a_plan_has_the_documented_json(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    row = Planner(toy.load(), toy.store, toy.request()).plan()[0].as_json()

    assert row == {"run": 1, "stage": "toy.hits", "key": toy.manifest("toy.hits").key, "state": "current", "why": ""}


def test_an_unknown_parameter_is_refused_with_the_nearest(toy: ToyExperiment) -> None:
    message = "--set: parameter 'toy.groups.widht' is not known. Did you mean 'toy.groups.width'?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        toy.plan("1", overrides={"toy.groups.widht": 0.3})


def test_files_of_a_run_may_be_named_in_an_asset_table_of_the_instrument_only(toy: ToyExperiment) -> None:
    toy.configure('[assets]\npads = "pads.csv"')

    with pytest.raises(ConfigError, match=r"experiment\.toml: \[assets\] 'pads' is no asset of instrument 'toy'"):
        toy.load()


PLAN_MANY = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from toybench import ToyExperiment
from penstock.execute import Quiet, prepare
from penstock.store import Store

folder = Path(sys.argv[1])
opened, statements = [], []
with Store(folder / "store") as store:
    toy = ToyExperiment(folder, store)
    toy.configure(pipeline=("toy.hits", "toy.scaled", "toy.groups", "toy.summary"))
    prepare(toy.load(), store, toy.request(), Quiet())
    sys.addaudithook(lambda name, details: opened.append(str(details[0])) if name == "open" and "toy_0" in str(details[0]) else None)
    store.index._db.set_trace_callback(statements.append)
    rows = toy.plan()
print(json.dumps({"rows": len(rows), "opened": opened, "statements": len(statements), "states": sorted({r[2] for r in rows})}))
"""


def test_a_plan_of_1000_runs_asks_the_index_a_few_times_and_opens_no_raw_file(tmp_path: Path) -> None:
    for number in range(1, 1001):
        write_run(tmp_path / "raw", number, n_events=1)

    command = [sys.executable, "-c", PLAN_MANY, str(tmp_path), str(DRIVE.parent)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert found["rows"] == 4000
    assert found["states"] == ["missing"]
    assert found["opened"] == []
    assert found["statements"] <= 30
