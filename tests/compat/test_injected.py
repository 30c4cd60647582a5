"""A phase between stages: records in, records out."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import phases
import pytest

from penstock.compat.spyral import PhaseFailed, phase_stages
from penstock.core.schema import Records, Rejection
from penstock.core.stage import Stage
from penstock.testing import explain_difference
from penstock.tpc.schemas import Clusters, PointCloud


def tail(**arguments: object) -> Stage:
    (stage,) = phase_stages("mine.tail", phases.Tail, **arguments)
    return stage


def run(stage: Stage, **inputs: Records) -> Records:
    return stage.load_body()(**inputs, params=stage.params())


def test_points_that_a_phase_leaves_are_those_of_the_stage(points: PointCloud) -> None:
    found = run(tail(kind="points", keep=2), points=points)

    offsets = points.offsets["points"]
    rows = np.concatenate([np.arange(max(a, b - 2), b) for a, b in pairwise(offsets)])
    np.testing.assert_array_equal(np.diff(found.offsets["points"]), [2, 0, 2, 2])
    for name, values in points["points"].items():
        np.testing.assert_array_equal(found["points"][name], values[rows])
        assert found["points"][name].dtype == values.dtype
    assert found.rejections == []


def test_a_phase_that_changes_nothing_gives_the_same_bits(points: PointCloud) -> None:
    assert explain_difference(run(tail(kind="points", keep=100), points=points), points) == ""


def test_clusters_know_which_points_they_are_of(points: PointCloud) -> None:
    found = run(tail(kind="clusters", keep=2, drop=11), points=points)

    assert isinstance(found, Clusters)
    np.testing.assert_array_equal(np.diff(found.offsets["clusters"]), [1, 0, 1, 1])
    np.testing.assert_array_equal(found["clusters"]["direction"], [-1, -1, -1])
    np.testing.assert_array_equal(found["points"]["index"], [1, 2, 3, 4, 0, 1])


def test_an_event_that_the_phase_drops_is_rejected_with_the_reason(points: PointCloud) -> None:
    found = run(tail(kind="points", drop=12), points=points)

    np.testing.assert_array_equal(np.diff(found.offsets["points"]), [2, 0, 0, 2])
    assert found.rejections == [Rejection(2, "phase Tail left nothing of the event")]


def test_an_event_that_nobody_gave_it_is_refused(points: PointCloud) -> None:
    message = "phase 'Tail': it left event 1010, which it was not given."

    with pytest.raises(PhaseFailed, match=f"^{re.escape(message)}$"):
        run(tail(kind="points", stranger=True), points=points)


def test_a_phase_that_leaves_no_file_fails(points: PointCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases.Tail, "run", lambda self, payload, workspace, queue, rng: self.construct_artifact(payload, workspace))
    message = "phase 'Tail': it left no file as artifact 'pointcloud', which the stages behind it read."

    with pytest.raises(PhaseFailed, match=f"^{re.escape(message)}$"):
        run(tail(kind="points"), points=points)
