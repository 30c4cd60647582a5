from __future__ import annotations

import machine
import pytest
from scaling import Sample, rows_of


def sample(workers: int, wall: float, cpu: float) -> Sample:
    return Sample(workers, (wall + 2.0, cpu + 3.0), (wall, cpu), {"tpc.points": (wall, cpu)})


def test_the_speed_up_is_the_median_of_the_pairs() -> None:
    pairs = [
        (sample(1, 10.0, 9.0), sample(2, 5.0, 9.9)),
        (sample(1, 12.0, 9.0), sample(2, 8.0, 9.0)),
        (sample(1, 9.0, 9.0), sample(2, 5.0, 9.9)),
    ]

    rows = {row.name: row for row in rows_of(pairs, 100)}

    assert rows["steps: speed-up, median of pairs"].ours == pytest.approx(1.8)
    assert rows["steps: cpu ratio, median of pairs"].ours == pytest.approx(1.1)
    assert rows["whole command: wall"].peer == pytest.approx(12.0)


def test_a_machine_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "busy_cores", lambda seconds: 1.5)

    assert machine.wait_until_quiet(0.3, patience_s=0.0) is None


def test_a_quiet_machine_is_told_with_its_load(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = iter([1.5, 0.1])
    monkeypatch.setattr(machine, "busy_cores", lambda seconds: next(loads))

    assert machine.wait_until_quiet(0.3, patience_s=60.0) == 0.1
