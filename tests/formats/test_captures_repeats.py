"""The index is the same whether repeats of a layout are found at once or every item is walked over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.formats.captures import CaptureFile, CaptureWriter, RawCapture, RawWriter
from penstock.formats.captures import _indexing as indexing
from penstock.stream.models import EventData, StreamData

BEGAN = 1_700_000_000_000_000_000
STEP = 1_000_001_000


def assert_same_index(path: Path, opened: Any = CaptureFile) -> None:
    """Compare both ways of building the index of a capture."""
    found = opened(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indexing, "find_repeats", lambda *args, **kwargs: None)
        walked = opened(path)
    if opened is RawCapture:
        np.testing.assert_array_equal(found.spans, walked.spans)
        assert list(found) == list(walked)
        return
    for name in ("spans", "numbers", "created_at", "first_entry", "head", "first_frame", "frames"):
        one, other = getattr(found.index, name), getattr(walked.index, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert found.index.heads == walked.index.heads
    assert found.damage == walked.damage


def event(number: int, sizes: list[int], created_at: int | None, fill: int = 0) -> EventData:
    """An event of two streams, whose frames are of these sizes."""
    frames = [bytes([fill]) * size for size in sizes]
    return EventData(number, {"det": StreamData("STINS", list(frames)), "motor": StreamData("contrast", [b"x"])}, created_at)


STRETCHES = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.lists(st.integers(0, 300), max_size=3),
        st.sampled_from([None, STEP, 1_000_000_000]),
        st.sampled_from([1, 7, 3000]),
    ),
    min_size=1,
    max_size=5,
)
"""Events of one layout: how many, sizes of their frames, time and numbers between them."""


@settings(max_examples=40, deadline=None)
@given(STRETCHES)
def test_captures_of_changing_layout_are_indexed_as_by_walking(tmp_path_factory: pytest.TempPathFactory, stretches: list[Any]) -> None:
    path = tmp_path_factory.mktemp("captures") / "run.cbors"
    number, at = 0, BEGAN
    with CaptureWriter(path) as writer:
        for n, sizes, time_step, number_step in stretches:
            for _ in range(n):
                writer.write(event(number, sizes, None if time_step is None else at, number % 251))
                number, at = number + number_step, at + (time_step or 0)

    assert_same_index(path)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.lists(st.integers(0, 300), max_size=3)), min_size=1, max_size=4))
def test_messages_of_changing_layout_are_indexed_as_by_walking(tmp_path_factory: pytest.TempPathFactory, stretches: list[Any]) -> None:
    path = tmp_path_factory.mktemp("captures") / "raw.cbors"
    with RawWriter(path) as writer:
        for n, sizes in stretches:
            for k in range(n):
                writer.write([b"{}", *(bytes([k]) * size for size in sizes)])

    assert_same_index(path, RawCapture)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_is_found_as_by_walking(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("captures") / "run.cbors"
    with CaptureWriter(path) as writer:
        for k in range(60):
            writer.write(event(300 + k, [20, 40], BEGAN + k * STEP, k))
    content = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(16, len(content) - 1), min_size=1, max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([0, 0, 5]))
    path.write_bytes(content[: len(content) - cut])

    assert_same_index(path)


def test_most_items_of_a_regular_capture_are_not_walked_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.cbors"
    with CaptureWriter(path) as writer:
        for k in range(3000):
            writer.write(event(k, [20, 40], BEGAN + k * STEP))
    walked = []
    note = indexing._Builder._note

    def noting(self: Any, items: int, *rest: int) -> None:
        walked.append(items)
        note(self, items, *rest)

    monkeypatch.setattr(indexing._Builder, "_note", noting)

    assert CaptureFile(path).numbers.tolist() == list(range(3000))
    assert sum(walked) < 100


def test_a_time_that_does_not_exist_among_many_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "run.cbors"
    with CaptureWriter(path) as writer:
        for k in range(700):
            writer.write(event(k, [20], BEGAN + k * STEP))
    known = CaptureFile(path).created_at.tolist()
    content = path.read_bytes()
    stamp = b"2023-11-14T22:18:20.000300Z"
    assert content.count(stamp) == 1

    for wrong in (b"2023-13-14", b"2023-11-31", b"2023-02-29", b"2023-11-00"):
        path.write_bytes(content.replace(stamp, wrong + stamp[10:]))

        found = CaptureFile(path).created_at.tolist()

        assert found[300] == np.iinfo(np.int64).min
        assert found[:300] + found[301:] == known[:300] + known[301:]
    assert known == [BEGAN + k * STEP for k in range(700)]
