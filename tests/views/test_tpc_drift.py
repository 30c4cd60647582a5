from __future__ import annotations

import numpy as np

from penstock.tpc.drift import find_drift_edges
from penstock.tpc.schemas import PointCloud
from penstock.views._sample import Sample
from penstock.views.tpc_drift import drift_figure

EVENTS = 200


def sample(first: float, last: float) -> Sample[PointCloud]:
    """Events with points at all times from `first` to `last`, as far as a trace goes."""
    rng = np.random.default_rng(4)
    times = [np.sort(t[t < 508]) for t in rng.uniform(first, last, (EVENTS, 300))]
    columns = {c.name: np.zeros(sum(map(len, times)), c.dtype) for c in PointCloud.table("points").columns}
    columns["time"] = np.concatenate(times).astype("f4")
    empty = PointCloud.empty(EVENTS)
    cloud = PointCloud(EVENTS, {**empty.columns, "points": columns}, {"points": np.cumsum([0, *map(len, times)])})
    return Sample(cloud, [(0, EVENTS)], EVENTS)


def texts(first: float, last: float) -> list[str]:
    """What stands above and in the three panels of the figure."""
    shown = sample(first, last)
    edges = find_drift_edges(shown.records["points"]["time"], shown.records.offsets["points"])
    panels = drift_figure(edges, shown).axes
    return [*(axes.get_title(loc="left") for axes in panels), *(text.get_text() for axes in panels for text in axes.texts)]


def test_the_figure_names_both_edges_with_their_errors() -> None:
    _, micromegas, window, *names = texts(30.0, 450.0)

    assert micromegas.startswith(("Micromegas: 30.0", "Micromegas: 29.9"))
    assert window.startswith(("Window: 450.0", "Window: 449.9"))
    assert " ± 0.0" in window
    assert names == ["micromegas", "window"]


def test_the_figure_says_why_an_edge_is_not_seen() -> None:
    _, _, window, *names = texts(30.0, 560.0)

    assert window == "Window: not seen"
    assert [name.replace("\n", " ") for name in names] == [
        "micromegas",
        "points go on to the end of the trace, so the window lies beyond it",
    ]
