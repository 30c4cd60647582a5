from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.canonical import Key
from penstock.store import Counts, Manifest
from penstock.views._sample import sample_spans


def _manifest(n_events: int, block: int, rows: int) -> Manifest:
    return Manifest(
        key=Key("a" * 32), stage="s.s", schema="s/1", storage="hdf5", subject="run-0001", run=1, n_events=n_events, block=block,
        counts=Counts(n_events, n_events, rows={"points": rows}), files=(), rejections=(), recipe={}, origins={}, inputs={}, code={},
        environment={}, times={},
    )  # fmt: skip


def test_a_small_artifact_is_read_whole() -> None:
    assert sample_spans(_manifest(200, 32, 1000), most_rows=1000) == [(0, 200)]


def test_a_large_artifact_is_sampled_over_the_whole_run() -> None:
    spans = sample_spans(_manifest(100_000, 32, 50_000_000), most_rows=2_000_000)

    assert len(spans) == 62
    assert spans[0][0] == 0
    assert spans[-1][0] > 95_000


@given(n_events=st.integers(0, 10_000), block=st.integers(1, 300), per_event=st.integers(0, 1000), most=st.integers(1, 10**6))
def test_samples_are_whole_blocks_in_order_and_within_bounds(n_events: int, block: int, per_event: int, most: int) -> None:
    spans = sample_spans(_manifest(n_events, block, n_events * per_event), most_rows=most)

    assert all(start % block == 0 and (stop % block == 0 or stop == n_events) for start, stop in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    taken = sum(stop - start for start, stop in spans)
    assert taken * max(per_event, 1) <= max(most, block * max(per_event, 1))
    assert 0 <= taken <= n_events
