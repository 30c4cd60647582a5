from __future__ import annotations

import re
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.config import Resolver, write_run_table
from penstock.core.errors import ConfigError

TABLES = '[tables]\nruns = ["drift.csv"]\n'
FILE = """[params.toy.hits]
threshold = 0.4

[[runs]]
range = "5-6"
[runs.params.toy.hits]
threshold = 0.6
"""


def resolve(
    toy: ToyExperiment, run: int, table: str, text: str = TABLES, *, stage: str = "toy.hits"
) -> tuple[dict[str, object], dict[str, str]]:
    (toy.folder / "drift.csv").write_text(table)
    toy.configure(text)
    experiment = toy.load()
    params, origins = Resolver(experiment).params(experiment.registry.stage(stage), run)
    return params.identity(), dict(origins)


def refuse(toy: ToyExperiment, table: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resolve(toy, 1, table)


def test_a_row_of_a_table_sets_values_of_its_runs_with_file_and_line_as_their_source(toy: ToyExperiment) -> None:
    table = "# found by hand\nrange,toy.hits.threshold,toy.groups.width\n\n3-4,0.7,0.3\n"

    assert resolve(toy, 3, table) == ({"threshold": 0.7}, {"threshold": "drift.csv, line 4"})
    assert resolve(toy, 4, table, stage="toy.groups")[1]["width"] == "drift.csv, line 4"
    assert resolve(toy, 5, table) == ({"threshold": 0.25}, {"threshold": "preset default"})


def test_a_table_is_stronger_than_the_rows_of_the_file(toy: ToyExperiment) -> None:
    table = "range,toy.hits.threshold\n6,0.7\n"

    assert resolve(toy, 6, table, TABLES + FILE)[0] == {"threshold": 0.7}
    assert resolve(toy, 5, table, TABLES + FILE)[0] == {"threshold": 0.6}


def test_an_empty_cell_says_nothing(toy: ToyExperiment) -> None:
    table = "range,toy.hits.threshold,toy.groups.width\n3,,0.3\n"

    assert resolve(toy, 3, table)[1] == {"threshold": "preset default"}


def test_later_rows_and_later_tables_win(toy: ToyExperiment) -> None:
    (toy.folder / "more.csv").write_text("range,toy.hits.threshold\n5,0.9\n")
    table = "range,toy.hits.threshold\n3-5,0.7\n4-5,0.8\n"
    text = '[tables]\nruns = ["drift.csv", "more.csv"]\n'

    assert [resolve(toy, run, table, text)[1]["threshold"] for run in (3, 4, 5)] == [
        "drift.csv, line 2",
        "drift.csv, line 3",
        "more.csv, line 2",
    ]


def test_a_range_with_commas_stands_in_quotes(toy: ToyExperiment) -> None:
    assert resolve(toy, 7, 'range,toy.hits.threshold\n"3,5-8,!6", 0.7\n')[0] == {"threshold": 0.7}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "drift.csv is empty; expected a header such as range,tpc.points.window_time_bucket and a row for each range of runs."),
        (
            "runs,toy.hits.threshold\n",
            "drift.csv, line 1: found the header 'runs,toy.hits.threshold', expected 'range' and then names of parameters.",
        ),
        ("range\n", "drift.csv, line 1: found the header 'range', expected 'range' and then names of parameters."),
        ("range,a.b,a.b\n", "drift.csv, line 1: column 3 of the header is 'a.b'; every column needs a name of its own."),
        ("range,toy.hits.threshold\n3,5,0.7\n", "drift.csv, line 2: found 3 cells, expected 2. Put a range with commas in quotes."),
        (
            "range,toy.hits.threshold\nall,0.7\n",
            "drift.csv, line 2: range 'all' must name run numbers, such as 94-110: the runs on disk change.",
        ),
        (
            "range,toy.hits.threshold\nx,0.7\n",
            "drift.csv, line 2: run range 'x': 'x' is not understood. Write for example 94-110,115,!100 or last:50 or all.",
        ),
        (
            "range,toy.hits.treshold\n1,0.7\n",
            "drift.csv, line 2: parameter 'toy.hits.treshold' is not known. Did you mean 'toy.hits.threshold'?",
        ),
        (
            "range,toy.hits.threshold\n1,high\n",
            "drift.csv, line 2: stage 'toy.hits': 'threshold': Input should be a valid number, unable to parse string as a number, found 'high'.",
        ),
    ],
    ids=["empty", "header", "no parameter", "twice", "cells", "floating", "range", "unknown", "value"],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(toy: ToyExperiment, table: str, message: str) -> None:
    refuse(toy, table, message)


def test_a_table_that_is_not_there_is_named(toy: ToyExperiment) -> None:
    toy.configure(TABLES)

    with pytest.raises(ConfigError, match=rf"^\[tables\] runs: {re.escape(str(toy.folder.resolve() / 'drift.csv'))} is not there\.$"):
        toy.load()


def test_a_table_that_is_not_text_is_refused(toy: ToyExperiment) -> None:
    (toy.folder / "drift.csv").write_bytes(b"range,\xff\xfe")
    toy.configure(TABLES)

    with pytest.raises(ConfigError, match=r"drift\.csv cannot be read: 'utf-8' codec can't decode"):
        toy.load()


def test_a_written_table_can_be_read(toy: ToyExperiment) -> None:
    rows = [("3-4,6", {"toy.hits.threshold": 0.1 + 0.2}), ("5", {"toy.groups.seed": 7})]
    path = write_run_table(toy.folder / "drift.csv", rows, ["by hand"])

    assert resolve(toy, 6, path.read_text())[0] == {"threshold": 0.1 + 0.2}
    assert resolve(toy, 5, path.read_text(), stage="toy.groups")[0]["seed"] == 7


def test_a_written_table_replaces_no_file(tmp_path: Path) -> None:
    (tmp_path / "drift.csv").write_text("mine")

    with pytest.raises(ConfigError, match=r"drift\.csv is there already\. Remove it, or name another file\.$"):
        write_run_table(tmp_path / "drift.csv", [("3", {"toy.hits.threshold": 0.3})])

    assert (tmp_path / "drift.csv").read_text() == "mine"
