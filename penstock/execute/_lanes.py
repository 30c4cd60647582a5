"""Lanes: which workers a stage goes to, and whether it computes on their device or on their CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from penstock.config import GPU_LANE, Resources
from penstock.core.stage import Stage

__all__ = ["Device", "Place", "cpu_lanes", "place_stages", "placed", "resource_names", "spellings"]

Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage is computed in one request."""

    lane: str
    device: Device = "cpu"


def place_stages(stages: Iterable[Stage], resources: Resources, offers: Callable[[str], bool]) -> dict[str, Place]:
    """The place of each stage by name.

    A stage of the lane ``gpu`` whose lane nobody offers goes to the CPU lane of its family where the resources allow that.

    Parameters
    ----------
    offers
        Says whether a worker offers a lane now.
    """
    return {stage.name: _place(stage, resources, offers) for stage in stages}


def _place(stage: Stage, resources: Resources, offers: Callable[[str], bool]) -> Place:
    lane = resources.lane(stage)
    if stage.lane != GPU_LANE:
        return Place(lane)
    if resources.cpu_fallback and not offers(lane):
        return Place(_family(stage))
    return Place(lane, "gpu")


def placed(stages: Iterable[Stage], places: Mapping[str, Place]) -> list[Stage]:
    """The stages with the lanes of their places, as executors compare them with what workers offer."""
    return [replace(stage, lane=places[stage.name].lane) for stage in stages]


def cpu_lanes(stages: Iterable[Stage], resources: Resources) -> list[str]:
    """The lanes that a CPU worker of this machine can offer, sorted: those of all stages, and what GPU stages fall back to."""
    return sorted({_family(stage) if stage.lane == GPU_LANE else resources.lane(stage) for stage in stages})


def _family(stage: Stage) -> str:
    return stage.name.partition(".")[0]


def spellings(lane: str) -> tuple[str, ...]:
    """How workers may spell a lane: as it is, or as Dask reads it from the environment, where ``-`` cannot stand."""
    return tuple(dict.fromkeys((lane, lane.replace("-", "_"))))


def resource_names(lane: str, offered: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The spellings of a lane that workers offer, each with the addresses of these workers; the lane's own spelling first.

    Parameters
    ----------
    offered
        Resources of each worker by address.
    """
    found = {name: [address for address, names in sorted(offered.items()) if name in names] for name in spellings(lane)}
    return {name: addresses for name, addresses in found.items() if addresses}
