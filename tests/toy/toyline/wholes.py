"""Toy stages whose results are about nothing or about a whole run: a table, hits scaled by it, a tally, a report in files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from penstock.core.params import Params
from penstock.core.schema import Column, Records, Rejection, Table
from penstock.core.stage import RunSource, stage
from toyline.bodies import SummaryParams
from toyline.schemas import Hits, Raw

__all__ = ["Curve", "CurveParams", "Report", "Tally", "calibrated", "calibrated_alone", "curve", "report", "summed", "tally"]


class CurveParams(Params):
    """How the curve is drawn up."""

    rows: int = 10
    """Its rows."""
    power: float = 2.0
    """Its exponent."""


class Curve(Records):
    """A table of powers."""

    name = "toy.curve"
    storage = "arrays"
    tables = (Table("events", (Column("x", "f8"), Column("powers", "f4", shape=(3,))), per=None),)


class Tally(Records):
    """Events and values of a run, in two tables."""

    name = "toy.tally"
    storage = "parquet"
    tables = (Table("events_of_run", (Column("event", "i8"), Column("values", "i8"))), Table("totals", (Column("values", "i8"),)))


class Report(Records):
    """Files of any kind."""

    name = "toy.report"
    storage = "files"
    tables = (Table("events", (), per=None),)


def count_rows(params: CurveParams) -> int:
    """Rows of the curve."""
    return params.rows


def make_curve(positions: range, params: CurveParams) -> Curve:
    """Powers of each position."""
    x = np.array(positions, dtype="f8")
    powers = (x[:, np.newaxis] + [0, 1, 2]) ** params.power
    return Curve(n_events=len(x), columns={"events": {"x": x, "powers": powers.astype("f4")}})


def apply_curve(hits: Hits, curve: Curve, params: SummaryParams) -> Hits:
    """Hits times the last row of the curve."""
    factor = float(curve["events"]["powers"][-1, 0])
    columns = {**hits.columns, "hits": {**hits["hits"], "value": (hits["hits"]["value"] * factor).astype("f4")}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets, rejections=hits.rejections)


def tally_run(source: RunSource, params: SummaryParams) -> Tally:
    """Values of each event, and of all."""
    with source.reader() as reader:
        raw: Any = reader.read(0, reader.n_events)
    counts = np.diff(raw.offsets["values"])
    return Tally(
        n_events=1,
        columns={
            "events": {},
            "events_of_run": {"event": raw["events"]["event"].astype("i8"), "values": counts.astype("i8")},
            "totals": {"values": np.array([counts.sum()], dtype="i8")},
        },
        offsets={"events_of_run": np.array([0, len(counts)]), "totals": np.array([0, 1])},
    )


def write_report(source: RunSource, params: SummaryParams, folder: Path) -> None:
    """A page, and a list in a folder of its own."""
    hits = source.inputs["hits"].read(Hits)
    if params.weight < 0:
        raise ArithmeticError("a negative weight")
    (folder / "page.txt").write_text(f"run {source.run}: {hits.n_events} events, raw {sorted(source.raw)}\n")
    (folder / "lists").mkdir()
    (folder / "lists" / "hits.txt").write_text("\n".join(map(str, hits["hits"]["value"].tolist())))


class SumParams(Params):
    """How a run is summed up."""

    events_a_part: int = 6
    """Events in a part."""
    scale: float = 1.0
    """What sums are multiplied by; a negative one is refused."""
    names: dict[str, int] = Field(default_factory=dict)
    """Free names."""
    origin: str = ""
    """Filled in when planning."""


def complete_sum(params: SumParams, folder: Path, fingerprint: Callable[[Sequence[str]], str]) -> SumParams:
    """The fingerprint of the module ``notes`` beside experiment.toml, where there is one."""
    return params.model_copy(update={"origin": fingerprint(["notes"])}) if (folder / "notes.py").exists() else params


def count_parts(source: RunSource, params: SumParams) -> int:
    """Parts of the run."""
    with source.reader() as reader:
        return math.ceil(reader.n_events / params.events_a_part)


def sum_part(source: RunSource, part: int, folder: Path, params: SumParams) -> None:
    """The sum of the values of some events."""
    if params.scale < 0:
        raise ArithmeticError("a negative scale")
    with source.reader() as reader:
        start = part * params.events_a_part
        raw: Any = reader.read(start, min(start + params.events_a_part, reader.n_events))
    (folder / "sum.txt").write_text(str(float(raw["values"]["value"].sum())))


def finish_sum(source: RunSource, parts: Sequence[Path], folder: Path, params: SumParams) -> Report:
    """All sums, a line a part; the first event is said to have none."""
    (folder / "sums.txt").write_text("\n".join(str(params.scale * float((p / "sum.txt").read_text())) for p in parts))
    with source.reader() as reader:
        done = Report.empty(reader.n_events)
    done.rejections = [Rejection(0, "it is the first")]
    return done


curve = stage(
    "toy.curve",
    version=1,
    body="toyline.wholes:make_curve",
    count="toyline.wholes:count_rows",
    subject="none",
    params=CurveParams,
    reads={},
    writes=Curve,
    lane="toy",
    block=4,
)
calibrated = stage(
    "toy.calibrated",
    version=1,
    body="toyline.wholes:apply_curve",
    params=SummaryParams,
    reads={"curve": Curve, "hits": Hits},
    writes=Hits,
    lane="toy",
    block=2,
)
calibrated_alone = stage(
    "toy.calibrated_alone",
    version=1,
    body="toyline.wholes:apply_curve",
    params=SummaryParams,
    reads={"curve": Curve, "hits": Hits},
    writes=Hits,
    lane="toy",
    block=2,
    unit="event",
)
tally = stage(
    "toy.tally", version=1, body="toyline.wholes:tally_run", params=SummaryParams, reads={"raw": Raw}, writes=Tally, lane="toy", unit="run"
)
report = stage(
    "toy.report",
    version=1,
    body="toyline.wholes:write_report",
    params=SummaryParams,
    reads={"hits": Hits},
    writes=Report,
    lane="toy",
    unit="run",
)
summed = stage(
    "toy.summed",
    version=1,
    body="toyline.wholes:sum_part",
    count="toyline.wholes:count_parts",
    finish="toyline.wholes:finish_sum",
    complete="toyline.wholes:complete_sum",
    params=SumParams,
    reads={"raw": Raw},
    writes=Report,
    lane="toy",
    unit="parts",
    block=1,
)
