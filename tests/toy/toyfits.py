"""Tracks of a mesh as points, for the tests of the fits: exact ones, or collected by pads electron by electron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from penstock.simulate.tpc_electronics import find_pads
from penstock.tpc.assets import Gates
from penstock.tpc.mesh import MeshGrid, count_nodes, make_mesh, mesh_grids
from penstock.tpc.nuclei import nucleus
from penstock.tpc.pads import lattice_pads, pad_plane
from penstock.tpc.params import FitParams, MeshParams
from penstock.tpc.schemas import Clusters, Estimates, TrackMesh

F8 = NDArray[np.float64]

GRID = {"ke_min_mev": 0.8, "ke_max_mev": 8.0, "ke_bins": 28, "polar_min_deg": 20.0, "polar_max_deg": 150.0, "polar_bins": 40}
SHARP = FitParams.model_validate(
    {
        "beam_spread_mm": 50.0,
        "errors": {
            "transverse_diffusion_mm_per_sqrt_m": 0.5,
            "longitudinal_diffusion_mm_per_sqrt_m": 0.5,
            "shaping_buckets": 0.0,
            "scattering": False,
            "straggling": False,
        },
    }
)
"""For exact points: hardly any diffusion, no electronics, nothing at random, and a beam that says little."""
TOY = FitParams.model_validate({"errors": {"shaping_buckets": 0.0, "scattering": False, "straggling": False}})
"""For points of `collect`."""
LEAST_ELECTRONS = 9
CHARGE_PER_ELECTRON = 43.0


@dataclass(frozen=True)
class Track:
    """One particle at its vertex: MeV, rad, mm."""

    ke: float = 3.0
    polar: float = 1.0
    azimuthal: float = 2.0
    vertex: tuple[float, float, float] = (0.5, -1.0, 300.0)
    particle: tuple[int, int] = (1, 1)

    @property
    def start(self) -> F8:
        """Vertex, rigidity, polar and azimuthal angle."""
        return np.array([*self.vertex, float(nucleus(*self.particle).rigidity_tm(self.ke)), self.polar, self.azimuthal])


@cache
def mesh(*particles: str) -> TrackMesh:
    """A coarse mesh of some particles."""
    params = MeshParams.model_validate({**GRID, "particles": particles or ("1H",)})
    return make_mesh(range(count_nodes(params)), params)


def grid(particle: tuple[int, int] = (1, 1), whole: TrackMesh | None = None) -> MeshGrid:
    """The grid of one particle."""
    return mesh_grids(whole if whole is not None else mesh())[particle]


def way(track: Track, whole: TrackMesh | None = None, step_mm: float = 1.0) -> F8:
    """x, y, z in mm and kinetic energy in MeV along a track within the chamber, (places, 4)."""
    samples, _, _, length = grid(track.particle, whole).track(track.ke, track.polar)
    path = np.linspace(0.0, length, len(samples))
    places = CubicSpline(path, samples)(np.arange(0.0, length, step_mm))
    cosine, sine = np.cos(track.azimuthal), np.sin(track.azimuthal)
    x, y = cosine * places[:, 0] - sine * places[:, 1], sine * places[:, 0] + cosine * places[:, 1]
    places[:, 0], places[:, 1], places[:, 2] = x + track.vertex[0], y + track.vertex[1], places[:, 2] + track.vertex[2]
    out = (np.hypot(places[:, 0], places[:, 1]) > 270.0) | (places[:, 2] < 0.0) | (places[:, 2] > 1000.0) | (places[:, 3] < 0.3)
    return np.asarray(places[: int(np.argmax(out)) if out.any() else len(places)])


def exact_points(track: Track, whole: TrackMesh | None = None, step_mm: float = 2.0) -> dict[str, F8]:
    """Points on a track, on pads that are far too small."""
    places = way(track, whole, step_mm)
    places = places[np.hypot(places[:, 0], places[:, 1]) > 25.0]
    charge = np.full(len(places), 1000.0)
    return {"x": places[:, 0], "y": places[:, 1], "z": places[:, 2], "integral": charge, "scale": np.full(len(places), 0.01)}


def collect(track: Track, rng: np.random.Generator, whole: TrackMesh | None = None) -> dict[str, F8]:
    """Points of the pads that collect the electrons of a track: centre, mean z, charge. For tracks of one turn."""
    places = way(track, whole, 0.5)
    lost = -np.diff(places[:, 3]) / 36.5e-6
    origin = np.repeat(places[:-1, :3], rng.poisson(lost), axis=0)
    spread = 3.0 * np.sqrt(np.clip(1000.0 - origin[:, 2:], 0.0, None) / 1000.0)
    landed = origin + spread * rng.standard_normal(origin.shape)
    pads = find_pads(landed[:, 0].astype(np.float32), landed[:, 1].astype(np.float32), lattice_pads())
    plane = pad_plane()["pads"]
    count = np.bincount(pads[pads >= 0], minlength=len(plane["x"]))
    mean_z = np.bincount(pads[pads >= 0], landed[pads >= 0, 2], minlength=len(count)) / np.maximum(count, 1)
    seen = (count >= LEAST_ELECTRONS) & (np.hypot(plane["x"], plane["y"]) > 20.0)
    charge = CHARGE_PER_ELECTRON * rng.gamma(2.0 * count[seen]) / 2.0
    noise = rng.normal(0.0, 9.0 / np.sqrt(12.0), size=len(charge)) / np.sqrt(np.maximum(count[seen] / 10.0, 1.0))
    return {
        "x": plane["x"][seen],
        "y": plane["y"][seen],
        "z": mean_z[seen] + 0.3 * noise,
        "integral": charge,
        "scale": plane["scale"][seen],
    }


def records(events: Sequence[Sequence[tuple[dict[str, F8], F8]]], **columns: Mapping[int, float] | float) -> tuple[Clusters, Estimates]:
    """Clusters and estimates of events, each a list of (points, first guess of the fit)."""
    n = len(events)
    number = np.arange(n)
    chamber = {"ic_amplitude": 1100.0, "ic_integral": 2e4, "ic_centroid": 1230.0, "ic_multiplicity": 1.0}
    head: dict[str, NDArray[Any]] = {"event": number + 10, "orig_run": np.full(n, 7), "orig_event": number + 110}
    for name, usual in chamber.items():
        given = columns.get(name, usual)
        head[name] = np.array([given.get(i, usual) for i in range(n)]) if isinstance(given, Mapping) else np.full(n, given)
    tracks = [(i, k, *track) for i, event in enumerate(events) for k, track in enumerate(event)]
    of_event = np.array([t[0] for t in tracks], dtype=np.int64)
    starts = np.array([t[3] for t in tracks]).reshape(-1, 6)
    offsets = np.searchsorted(of_event, np.arange(n + 1)).astype(np.int64)
    sorted_points = [{name: p[name][np.argsort(p["z"], kind="stable")] for name in p} for _, _, p, _ in tracks]
    names = ("x", "y", "z", "integral", "scale")
    points = {name: np.concatenate([p[name] for p in sorted_points] or [np.empty(0)]).astype("f4") for name in names}
    points["index"] = np.arange(len(points["x"]), dtype=np.int32)
    direction = np.where(starts[:, 4] < np.pi / 2, 1, -1)
    label = np.array([t[1] for t in tracks], dtype=np.int32)
    sizes = [len(p["x"]) for p in sorted_points]
    clusters = Clusters(
        n_events=n,
        columns={
            "events": {c.name: head[c.name].astype(c.dtype) for c in Clusters.table("events").columns},
            "clusters": {"label": label, "direction": direction.astype(np.int32)},
            "points": points,
        },
        offsets={"clusters": offsets, "points": np.append(0, np.cumsum(sizes)).astype(np.int64)},
    )
    rows: dict[str, NDArray[Any]] = {name: values[of_event] for name, values in head.items()}
    guess = ("vertex_x", "vertex_y", "vertex_z", "brho", "polar", "azimuthal")
    rows |= {"cluster_index": label, "cluster_label": label, "direction": (1 - direction) // 2, "dEdx": starts[:, 3] * 100.0}
    rows |= dict(zip(guess, starts.T, strict=True))
    declared = Estimates.table("estimates").columns
    columns_out = {c.name: np.asarray(rows.get(c.name, np.ones(len(tracks))), dtype=c.dtype) for c in declared}
    return clusters, Estimates(n_events=n, columns={"estimates": columns_out}, offsets={"estimates": offsets})


def gate(particle: tuple[int, int], least_brho: float, greatest_brho: float) -> Gates:
    """A gate that only looks at the rigidity."""
    names = [c.name for c in Estimates.table("estimates").columns]
    head = {"Z": particle[0], "A": particle[1], "x_column": names.index("dEdx"), "y_column": names.index("brho")}
    corners = np.array([(-1e9, least_brho), (1e9, least_brho), (1e9, greatest_brho), (-1e9, greatest_brho)])
    return Gates(
        n_events=1,
        columns={
            "gates": {name: np.array([value], dtype=np.int32) for name, value in head.items()},
            "vertices": {"x": corners[:, 0].copy(), "y": corners[:, 1].copy()},
        },
        offsets={"vertices": np.array([0, 4])},
    )
