"""Bodies of the toy's stages. The switches in the raw data make them do what no body may."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np

from penstock.core.errors import BadEvent
from penstock.core.params import Params
from toyline.schemas import Groups, Hits, Raw, Summary

__all__ = ["GroupParams", "HitParams", "SummaryParams", "find_groups", "find_hits", "scale_hits", "summarise", "summarise_strictly"]


class HitParams(Params):
    """What counts as a hit."""

    threshold: float = 0.2
    """Least value of a hit, in V."""


class GroupParams(Params):
    """How hits are grouped."""

    width: float = 0.1
    """Greatest gap within a group, in V."""
    seed: int = 0
    """Seed of the noise."""


class SummaryParams(Params):
    """How groups are summarised."""

    weight: float = 1.0
    """Factor of the totals."""


def find_hits(raw: Raw, params: HitParams) -> Hits:
    """The hits of one event."""
    switch, _, place = str(raw["events"]["switch"][0]).partition("@")
    _misbehave(switch, Path(place))
    values = raw["values"]["value"]
    chosen = values[values > params.threshold]
    return Hits(
        n_events=1,
        columns={
            "events": {"event": raw["events"]["event"], "late": np.array([switch == "late"], dtype="i4")},
            "hits": {"value": chosen.astype("f4"), "charge": chosen**2},
        },
        offsets={"hits": np.array([0, chosen.size])},
    )


def scale_hits(hits: Hits, params: SummaryParams) -> Hits:
    """Hits with scaled values."""
    columns = {**hits.columns, "hits": {**hits["hits"], "value": (hits["hits"]["value"] * params.weight).astype("f4")}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets, rejections=hits.rejections)


def find_groups(hits: Hits, params: GroupParams) -> Groups:
    """Hits of each event, sorted, cut where the gap is wide."""
    if hits["events"]["late"].any():
        raise ArithmeticError("late failure")
    sizes: list[int] = []
    centres: list[float] = []
    members: list[np.ndarray] = []
    counts: list[int] = []
    for index, event in enumerate(hits["events"]["event"]):
        rows = slice(hits.offsets["hits"][index], hits.offsets["hits"][index + 1])
        values = np.sort(hits["hits"]["value"][rows])
        noise = np.random.default_rng([params.seed, int(event)]).random()
        groups = np.split(values, np.flatnonzero(np.diff(values) > params.width) + 1) if values.size else []
        counts.append(len(groups))
        sizes += [g.size for g in groups]
        centres += [float(g.mean(dtype="f8")) + noise for g in groups]
        members += groups
    return Groups(
        n_events=hits.n_events,
        columns={
            "events": {"event": hits["events"]["event"]},
            "groups": {"size": np.array(sizes, dtype="i4"), "centre": np.array(centres, dtype="f8")},
            "members": {"value": np.concatenate([*members, np.zeros(0, "f4")]).astype("f4")},
        },
        offsets={
            "groups": np.concatenate(([0], np.cumsum(counts))).astype("i8"),
            "members": np.concatenate(([0], np.cumsum(sizes))).astype("i8"),
        },
        rejections=hits.rejections,
    )


def summarise(groups: Groups, params: SummaryParams) -> Summary:
    """One row a group."""
    counts = np.diff(groups.offsets["groups"])
    sums = (
        np.array([m.sum(dtype="f8") for m in np.split(groups["members"]["value"], groups.offsets["members"][1:-1])])
        if counts.sum()
        else np.zeros(0)
    )
    return Summary(
        n_events=groups.n_events,
        columns={
            "events": {},
            "summary": {
                "event": np.repeat(groups["events"]["event"], counts),
                "size": groups["groups"]["size"],
                "total": params.weight * sums,
            },
        },
        offsets={"summary": groups.offsets["groups"]},
    )


def summarise_strictly(groups: Groups, params: SummaryParams) -> Summary:
    """One row a group; an event without groups is an unexpected exception."""
    if groups.offsets["groups"][-1] == 0:
        raise ZeroDivisionError("no groups")
    return summarise(groups, params)


def _misbehave(switch: str, place: Path) -> None:
    kind, _, argument = switch.partition(":")
    if kind == "bad":
        raise BadEvent(argument or "noise burst")
    if kind == "raise":
        raise ArithmeticError("unexpected value")
    if kind == "sleep":
        time.sleep(float(argument))
    if kind == "kill" or (kind == "kill-once" and not place.exists()):
        if kind == "kill-once":
            place.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "oserror" and not place.exists():
        raise OSError("the disk does not answer")
    if kind in ("wait", "hold"):
        _tell_reached(place)
    if kind == "wait":
        deadline = time.monotonic() + 60
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    if kind == "hold":
        # A C library called so keeps the interpreter's lock: no other thread of the process runs meanwhile.
        ctypes.PyDLL(None).sleep(60)


def _tell_reached(place: Path) -> None:
    reached = place.with_name(f"{place.name}.reached")
    temporary = reached.with_suffix(".part")
    temporary.write_text(str(os.getpid()))
    temporary.replace(reached)
