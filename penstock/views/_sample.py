"""What a figure of an artifact reads: its title, and a sample of it where it is too large for one figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from penstock.core.schema import Records
from penstock.store import Manifest, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_ROWS", "Sample", "artifact_title", "read_sample", "read_spans", "sample_spans"]

MOST_ROWS = 2_000_000
"""Rows of the largest table that a figure reads; about 100 MB of points."""
MOST_PIECES = 64

R = TypeVar("R", bound=Records)
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sample(Generic[R]):
    """Some events of an artifact, or all of them: `spans` are the positions [start, stop) they were taken from."""

    records: R
    spans: Sequence[Span]
    of: int

    @property
    def words(self) -> str:
        """``200 events``, or ``sample: 2,048 of 100,000 events``."""
        n = self.records.n_events
        return f"{n:,} events" if n == self.of else f"sample: {n:,} of {self.of:,} events"

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which of the events were not rejected."""
        import numpy as np

        kept = np.ones(self.records.n_events, np.bool_)
        kept[[r.index for r in self.records.rejections]] = False
        return kept


def artifact_title(store: Store, manifest: Manifest, what: str) -> str:
    """Headline of a figure: experiment (as refs name it), subject, what is shown, key."""
    names = (name for name, key in store.index.refs().items() if key == manifest.key)
    experiment = next(names, "").partition("/")[0]
    run = f"run {manifest.run}" if manifest.run is not None else manifest.subject.removeprefix("none")
    _, _, events = manifest.subject.partition(".events-")
    parts = [experiment, run, f"events {events.replace('-', ':')}" if events else "", what, manifest.key.short]
    return "  ·  ".join(p for p in parts if p)


def sample_spans(manifest: Manifest, most_rows: int = MOST_ROWS) -> list[Span]:
    """Positions [start, stop) of whole blocks, evenly spaced, that hold about `most_rows` rows in all; everything where it is less."""
    n, block = manifest.n_events, manifest.block
    rows = max(manifest.counts.rows.values(), default=0)
    if max(rows, n) <= most_rows:
        return [(0, n)]
    n_blocks = -(-n // block)
    wanted = max(1, most_rows * n // (max(rows, n) * block))
    length = -(-wanted // MOST_PIECES)
    pieces = wanted // length
    starts = [piece * n_blocks // pieces for piece in range(pieces)]
    return [(s * block, min((s + length) * block, n)) for s in starts]


def read_spans(store: Store, manifest: Manifest, schema: type[R], spans: Iterable[Span]) -> R:
    """The events at the positions `spans` of an artifact."""
    pieces = [cast("R", store.read(manifest, schema, start, stop)) for start, stop in spans]
    return pieces[0] if len(pieces) == 1 else schema.concatenate(pieces)


def read_sample(store: Store, manifest: Manifest, schema: type[R], most_rows: int = MOST_ROWS) -> Sample[R]:
    """The events that a figure of the whole artifact is made from."""
    spans = sample_spans(manifest, most_rows)
    return Sample(read_spans(store, manifest, schema, spans), spans, manifest.n_events)
