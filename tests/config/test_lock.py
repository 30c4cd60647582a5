"""The lock of the stages: nobody forgets to raise a version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.config import LockedStage, fingerprint, load_registry, read_lock, stage_code, write_lock
from penstock.core.errors import ConfigError
from penstock.simulate import golden
from penstock.simulate.golden import TOLERANCE, deviation, golden_outputs, make_lock

STAGES = list(load_registry().stages.values())


@pytest.fixture(scope="module")
def outputs() -> dict[str, golden.Golden]:
    return golden_outputs()


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_code_is_the_locked_code(stage):
    locked = read_lock()[stage.name]
    assert (locked.version, locked.fingerprint) == (stage.version, fingerprint(stage)), (
        f"stage {stage.name!r}: locked are version {locked.version}, code {locked.fingerprint}; "
        f"here are version {stage.version}, code {fingerprint(stage)}. Raise the version in its declaration and run "
        "`penstock stages lock`, or, where the results are the same: penstock stages lock --same-results REASON"
    )


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_results_are_the_locked_results(stage, outputs):
    moved = deviation(read_lock()[stage.name].golden, outputs[stage.name])
    assert moved <= TOLERANCE, (
        f"stage {stage.name!r}: its golden output moved by {moved:.2g}. Raise the version and run: penstock stages lock"
    )


def test_golden_output_has_tracks(outputs):
    assert outputs["tpc.estimates"]["estimates.brho"]["rows"] >= 4


def test_a_locked_stage_has_its_version_in_the_key():
    assert [stage_code(s).identity() for s in STAGES] == [s.version for s in STAGES]


def test_the_lock_reads_back_as_it_was_written(tmp_path: Path):
    entries = {"a.b": LockedStage(2, "f00", {"t.c": {"rows": 1.0}}, ("renamed",))}
    path = tmp_path / "stages.lock"
    write_lock(entries, path)
    assert read_lock(path) == entries
    assert json.loads(path.read_text())["a.b"]["version"] == 2


@pytest.fixture
def stale_lock(monkeypatch, outputs):
    def make(output: golden.Golden) -> None:
        entry = LockedStage(STAGES[0].version, "0" * 20, output)
        monkeypatch.setattr(golden, "read_lock", lambda: {STAGES[0].name: entry})
        monkeypatch.setattr(golden, "golden_outputs", lambda: outputs)

    return make


def test_changed_code_without_a_new_version_is_refused(stale_lock, outputs):
    stale_lock(outputs[STAGES[0].name])
    with pytest.raises(ConfigError, match=r"'tpc.points': its code changed \(0{20} -> [0-9a-f]{20}\) and its version \(1\) did not"):
        make_lock(STAGES)


def test_changed_code_with_a_reason_keeps_the_version(stale_lock, outputs):
    stale_lock(outputs[STAGES[0].name])
    assert make_lock(STAGES, same_results="renamed")["tpc.points"].same_results == ("renamed",)


def test_a_reason_does_not_excuse_other_results(stale_lock, outputs):
    moved = {n: {**s, "mean": s["mean"] + 0.01 * max(1.0, abs(s["greatest"]))} for n, s in outputs[STAGES[0].name].items()}
    stale_lock(moved)
    with pytest.raises(ConfigError, match="so the results are not the same"):
        make_lock(STAGES, same_results="renamed")
