from __future__ import annotations

import json

import azimuthal
import pytest


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, float]:
    azimuthal.main(["--sides", "96", "--repetitions", "1", *arguments])
    return {row["name"]: row["ours"] for row in json.loads(capsys.readouterr().out.splitlines()[-1])}


def test_all_kinds_of_splitting_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, "--no-peer")

    assert [name.removeprefix("96²: ") for name in found] == [
        "no splitting",
        "no splitting, 0.1 % invalid",
        "no splitting, float32",
        "bbox",
        "2 × 2",
    ]
    assert all(value > 0 for value in found.values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_agreement_with_pyfai_is_within_the_goals(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")

    found = rows(capsys, "--check")

    assert len(found) == 3
    assert found["96²: pixels in another bin"] <= 1e-5
    assert found["96²: sums, greatest relative difference"] <= 1e-6
    assert found["96²: intensity, greatest relative difference"] <= 1e-6
