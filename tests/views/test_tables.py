from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from penstock.core.canonical import Key
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request, StepResult
from penstock.store import Counts
from penstock.views import Cell, RunTable, run_table

STAGES = ("tpc.points", "tpc.clusters", "tpc.estimates")


def test_results_that_are_not_about_events_do_not_count_them() -> None:
    counts = Counts(1, 1, rows={"scalers": 7})

    assert Cell(1, "tpc.scalers", State.CURRENT, counts=counts, shown=("scalers",), counted="").summary == "7 scalers"
    assert Cell(1, "x.files", State.CURRENT, counts=counts, counted="").summary == "done"
    assert Cell(1, "tpc.mesh", State.CURRENT, counts=Counts(16465, 16465), counted="rows").summary == "16,465 rows"


def _table(processed, runs: str, *results: StepResult, **overrides: object) -> RunTable:
    request = Request(RunRange(runs), overrides={name.replace("__", "."): value for name, value in overrides.items()})
    return run_table(Planner(processed.experiment, processed.store, request).plan(), processed.store, results)


def _lines(table: RunTable) -> list[str]:
    console = Console(width=200, file=io.StringIO())
    console.print(table.as_rich())
    return console.file.getvalue().splitlines()


def _cell(rows: dict[str, int], events_out: int = 10, rejected: dict[str, int] | None = None) -> Cell:
    counts = Counts(events_out, events_out, rejected or {}, {}, rows)
    return Cell(1, "tpc.points", State.CURRENT, key=Key("a" * 32), counts=counts, shown=("points",))


def _broken(*reasons: tuple[int, str]) -> RunTable:
    return RunTable(("s.a",), {run: {"s.a": Cell(run, "s.a", State.FAILED, why)} for run, why in reasons})


@pytest.mark.parametrize(
    "rows, shown",
    [
        (0, "0"),
        (9800, "9,800"),
        (10_000, "10.0 k"),
        (97_481, "97.5 k"),
        (207_980, "207 k"),
        (3_200_000, "3.2 M"),
        (2_345_678_901, "2,345.7 M"),
    ],
)
def test_counts_are_short(rows: int, shown: str) -> None:
    assert _cell({"points": rows}, 9800).summary == f"9,800 ev / {shown} points"


def test_rejected_events_are_told() -> None:
    assert _cell({"points": 5}, rejected={"bad word": 2, "repeated": 1}).summary == "10 ev / 5 points (3 rejected)"


def test_a_current_run_shows_its_counts(processed) -> None:
    n_points = processed.manifest("tpc.points").counts.rows["points"]

    table = _table(processed, "1")

    assert table.stages == STAGES
    assert table.rows[1]["tpc.points"].text == f"✓ 6 ev / {n_points:,} points"
    assert table.reasons == []


def test_a_stale_cell_shows_no_counts_but_why(processed) -> None:
    table = _table(processed, "1", tpc__clusters__min_cloud_size=10)

    assert [cell.text for cell in table.cells][1:] == ["~ stale", "~ stale"]
    assert table.reasons == [
        "run 1, tpc.clusters stale: min_cloud_size: 50 -> 10",
        "run 1, tpc.estimates stale: tpc.clusters: min_cloud_size: 50 -> 10",
    ]


def test_a_run_that_is_not_there_is_told_once(processed) -> None:
    table = _table(processed, "9")

    (reason,) = table.reasons
    assert reason.startswith("run 9, tpc.points, tpc.clusters, tpc.estimates missing: no file run_0009.h5 in ")


def test_what_became_of_a_plan_replaces_its_states(processed) -> None:
    failed = StepResult(2, "tpc.points", None, State.FAILED, error="run 2, stage 'tpc.points', events 0-32: ValueError: no")
    skipped = StepResult(2, "tpc.clusters", None, State.SKIPPED, error="run 2: tpc.points failed, so tpc.clusters was not computed")

    table = _table(processed, "2", failed, skipped)

    assert [cell.text for cell in table.cells] == ["✗ failed", "✗ skipped", "· missing"]
    assert table.reasons[:2] == [
        "run 2, tpc.points failed: events 0-32: ValueError: no",
        "run 2, tpc.clusters skipped: tpc.points failed, so tpc.clusters was not computed",
    ]


def test_a_computed_result_shows_its_counts(processed) -> None:
    result = StepResult(1, "tpc.points", processed.manifest("tpc.points").key, State.COMPUTED)

    assert _table(processed, "1", result).cells[0].text.startswith("✓ 6 ev / ")


def test_equal_reasons_of_many_runs_stand_together() -> None:
    table = _broken((3, "run 3: disk full"), (5, "run 5: disk full"), (6, "run 6: disk full"))

    assert table.reasons == ["runs 3, 5-6, s.a failed: disk full"]


def test_more_than_thirty_reasons_are_only_counted() -> None:
    table = _broken(*((run, f"reason {run}") for run in range(40)))

    assert len(table.reasons) == 31
    assert table.reasons[-1] == "and 10 more reasons"


def test_states_are_counted(processed) -> None:
    table = _table(processed, "1-2")

    assert table.count(State.CURRENT) == 3
    assert table.count(State.MISSING, State.FAILED) == 3


def test_markdown_has_a_row_a_run_and_the_reasons_below(processed) -> None:
    lines = _table(processed, "1-2").as_markdown().splitlines()

    assert lines[0] == "| run | tpc.points | tpc.clusters | tpc.estimates |"
    assert lines[2].startswith("| 1 | ✓ 6 ev / ")
    assert lines[3] == "| 2 | · missing | · missing | · missing |"
    assert lines[5] == "- run 2, tpc.points, tpc.clusters, tpc.estimates missing: not registered"


def test_markdown_is_not_broken_by_an_error_text() -> None:
    lines = _broken((1, "a|b\nc")).as_markdown().splitlines()

    assert lines[2] == "| 1 | **✗ failed** |"
    assert lines[-1] == "- run 1, s.a failed: a\\|b c"


def test_the_terminal_shows_marks_and_reasons(processed) -> None:
    lines = _lines(_table(processed, "1-2"))

    assert any(line.split()[:2] == ["1", "✓"] for line in lines)
    assert lines[-1].rstrip() == "run 2, tpc.points, tpc.clusters, tpc.estimates missing: not registered"


def test_text_in_brackets_is_no_markup_of_the_terminal() -> None:
    assert _lines(_broken((1, "expected [0, 1]")))[-1].rstrip() == "run 1, s.a failed: expected [0, 1]"


def test_a_pipe_gets_every_row_on_one_line(processed, capsys: pytest.CaptureFixture[str]) -> None:
    _table(processed, "1").print()

    row = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["1"])
    assert row.count("6 ev / ") == 3


def test_a_notebook_shows_the_markdown(processed) -> None:
    table = _table(processed, "1")

    assert table._repr_markdown_() == table.as_markdown()


def test_json_has_states_keys_and_counts(processed) -> None:
    manifest = processed.manifest("tpc.points")

    (row,) = json.loads(json.dumps(_table(processed, "1").as_json()))

    assert row["run"] == 1
    assert row["stages"][0] == {
        "stage": "tpc.points", "state": "current", "why": "", "key": manifest.key, "events_in": 6, "events_out": 6,
        "rejected": {}, "excluded": {}, "rows": {"points": manifest.counts.rows["points"]},
    }  # fmt: skip


def test_json_of_a_missing_cell_has_no_counts(processed) -> None:
    (row,) = _table(processed, "2").as_json()

    assert row["stages"][0] == {
        "stage": "tpc.points", "state": "missing", "why": "not registered", "key": None, "events_in": None, "events_out": None,
        "rejected": None, "excluded": None, "rows": None,
    }  # fmt: skip
