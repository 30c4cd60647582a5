"""The figure of the readout: counts, boards, incomplete events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from toybench import commit

from penstock.store import Store
from penstock.tpc.schemas import READOUT_NOTES, Readout
from penstock.views import _style as style
from penstock.views import tpc_readout
from penstock.views.tpc_readout import draw_readout, readout_figure


def readout(
    notes: dict[str, int],
    boards: Sequence[tuple[int, int, int]] = (),
    incomplete: Sequence[tuple[int, int]] = (),
    silent: Sequence[tuple[int, int]] = (),
) -> Readout:
    """A run of 100 events; `boards` are CoBo, AsAd and events that lack it, `incomplete` events and the boards they lack."""
    run = {"run": 1, "events": 100, **{column.name: notes.get(column.name, 0) for column in READOUT_NOTES}, "silent_boards": len(silent)}
    quiet = np.array(silent, np.int64).reshape(-1, 2)
    by_board = np.array(boards, np.int64).reshape(-1, 3)
    by_event = np.array(incomplete, np.int64).reshape(-1, 2)
    events = by_event[:, 0]
    return Readout(
        n_events=1,
        columns={
            "run": {name: np.array([value]) for name, value in run.items()},
            "boards": {name: by_board[:, k] for k, name in enumerate(("cobo", "asad", "missing"))},
            "silent": {"cobo": quiet[:, 0], "asad": quiet[:, 1]},
            "incomplete": {"event": events, "get_event": events, "recording": 0 * events, "missing": by_event[:, 1]},
        },
        offsets={
            "run": np.array([0, 1]),
            "boards": np.array([0, len(by_board)]),
            "silent": np.array([0, len(quiet)]),
            "incomplete": np.array([0, len(events)]),
        },
    )


DAMAGED = readout(
    {"frames": 290, "gaps": 4, "recordings": 2, "incomplete_events": 3}, [(0, 0, 0), (0, 1, 3), (2, 0, 0)], [(5, 1), (6, 1), (90, 1)]
)


def figure_of(store: Store, records: Readout):
    return readout_figure(store, store.manifest(commit(store, "readout", records)))


def axes_of(figure, title: str):
    return next(axes for axes in figure.axes if axes.get_title("left").startswith(title))


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_figure_is_a_png(store: Store, tmp_path: Path) -> None:
    manifest = store.manifest(commit(store, "readout", DAMAGED))

    assert draw_readout(store, manifest, tmp_path / "readout.png").read_bytes().startswith(b"\x89PNG")


def test_every_count_is_told_and_damage_has_its_colour(store: Store) -> None:
    from matplotlib.colors import to_hex

    axes = axes_of(figure_of(store, DAMAGED), "What was found")

    names = [label.get_text() for label in axes.get_yticklabels()]
    colors = {name: to_hex(bar.get_facecolor()).upper() for name, bar in zip(names, axes.patches, strict=True)}
    assert sorted(names) == sorted(column.name for column in READOUT_NOTES)
    assert dict(zip(names, texts(axes), strict=True))["frames"] == "290"
    assert (colors["frames"], colors["gaps"], colors["recordings"]) == (style.COLD, style.HOT, style.HOT)


def test_boards_stand_at_their_addresses(store: Store) -> None:
    axes = axes_of(figure_of(store, DAMAGED), "Events that lack a board")

    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [((0, 0), "0"), ((0, 1), "3"), ((2, 0), "0")]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not in this run"]


def test_boards_that_sent_nothing_are_hatched_and_counted(store: Store) -> None:
    figure = figure_of(store, readout({"frames": 90}, [(0, 0, 0), (0, 1, 3)], silent=[(1, 0), (1, 1)]))

    axes = axes_of(figure, "Events that lack a board")
    assert [patch.get_xy() for patch in axes.patches] == [(0.5, -0.5), (0.5, 0.5)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sent nothing"]
    assert "100 events, 0 incomplete, 2 boards sent nothing" in [text.get_text() for text in figure.texts]


def test_a_run_of_silent_boards_only_is_drawn(store: Store) -> None:
    axes = axes_of(figure_of(store, readout({}, silent=[(3, 0)])), "Events that lack a board")

    assert len(axes.patches) == 1


def test_incomplete_events_are_drawn_within_the_run(store: Store) -> None:
    axes = axes_of(figure_of(store, DAMAGED), "Incomplete events")

    (dots,) = axes.get_lines()
    assert dots.get_xdata().tolist() == [5, 6, 90]
    assert axes.get_xlim() == (-0.5, 99.5)


def test_of_many_incomplete_events_some_are_drawn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpc_readout, "MOST_EVENTS", 2)

    axes = axes_of(figure_of(store, DAMAGED), "Incomplete events, one in 2")

    assert axes.get_lines()[0].get_xdata().tolist() == [5, 90]


def test_counts_that_were_not_taken_are_left_out_and_told(store: Store) -> None:
    figure = figure_of(store, readout({"bad_items": -1, "damaged_crate_events": -1}))

    assert axes_of(figure, "What was found").get_title("left") == "What was found (2 counts not taken)"
    assert texts(axes_of(figure, "Incomplete events")) == ["every event is complete"]
    assert texts(axes_of(figure, "Events that lack a board")) == ["no board is known"]


def test_files_of_a_merger_have_a_figure_that_says_that_nothing_is_known(store: Store) -> None:
    unknown = readout({column.name: -1 for column in READOUT_NOTES})
    unknown["run"]["silent_boards"][:] = -1
    figure = figure_of(store, unknown)

    assert "The files of this run come from a merger, which says nothing of the readout." in [text.get_text() for text in figure.texts]
    assert not figure.axes
