"""True tracks of a simulated event, and which cluster and which row they went into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from penstock.core.canonical import Json
from penstock.tpc.schemas import Clusters, Estimates, PointCloud
from penstock.views._recompute import EventChain
from penstock.views.tpc_lost import EventFate

__all__ = ["TrueFate", "judge_true_tracks"]

F8 = NDArray[np.float64]

POLAR_LIMIT_RAD = math.radians(5.0)
BRHO_LIMIT = 0.1
"""A row within both of a true track is a good one, as in the scores of simulated runs."""

REACH_MM = 20.0
"""Points nearer to the path of a true track than this are taken for its own."""

HALF_TURN = 120
"""Places along the first half turn, over which the loss of energy hardly bends the path away from a helix."""


@dataclass(frozen=True, slots=True)
class TrueFate:
    """A true track: whether a row of the estimates is near to it, and where its points went."""

    track: int
    particle: str
    ke_mev: float
    polar_deg: float
    brho_tm: float
    found: bool
    why: str
    points: int
    cluster: int | None

    @property
    def line(self) -> str:
        """The fate in one line."""
        name = f"true track {self.track}: {self.particle}, {self.ke_mev:.2f} MeV, polar {self.polar_deg:.1f}°, Bρ {self.brho_tm:.3f} T·m"
        return f"{name} -> {'found' if self.found else 'no row'}: {self.why}"

    def as_json(self) -> dict[str, Json]:
        """The fate as plain values."""
        return cast("dict[str, Json]", asdict(self))


def judge_true_tracks(truth: Mapping[str, NDArray[Any]], fate: EventFate, chain: EventChain, magnetic_field_t: float) -> list[TrueFate]:
    """What became of each true track of an event.

    Parameters
    ----------
    truth
        Columns of the truth of a simulated run, one row a track.
    fate, chain
        The event, as `find_lost_tracks` gives it.
    magnetic_field_t
        Field that the true tracks turn in.
    """
    rows = np.flatnonzero(np.asarray(truth["event"]) == fate.event)
    estimates, points, clusters = chain.step(Estimates), chain.step(PointCloud), chain.step(Clusters)
    label = _cluster_of_points(points, clusters)
    fates = []
    for row in rows.tolist():
        polar, brho = float(truth["polar"][row]), float(truth["brho"][row])
        near = _near_path(points, _first_half_turn(truth, row, magnetic_field_t))
        cluster = _most_common(label[near])
        good = () if estimates is None else _good_rows(estimates[1], polar, brho)
        why = f"cluster {', '.join(map(str, good))}" if good else _why(fate, cluster, int(near.sum()), label[near])
        where = good[0] if good else cluster
        fates.append(
            TrueFate(
                track=int(truth["track"][row]),
                particle=str(truth["particle"][row]),
                ke_mev=float(truth["ke"][row]),
                polar_deg=math.degrees(polar),
                brho_tm=brho,
                found=bool(good),
                why=why,
                points=int(near.sum()),
                cluster=where,
            )
        )
    return fates


def _why(fate: EventFate, cluster: int | None, near: int, label: NDArray[np.int64]) -> str:
    """Why a true track has no row near to it."""
    stopped = next((f"{step.stage}: {step.lost}" for step in fate.steps if step.lost and not fate.clusters), "")
    if stopped:
        return stopped
    if near == 0:
        return f"no point lies within {REACH_MM:g} mm of its path"
    if cluster is None:
        return f"none of the {near:,} points near to its path is in a cluster"
    share = f"{int(np.sum(label == cluster)):,} of {near:,} points near to its path are in cluster {cluster}"
    lost = fate.clusters[cluster]
    if lost.ended:
        return f"{share}, lost at {lost.ended}: {lost.why}"
    return f"{share}, whose row lies more than 5° or 10 % away ({next(iter(lost.found), 'no estimate')})"


def _good_rows(estimates: Estimates, polar: float, brho: float) -> tuple[int, ...]:
    """Clusters whose rows are near to a true track."""
    rows = estimates["estimates"]
    near = (np.abs(rows["polar"] - polar) <= POLAR_LIMIT_RAD) & (np.abs(rows["brho"] / brho - 1.0) <= BRHO_LIMIT)
    return tuple(int(i) for i in rows["cluster_index"][near])


def _cluster_of_points(points: Any, clusters: Any) -> NDArray[np.int64]:
    """Cluster of each point of the event, -1 for noise."""
    label = np.full(0 if points is None else len(points[1]["points"]["z"]), -1)
    if clusters is not None:
        records = clusters[1]
        label[records["points"]["index"]] = np.repeat(np.arange(len(records["clusters"]["label"])), np.diff(records.offsets["points"]))
    return label


def _near_path(points: Any, path: F8) -> NDArray[np.bool_]:
    if points is None:
        return np.zeros(0, np.bool_)
    cloud = np.stack([np.asarray(points[1]["points"][axis], np.float64) for axis in "xyz"], axis=1)
    if not len(cloud):
        return np.zeros(0, np.bool_)
    distance = np.linalg.norm(cloud[:, None, :] - path[None, :, :], axis=2).min(axis=1)
    return np.asarray(distance <= REACH_MM)


def _first_half_turn(truth: Mapping[str, NDArray[Any]], row: int, magnetic_field_t: float) -> F8:
    """Places along the first half turn of a true track, (places, 3) mm: a helix, counter-clockwise."""
    polar, azimuthal = float(truth["polar"][row]), float(truth["azimuthal"][row])
    radius = 1e3 * float(truth["brho"][row]) * math.sin(polar) / magnetic_field_t
    vertex = np.array([float(truth[f"vertex_{axis}"][row]) for axis in "xyz"])
    turning = np.linspace(0, np.pi, HALF_TURN)
    angle = azimuthal - np.pi / 2 + turning
    center = vertex[:2] - radius * np.array([math.cos(angle[0]), math.sin(angle[0])])
    z = vertex[2] + radius * turning / math.tan(polar)
    return np.column_stack([center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle), z])


def _most_common(label: NDArray[np.int64]) -> int | None:
    """The cluster that holds most of the points, None where all are noise."""
    inside = label[label >= 0]
    return int(np.bincount(inside).argmax()) if inside.size else None
