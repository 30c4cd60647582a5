from __future__ import annotations

import json

import get
import pytest


def test_all_kinds_of_readout_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    get.main(["--megabytes", "1", "--repetitions", "1"])

    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {row["name"].partition(":")[0] for row in rows} == set(get.KINDS)
    assert all(row["ours"] > 0 for row in rows)
