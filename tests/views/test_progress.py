"""What pipes and terminals are told while a request is computed."""

from __future__ import annotations

import io

import pytest

from penstock.views.progress import Bars, Lines


def test_a_run_is_told_once_when_all_its_files_are_hashed() -> None:
    told = io.StringIO()

    with Lines(told) as lines:
        for done in (1_000_000, 2_000_000, 3_000_000):
            lines.registering("run 7, 3 files", done, 3_000_000)

    assert told.getvalue() == "registered run 7, 3 files (3 MB)\n"


def test_a_terminal_has_one_bar_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        for done in (1_000_000, 2_000_000):
            bars.registering("run 7, 3 files", done, 3_000_000)

    assert capsys.readouterr().err.count("checksums of run 7, 3 files (MB)") == 1
