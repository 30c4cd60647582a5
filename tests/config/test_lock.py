from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from penstock.config import LockedStage, fingerprint, load_registry, read_lock, stage_code, write_lock
from penstock.core.errors import ConfigError
from penstock.simulate import golden
from penstock.simulate.golden import check_lock, golden_outputs, make_lock

STAGES = [s for name, s in load_registry().stages.items() if s.body.startswith("penstock.")]
POINTS = load_registry().stage("tpc.points")
OUTPUT = {"points.x": {"rows": 4.0, "mean": 1.0, "deviation": 1.0, "least": -10.0, "greatest": 10.0}}


def test_code_and_results_of_every_stage_are_what_the_lock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = golden_outputs()
    monkeypatch.setattr(golden, "golden_outputs", lambda: computed)

    assert {s.name for s in STAGES} <= set(computed)
    assert all(computed[name][column]["rows"] > 0 for name, column in (("tpc.points", "points.x"), ("tpc.clusters", "points.x")))
    assert check_lock(STAGES) == []


@pytest.fixture
def fixed_output(monkeypatch: pytest.MonkeyPatch) -> dict[str, golden.Golden]:
    """Golden outputs that need no computing, and can be changed."""
    outputs = {"tpc.points": {name: dict(values) for name, values in OUTPUT.items()}}
    monkeypatch.setattr(golden, "golden_outputs", lambda: outputs)
    monkeypatch.setattr(golden, "read_lock", dict)
    return outputs


def locked(**changes: object) -> dict[str, LockedStage]:
    return {"tpc.points": dataclasses.replace(LockedStage(POINTS.version, fingerprint(POINTS), OUTPUT), **changes)}  # type: ignore[arg-type]


WAYS = f"Raise its version ({POINTS.version}), or, where the results are the same, run: penstock stages lock --same-results REASON"


@pytest.mark.usefixtures("fixed_output")
def test_a_lock_that_was_just_made_agrees() -> None:
    assert check_lock([POINTS], make_lock([POINTS])) == []


@pytest.mark.usefixtures("fixed_output")
def test_code_that_moved_is_told_with_both_fingerprints_and_both_ways_out() -> None:
    assert check_lock([POINTS], locked(fingerprint="0ld")) == [
        f"stage 'tpc.points': its code has fingerprint {fingerprint(POINTS)}, the lock holds 0ld. {WAYS}"
    ]


def test_results_that_moved_are_told_with_how_far(fixed_output: dict[str, golden.Golden]) -> None:
    fixed_output["tpc.points"]["points.x"]["mean"] = 1.5

    assert check_lock([POINTS], locked()) == [
        f"stage 'tpc.points' (fingerprint {fingerprint(POINTS)}): the golden output moved by 0.05 (allowed 0.0001). {WAYS}"
    ]


def test_results_within_the_tolerance_have_not_moved(fixed_output: dict[str, golden.Golden]) -> None:
    fixed_output["tpc.points"]["points.x"]["mean"] = 1.0 + 1e-5

    assert check_lock([POINTS], locked()) == []


def test_one_row_more_has_moved_the_results(fixed_output: dict[str, golden.Golden]) -> None:
    fixed_output["tpc.points"]["points.x"]["rows"] = 5.0

    assert "the golden output moved by inf" in check_lock([POINTS], locked())[0]


@pytest.mark.usefixtures("fixed_output")
def test_a_stage_without_an_entry_or_of_another_version_is_told() -> None:
    newer = dataclasses.replace(POINTS, version=POINTS.version + 1)

    assert check_lock([POINTS], {}) == [f"stage 'tpc.points': version {POINTS.version}, the lock holds nothing. Run: penstock stages lock"]
    assert check_lock([newer], locked()) == [
        f"stage 'tpc.points': version {newer.version}, the lock holds version {POINTS.version}. Run: penstock stages lock"
    ]


@pytest.mark.usefixtures("fixed_output")
def test_code_that_moved_is_not_locked_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "read_lock", lambda: locked(fingerprint="0ld"))
    message = (
        f"stage 'tpc.points': its code changed (0ld -> {fingerprint(POINTS)}) and its version ({POINTS.version}) did not. "
        "Raise the version in its declaration, or, where the results are the same: penstock stages lock --same-results REASON"
    )

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_lock([POINTS])


@pytest.mark.usefixtures("fixed_output")
def test_a_reason_locks_code_that_moved_and_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "read_lock", lambda: locked(fingerprint="0ld", same_results=("first",)))

    entry = make_lock([POINTS], same_results="loops unrolled")["tpc.points"]

    assert entry.fingerprint == fingerprint(POINTS)
    assert entry.same_results == ("first", "loops unrolled")


def test_no_reason_locks_results_that_moved_with_the_code(monkeypatch: pytest.MonkeyPatch, fixed_output: dict[str, golden.Golden]) -> None:
    fixed_output["tpc.points"]["points.x"]["mean"] = 1.5
    monkeypatch.setattr(golden, "read_lock", lambda: locked(fingerprint="0ld"))

    with pytest.raises(ConfigError, match=r"the golden output moved by 0\.05 .*so the results are not the same"):
        make_lock([POINTS], same_results="loops unrolled")


@pytest.mark.usefixtures("fixed_output")
def test_a_new_version_is_locked_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "read_lock", lambda: locked(version=POINTS.version + 1, fingerprint="0ld"))

    assert make_lock([POINTS])["tpc.points"].version == POINTS.version


def test_a_lock_reads_back_as_what_was_written(tmp_path: Path) -> None:
    entries = locked(same_results=("loops unrolled",))

    write_lock(entries, tmp_path / "stages.lock")

    assert read_lock(tmp_path / "stages.lock") == entries


def test_code_that_is_not_the_locked_one_stands_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = dataclasses.replace(POINTS)
    monkeypatch.setattr("penstock.config._lock.read_lock", lambda: locked(fingerprint="0ld"))

    assert stage_code(moved).identity() == f"{POINTS.version}+{fingerprint(POINTS)}"


def test_locked_code_stands_in_the_key_as_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    same = dataclasses.replace(POINTS)
    monkeypatch.setattr("penstock.config._lock.read_lock", locked)

    assert stage_code(same).identity() == POINTS.version


def test_an_installed_release_trusts_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = dataclasses.replace(POINTS)
    monkeypatch.setattr("penstock.config._lock.read_lock", lambda: locked(fingerprint="0ld"))
    monkeypatch.setattr("penstock.config._lock.is_release", lambda: True)

    assert stage_code(installed).identity() == POINTS.version
    assert stage_code(installed).fingerprint == "0ld"
