from __future__ import annotations

import json
from pathlib import Path

import events
import pytest
from events_data import ImageCapture
from figures import Goal

from penstock.formats.captures import CaptureFile

CASE = events.Case("mean", "MeanWorker", ImageCapture(50, 100), Goal(5.0, "ratio"))


def sample(cpu: float, wall: float = 1.0, results: int = 50, total: float = 0.0) -> events.Sample:
    return events.Sample(cpu, wall, cpu + 0.5, results, total)


def test_the_cost_of_an_event_is_the_median_of_the_repetitions() -> None:
    loop, whole = events.cost_rows(CASE, [sample(0.001), sample(0.009), sample(0.002)], [sample(0.01)])

    assert (loop.ours, loop.peer, loop.unit) == (pytest.approx(40.0), pytest.approx(200.0), "µs/event")
    assert loop.goal is not None
    assert loop.goal.kept(loop)
    assert whole.ours == pytest.approx(0.502)


def test_without_the_peer_there_is_no_ratio() -> None:
    assert events.cost_rows(CASE, [sample(0.001)], [])[0].ratio is None


def test_the_speed_up_is_the_median_of_the_pairs() -> None:
    pairs = [
        (sample(1, wall=10.0), sample(1, wall=5.0)),
        (sample(1, wall=12.0), sample(1, wall=8.0)),
        (sample(1, wall=9.0), sample(1, wall=5.0)),
    ]

    assert events.scaling_rows(pairs)[1].ours == pytest.approx(1.8)


def test_images_are_made_once_and_differ(tmp_path: Path) -> None:
    path = CASE.capture.provide(tmp_path)
    stamp = path.stat().st_mtime_ns

    assert CASE.capture.provide(tmp_path).stat().st_mtime_ns == stamp
    capture = CaptureFile(path)
    assert len(capture) == 52
    frames = [capture.streams(k, lambda typ, frames: bytes(frames[1]))["det"] for k in (1, 2, 9)]
    assert frames[0] == frames[2] != frames[1]


def test_a_tool_that_did_other_work_is_not_timed() -> None:
    with pytest.raises(SystemExit, match=r"dranspose, mean: 50 results of sum 1\.0, expected 50 of sum"):
        events._check(CASE, "dranspose", sample(1.0, total=1.0))


def test_a_replay_is_timed_and_its_sum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(events, "cases", lambda *, quick: [CASE])

    events.main(["--no-peer", "--repetitions", "1", "--pairs", "0", "--data", str(tmp_path)])

    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["unit"] for row in rows] == ["µs/event", "s", "µs/event"]
    assert all(row["ours"] > 0 for row in rows)
