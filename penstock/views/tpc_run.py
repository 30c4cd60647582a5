"""Figures of a whole run of the TPC: one for each stage, drawn from its artifact or, of a large one, from a sample."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ArtifactMissing
from penstock.store import Manifest, Store
from penstock.tpc.schemas import Clusters, Estimates, PointCloud
from penstock.views import _style as style
from penstock.views._pairs import draw_pair
from penstock.views._plane import draw_counts_on_pads
from penstock.views._sample import MOST_ROWS, Sample, artifact_title, read_sample, read_spans

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "clusters_figure",
    "draw_clusters",
    "draw_estimates",
    "draw_points",
    "estimates_figure",
    "points_figure",
]

TICK_ROOM = 0.09
"""Least distance of two labels, over the length of the axis."""


def draw_points(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the point clouds of a run to a PNG file: see `points_figure`."""
    return style.write_png(points_figure(store, manifest), path)


def draw_clusters(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the clusters of a run to a PNG file: see `clusters_figure`."""
    return style.write_png(clusters_figure(store, manifest), path)


def draw_estimates(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the track estimates of a run to a PNG file: see `estimates_figure`."""
    return style.write_png(estimates_figure(store, manifest), path)


def points_figure(store: Store, manifest: Manifest, most_rows: int = MOST_ROWS) -> Figure:
    """Occupancy of the pad plane; histograms of z, amplitude, points per event and ion chamber.

    Parameters
    ----------
    most_rows
        Points of the largest sample that is read.
    """
    sample = read_sample(store, manifest, PointCloud, most_rows)
    cloud, points = sample.records, sample.records["points"]
    figure = style.new_figure(15, 7.6, artifact_title(store, manifest, "points"), f"{sample.words}, {len(points['z']):,} points")
    grid = figure.add_gridspec(2, 4)
    draw_counts_on_pads(figure, figure.add_subplot(grid[:, :2]), points["pad"], "points", (points["x"], points["y"]))
    kept = sample.kept
    per_event = np.diff(cloud.offsets["points"])[kept]
    z_axes, height_axes, number_axes, chamber_axes = (figure.add_subplot(grid[row, column]) for row in (0, 1) for column in (2, 3))
    _draw_drift(z_axes, points["z"], manifest)
    style.dress(z_axes, "z from the window (mm)", "points", "Drift")
    style.histogram(height_axes, points["amplitude"], color=style.HOT, log=True)
    style.dress(height_axes, "pulse height (ADC)", "points", "Charge")
    style.count_histogram(number_axes, per_event, color=style.ACCENT)
    style.dress(number_axes, "points per event", "events", "Size of events")
    _draw_ion_chamber(chamber_axes, cloud["events"]["ic_amplitude"][kept])
    return figure


def clusters_figure(store: Store, manifest: Manifest, most_rows: int = MOST_ROWS) -> Figure:
    """Clusters per event, points per cluster, fraction of points in clusters, directions.

    Parameters
    ----------
    most_rows
        Points of the largest sample that is read.
    """
    sample = read_sample(store, manifest, Clusters, most_rows)
    clusters = sample.records
    offsets = clusters.offsets
    n_clusters = len(clusters["clusters"]["label"])
    figure = style.new_figure(12, 7.6, artifact_title(store, manifest, "clusters"), f"{sample.words}, {n_clusters:,} clusters")
    kept = sample.kept
    (number_axes, size_axes), (fraction_axes, way_axes) = figure.subplots(2, 2)
    style.count_histogram(number_axes, np.diff(offsets["clusters"])[kept], color=style.COLD)
    number_axes.set_xlim(-0.5, max(3.5, number_axes.get_xlim()[1]))
    style.mark_whole_numbers(number_axes.xaxis)
    style.dress(number_axes, "clusters per event", "events", "Multiplicity")
    style.histogram(size_axes, np.diff(offsets["points"]), color=style.HOT)
    style.dress(size_axes, "points per cluster", "clusters", "Size of clusters")
    _draw_fraction(fraction_axes, store, manifest, sample, kept)
    _draw_directions(way_axes, clusters["clusters"]["direction"])
    return figure


def estimates_figure(store: Store, manifest: Manifest, most_rows: int = MOST_ROWS) -> Figure:
    """Polar angle and dE/dx against Bρ; histograms of polar and azimuthal angle, vertex and Bρ.

    Parameters
    ----------
    most_rows
        Tracks of the largest sample that is read.
    """
    sample = read_sample(store, manifest, Estimates, most_rows)
    tracks = sample.records["estimates"]
    figure = style.new_figure(15, 9, artifact_title(store, manifest, "track estimates"), f"{sample.words}, {len(tracks['brho']):,} tracks")
    grid = figure.add_gridspec(2, 4, height_ratios=(1.75, 1))
    polar, azimuthal, brho = np.degrees(tracks["polar"]), np.degrees(tracks["azimuthal"]), tracks["brho"]
    polar_axes, loss_axes = figure.add_subplot(grid[0, :2]), figure.add_subplot(grid[0, 2:])
    draw_pair(figure, polar_axes, polar, brho, (0.0, 180.0) if np.any(polar > 90) else (0.0, 90.0))
    style.dress(polar_axes, "polar angle θ (deg)", "magnetic rigidity Bρ (T·m)", "Kinematics")
    draw_pair(figure, loss_axes, tracks["sqrt_dEdx"], brho)
    _label_squares(loss_axes)
    style.dress(loss_axes, "energy loss dE/dx (ADC·bucket/mm), root scale", "magnetic rigidity Bρ (T·m)", "Particle identification")
    shown = (
        (polar, polar_axes.get_xlim(), "polar angle θ (deg)", style.COLD),
        (azimuthal, (0.0, 360.0), "azimuthal angle φ (deg)", style.ACCENT),
        (tracks["vertex_z"], None, "vertex z from the window (mm)", style.HOT),
        (brho, None, "magnetic rigidity Bρ (T·m)", style.PALETTE[3]),
    )
    for column, (values, limits, label, color) in enumerate(shown):
        axes = figure.add_subplot(grid[1, column])
        style.histogram(axes, values, color=color, limits=limits)
        style.dress(axes, label, "tracks")
    return figure


def _draw_drift(axes: Axes, z: NDArray[Any], manifest: Manifest) -> None:
    """Histogram of z over the whole detector, with its ends marked."""
    params = manifest.recipe["params"]
    assert isinstance(params, dict)
    length = float(str(params["detector_length_mm"]))
    low, high = style.robust_range(z)
    style.histogram(axes, z, limits=(min(low, -0.02 * length), max(high, 1.02 * length)))
    for place, name, side in ((0.0, "window", 3), (length, "micromegas", -11)):
        axes.axvline(place, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            name, (place, 0.97), xycoords=("data", "axes fraction"), xytext=(side, 0), textcoords="offset points", rotation=90,
            va="top", fontsize=style.SMALL_PT - 1, color=style.FAINT,
        )  # fmt: skip


def _draw_ion_chamber(axes: Axes, amplitude: NDArray[Any]) -> None:
    with_pulse = amplitude[amplitude >= 0]
    style.dress(axes, "ion-chamber pulse (ADC)", "events", "Beam")
    if with_pulse.size == 0:
        axes.text(0.5, 0.5, "no ion-chamber pulse", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    style.histogram(axes, with_pulse, color=style.PALETTE[3])
    without = len(amplitude) - len(with_pulse)
    if without:
        style.annotate(axes, f"{without:,} events without a pulse", right=False)


def _draw_fraction(axes: Axes, store: Store, manifest: Manifest, sample: Sample[Clusters], kept: NDArray[np.bool_]) -> None:
    """How many of the points of an event belong to clusters; needs the points, which may be gone."""
    style.dress(axes, "fraction of points in clusters", "events", "Noise")
    key = manifest.inputs["points"]
    try:
        cloud = read_spans(store, store.manifest(key), PointCloud, sample.spans)
    except ArtifactMissing:
        axes.text(
            0.5, 0.5, f"the points {key[:10]} are no longer in the store", transform=axes.transAxes, ha="center",
            fontsize=style.TEXT_PT, color=style.FAINT,
        )  # fmt: skip
        return
    clusters = sample.records
    in_event = np.diff(cloud.offsets["points"])
    clustered = np.diff(clusters.offsets["points"][clusters.offsets["clusters"]])
    some = kept & (in_event > 0)
    fraction = clustered[some] / in_event[some]
    low = min(math.floor(10 * style.robust_range(fraction)[0]) / 10, 0.9)
    style.histogram(axes, fraction, color=style.ACCENT, limits=(max(low, 0.0), 1.0))
    total = int(in_event[some].sum())
    if total:
        style.annotate(axes, f"{clustered[some].sum() / total:.1%} of all points", right=False)


def _draw_directions(axes: Axes, direction: NDArray[Any]) -> None:
    names = ("to the window", "undecided", "to the micromegas")
    counts = [int(np.sum(direction == value)) for value in (-1, 0, 1)]
    bars = axes.bar(names, counts, color=(style.HOT, style.NOISE, style.COLD), alpha=0.75, width=0.6)
    axes.bar_label(bars, [f"{c:,}" for c in counts], fontsize=style.SMALL_PT, color=style.INK, padding=2)
    axes.set_ylim(0, max(1.0, 1.15 * max(counts)))
    style.dress(axes, "direction of motion along z", "clusters", "Direction")


def _label_squares(axes: Axes) -> None:
    """Label an axis of square roots with the squares: light and heavy particles both get room."""
    high = axes.get_xlim()[1]
    decades = 10.0 ** np.arange(math.floor(2 * math.log10(high)) - 3, math.floor(2 * math.log10(high)) + 1)
    shown = [0.0]
    for square in np.multiply.outer(decades, (1, 2, 5)).ravel():
        if math.sqrt(shown[-1]) + TICK_ROOM * high <= math.sqrt(square) <= high:
            shown.append(float(square))
    axes.set_xticks([math.sqrt(s) for s in shown], [f"{s:,.0f}" if s >= 1 or s == 0 else f"{s:g}" for s in shown])
