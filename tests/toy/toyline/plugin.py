"""What the toy declares: an instrument and stages. Light: bodies and reader are dotted names."""

from __future__ import annotations

from pathlib import Path

from penstock.core.instrument import Instrument
from penstock.core.stage import stage
from toyline.bodies import GroupParams, HitParams, SummaryParams
from toyline.schemas import Groups, Hits, Raw, Summary

__all__ = ["INSTRUMENT", "groups", "hits", "on_gpu", "other_groups", "scaled", "strict", "summary"]

INSTRUMENT = Instrument(
    name="toy",
    title="A toy",
    raw=Raw,
    reader="toyline.raw:ToyRun",
    files={"text": "toy_{run:04d}.txt"},
    pipeline=("toy.hits", "toy.groups", "toy.summary"),
    presets=Path(__file__).parent / "presets",
)

hits = stage(
    "toy.hits",
    version=1,
    body="toyline.bodies:find_hits",
    params=HitParams,
    reads={"raw": Raw},
    writes=Hits,
    lane="toy",
    block=2,
    unit="event",
)
groups = stage(
    "toy.groups", version=1, body="toyline.bodies:find_groups", params=GroupParams, reads={"hits": Hits}, writes=Groups, lane="toy", block=3
)
summary = stage(
    "toy.summary",
    version=1,
    body="toyline.bodies:summarise",
    params=SummaryParams,
    reads={"groups": Groups},
    writes=Summary,
    lane="toy",
    block=4,
)
scaled = stage(
    "toy.scaled", version=1, body="toyline.bodies:scale_hits", params=SummaryParams, reads={"hits": Hits}, writes=Hits, lane="toy", block=2
)
other_groups = stage(
    "toy.other_groups",
    version=1,
    body="toyline.bodies:find_groups",
    params=GroupParams,
    reads={"hits": Hits},
    writes=Groups,
    lane="toy",
    block=5,
)
strict = stage(
    "toy.strict",
    version=1,
    body="toyline.bodies:summarise_strictly",
    params=SummaryParams,
    reads={"groups": Groups},
    writes=Summary,
    lane="toy",
    block=4,
    unit="event",
    on_error="reject",
)
on_gpu = stage(
    "toy.on_gpu", version=1, body="toyline.bodies:scale_hits", params=SummaryParams, reads={"hits": Hits}, writes=Hits, lane="gpu", block=2
)
