from __future__ import annotations

import json

import limits
import pytest


@pytest.mark.slow
def test_every_limit_has_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    limits.main(["--seconds", "0.001"])

    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["name"] for row in rows] == list(limits.LIMITS)
    assert all(row["ours"] > 0.0 for row in rows)


def test_a_node_of_the_mesh_has_its_samples_and_five_numbers() -> None:
    assert limits.node_bytes() == 256 * 6 * 4 + 2 * 4 + 3 * 8
