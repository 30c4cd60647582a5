from __future__ import annotations

import json
import sys

import plan
import pytest


def test_plans_of_all_states_are_timed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))

    plan.main(["--runs", "3", "--repetitions", "1"])

    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"plan: nothing computed, wall", "plan: all current, wall", "plan: all stale, wall"} <= {row["name"] for row in rows}
    sys.modules.pop("bench_counts")
