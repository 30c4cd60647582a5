"""From traces to the first physics of tracks: points, clusters, estimates.

The defaults are those that the AT-TPC group documents for Spyral, so that a group that changes over starts where it is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from penstock.core.params import Params

__all__ = [
    "BaselineParams",
    "ClusterParams",
    "ContinuityParams",
    "EstimateParams",
    "HdbscanParams",
    "IonChamberParams",
    "OverlapParams",
    "PointParams",
    "PulseParams",
    "TripclustParams",
]


class BaselineParams(Params):
    """How the baseline of a trace is found."""

    baseline_window_scale: PositiveFloat = 20.0
    """Width of the low-pass window of the baseline: trace length over this many samples."""


class PulseParams(BaselineParams):
    """How pulses are told from the baseline of a trace."""

    peak_separation_samples: float = Field(default=50.0, ge=1)
    """Least distance of two pulses of one trace."""

    peak_prominence_adc: PositiveFloat = 20.0
    """Least prominence of a pulse."""

    peak_max_width_samples: PositiveFloat = 50.0
    """Greatest width of a pulse near its foot."""

    peak_threshold_adc: NonNegativeFloat = 40.0
    """Only higher pulses count."""


class IonChamberParams(PulseParams):
    """How pulses of the auxiliary detectors (SIS3300) are found."""

    baseline_window_scale: PositiveFloat = 100.0
    """Width of the low-pass window of the baseline: trace length over this many samples."""

    peak_max_width_samples: PositiveFloat = 500.0
    """Greatest width of a pulse near its foot."""

    peak_threshold_adc: NonNegativeFloat = 100.0
    """Only higher pulses count."""

    delay_time_bucket: NonNegativeInt = 1100
    """Earlier ion-chamber pulses belong to earlier beam particles, in SIS3300 samples."""


class PointParams(Params):
    """How traces become points in space."""

    pads: PulseParams = PulseParams()
    """Pulses on the pads."""

    ion_chamber: IonChamberParams = IonChamberParams()
    """Pulses in the ion chamber."""

    max_pulses: PositiveInt = 5
    """A trace with more pulses is noise and gives no point."""

    beam_pad_radius_mm: NonNegativeFloat = 20.0
    """Pads with their centre nearer to the axis see the beam and give no point."""

    detector_length_mm: PositiveFloat = 1000.0
    """Distance of the window from the micromegas."""

    micromegas_time_bucket: float = 10.0
    """Time of charge that is set free at the micromegas, in GET time buckets."""

    window_time_bucket: float = 560.0
    """Time of charge that drifts all the way from the window, in GET time buckets; may exceed 512."""

    exclude_downscale: bool = True
    """Leave out (and count) events that only the down-scaled ion-chamber trigger took."""

    @model_validator(mode="after")
    def _drift_takes_time(self) -> PointParams:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket!r}) must be later than micromegas_time_bucket ({self.micromegas_time_bucket!r})"
            )
        return self


class HdbscanParams(Params):
    """Hierarchical density clustering (Campello et al. 2013), excess-of-mass selection."""

    min_points: PositiveInt = 3
    """Fewest neighbours that make a point a core point."""

    min_size_scale_factor: float = Field(default=0.03, ge=0, le=1)
    """Smallest cluster as a fraction of the points of the event ..."""

    min_size_lower_cutoff: int = Field(default=10, ge=2)
    """... but at least this many points."""

    cluster_selection_epsilon_mm: NonNegativeFloat = 10.0
    """Clusters nearer than this are not split, in mm of the scaled space."""


class TripclustParams(Params):
    """Triplet clustering (Dalitz et al., Comput. Phys. Commun. 235 (2019) 159)."""

    r: NonNegativeFloat = 6.0
    """Radius of the neighbour smoothing, in units of dnn where `rdnn` is set, else mm."""
    rdnn: bool = True
    """Take `r` in units of the characteristic distance dnn."""
    k: PositiveInt = 12
    """Neighbours of a triplet's mid point that are tried."""
    n: PositiveInt = 3
    """Best triplets kept a mid point."""
    a: float = Field(default=0.03, ge=0, le=1)
    """Greatest 1 - cos of the angle between the two branches of a triplet."""
    s: PositiveFloat = 0.3
    """Scale of the triplet metric, in units of dnn where `sdnn` is set, else mm."""
    sdnn: bool = True
    """Take `s` in units of dnn."""
    t: NonNegativeFloat = 0.0
    """Distance at which the dendrogram is cut where `tauto` is off."""
    tauto: bool = True
    """Find the cut from the jump of the merging distances."""
    dmax: NonNegativeFloat = 0.0
    """Greatest gap within a triplet, in mm or dnn; 0 for none."""
    dmax_dnn: bool = False
    """Take `dmax` in units of dnn."""
    ordered: bool = True
    """Points come in time order."""
    m: PositiveInt = 50
    """Fewest triplets of a cluster."""
    postprocess: bool = False
    """Split clusters that cross each other."""
    min_depth: PositiveInt = 25
    """Least depth of a branch in that splitting."""


class ContinuityParams(Params):
    """Join pieces of one spiral that continue each other."""

    join_radius_fraction: PositiveFloat = 0.4
    """Greatest distance of the points of one piece from the helix of the other, over its radius (median)."""

    join_z_fraction: PositiveFloat = 0.2
    """Greatest gap in z over the joint length in z."""


class OverlapParams(Params):
    """Join clusters whose circles in the pad plane overlap."""

    circle_overlap_ratio: float = Field(default=0.25, ge=0, le=1)
    """Least common area over the smaller circle."""

    min_cluster_size_join: PositiveInt = 15
    """Smaller clusters are left alone."""


class ClusterParams(Params):
    """How points are joined into tracks."""

    method: Literal["hdbscan", "tripclust"] = "hdbscan"
    """Algorithm that forms the clusters."""

    join: Literal["continuity", "overlap", "none"] = "continuity"
    """How pieces of one track are joined afterwards."""

    min_cloud_size: PositiveInt = 50
    """An event with fewer points has no clusters."""

    detector_length_mm: PositiveFloat = 1000.0
    """Distance of the window from the micromegas; scales z against the pad plane."""

    hdbscan: HdbscanParams = HdbscanParams()
    """Settings of ``method = "hdbscan"``."""

    tripclust: TripclustParams = TripclustParams()
    """Settings of ``method = "tripclust"``."""

    continuity: ContinuityParams = ContinuityParams()
    """Settings of ``join = "continuity"``."""

    overlap: OverlapParams = OverlapParams()
    """Settings of ``join = "overlap"``."""

    outlier_scale_factor: float = Field(default=0.1, ge=0, le=1)
    """Neighbours of the local outlier factor, over the points of the cluster; 0 keeps every point."""

    direction_threshold: float = Field(default=0.5, ge=0, le=1)
    """Least fraction of all turning that goes one way before a cluster gets a direction."""


class EstimateParams(Params):
    """How the first physics of a track is read off its points."""

    min_total_trajectory_points: int = Field(default=30, ge=5)
    """Smaller clusters give no estimate."""

    smoothing_factor: NonNegativeFloat = 100.0
    """Weight of the curvature in the smoothing splines."""

    magnetic_field_t: PositiveFloat = 2.85
    """Magnetic field along the axis."""

    beam_region_radius_mm: PositiveFloat = 25.0
    """Tracks that start further from the axis are rejected."""

    small_pad_radius_mm: PositiveFloat = 152.0
    """Charge for dE/dx is summed up to this distance from the axis, where the small pads end."""
