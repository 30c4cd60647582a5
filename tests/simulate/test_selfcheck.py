"""Self-checks find what is wrong: they are compared with a truth that is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.config import load_experiment
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.simulate import selfcheck_events
from penstock.simulate.selfcheck import FAMILIES, Selfcheck, at_least, at_most, equal, load_selfcheck
from penstock.simulate.streams_settings import StreamSimulation
from penstock.store import Store


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_declares_its_check(family: str) -> None:
    assert isinstance(load_selfcheck(family), Selfcheck)


def test_bounds_are_kept_and_what_is_not_a_number_never_passes() -> None:
    assert [at_least("x", value, 0.9).ok for value in (0.9, 0.89, float("nan"))] == [True, False, False]
    assert [at_most("x", value, 1.5).ok for value in (1.5, 1.51, float("nan"))] == [True, False, False]
    assert [equal("x", value, 3).ok for value in (3, 2)] == [True, False]
    assert at_least("tracks found", 0.5, 0.9).expected == "at least 0.9"


def test_sums_of_other_images_are_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck_events, "POINTS", 3)
    check = load_selfcheck("events")
    check.prepare(tmp_path)
    experiment = load_experiment(tmp_path)
    with Store(experiment.store_path) as store:
        report = run(experiment, store, Request(RunRange("1")), resources=experiment.resources.model_copy(update={"executor": "inline"}))
        keys = {r.stage: r.key for r in report.results if r.key is not None}
        right = check.compare(tmp_path, store, keys)
        monkeypatch.setattr(selfcheck_events, "SETTINGS", StreamSimulation(seed=1, compression="bslz4"))
        wrong = {c.what: c.ok for c in check.compare(tmp_path, store, keys)}
    assert all(c.ok for c in right)
    assert wrong["images summed"]
    assert not wrong["pixels whose sum is wrong"]
    assert not wrong["counts in all"]
