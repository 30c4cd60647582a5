"""`runs` with the columns of experiment.toml, and as a page."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from penstock.cli.plan import runs
from penstock.core.errors import ConfigError

COLUMNS = """
[columns]
tracks_per_event = {stage = "tpc.estimates", value = "rows/events"}
median_brho = {stage = "tpc.estimates", column = "brho", reduce = "median"}
"""


@pytest.fixture
def with_columns(processed: Path) -> Path:
    file = processed / "experiment.toml"
    file.write_text(file.read_text() + COLUMNS)
    return processed


def test_runs_print_the_columns_and_write_the_page(penstock, with_columns: Path) -> None:
    result = penstock("runs", "--runs", "1-2", "--json", "--html", "table.html", folder=with_columns)

    assert (result.code, [row["run"] for row in result.json]) == (0, [1, 2])
    assert list(result.json[0]["columns"]) == ["tracks_per_event", "median_brho"]
    assert result.json[0]["columns"]["tracks_per_event"]["state"] == "current"
    page = (with_columns / "table.html").read_text(encoding="utf-8")
    assert page.count("<tr data-states") == 2
    assert "median_brho [T·m]" in page


def test_the_page_is_named_with_its_runs(with_columns: Path) -> None:
    page = with_columns / "table.html"

    done = CliRunner().invoke(runs, [str(with_columns), "--html", str(page)])

    assert (done.exit_code, done.output) == (0, f"{page}: 3 runs\n")


def test_a_page_that_cannot_be_written_says_where_and_why(with_columns: Path) -> None:
    context = click.Context(runs)

    with pytest.raises(
        ConfigError, match=r"--html .*none/t\.html: cannot be written \(No such file or directory\)\. Name a file in a folder"
    ):
        context.invoke(
            runs, experiment=with_columns, runs="all", events=None, stages="", overrides=(), preset=None,
            html=with_columns / "none" / "t.html", as_json=False,
        )  # fmt: skip


def test_a_wrong_column_is_exit_code_2(penstock, processed: Path) -> None:
    file = processed / "experiment.toml"
    file.write_text(file.read_text() + COLUMNS.replace('"brho"', '"brhoo"'))

    result = penstock("runs", folder=processed)

    assert result.code == 2
    assert "has no column 'brhoo'" in result.err
    assert "Did you mean 'brho'?" in result.err
