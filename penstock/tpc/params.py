"""Parameters of the TPC stages. Light: planning, the CLI and the UI import it.

The defaults are those that the AT-TPC group documents for Spyral, so that a group that changes over starts where it is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from penstock.core.params import Params

__all__ = [
    "ClusterParams",
    "ContinuityParams",
    "EstimateParams",
    "FitParams",
    "HdbscanParams",
    "KinematicsParams",
    "MergeParams",
    "MeshParams",
    "OverlapParams",
    "PointErrorParams",
    "PointParams",
    "PulseParams",
    "ReadoutParams",
    "ScalerParams",
    "TripclustParams",
]


class MergeParams(Params):
    """What is done with the channels of the GET electronics before anything else."""

    fixed_pattern_noise: Literal["keep", "mean", "median"] = "keep"
    """Subtract what the noise channels of an AGET chip share, bucket by bucket: their mean or median, each less its own mean."""

    unmapped: Literal["drop", "keep"] = "drop"
    """Channels that the map of the electronics does not know, noise channels among them: drop them, or keep them as pad -1."""


class ReadoutParams(Params):
    """How closely the files of the data acquisition are looked at."""

    decode: bool = True
    """Decode all events, which tells samples without a place and damaged items of the crate; else only headers are read."""


class PulseParams(Params):
    """How pulses are told from the baseline of a trace."""

    baseline_window_scale: PositiveFloat = 20.0
    """Width of the low-pass window of the baseline: trace length over this many samples."""

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


class ScalerParams(Params):
    """Scalers are read as they are: there is nothing to choose."""


class MeshParams(Params):
    """Tracks of each particle through gas and fields, over a grid of kinetic energy and polar angle."""

    particles: tuple[str, ...] = Field(default=("1H",), min_length=1, max_length=8)
    """Nuclei whose tracks are computed, such as 1H, 2H, 4He."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, or volume fractions of several: H2, iC4H10, He:0.9 CO2:0.1. A gas table in [assets] wins."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    magnetic_field_t: PositiveFloat = 2.85
    """Magnetic field along -z."""

    electric_field_v_per_m: NonNegativeFloat = 45000.0
    """Electric field along -z."""

    ke_min_mev: PositiveFloat = 0.3
    """Least kinetic energy of the grid."""

    ke_max_mev: PositiveFloat = 30.0
    """Greatest kinetic energy of the grid."""

    ke_bins: int = Field(default=185, ge=4, le=5000)
    """Energies of the grid, equally spaced in the logarithm."""

    polar_min_deg: float = Field(default=2.0, ge=0, le=180)
    """Least polar angle of the grid."""

    polar_max_deg: float = Field(default=178.0, ge=0, le=180)
    """Greatest polar angle of the grid."""

    polar_bins: int = Field(default=89, ge=4, le=5000)
    """Polar angles of the grid, equally spaced."""

    path_max_mm: float = Field(default=6000.0, gt=0)
    """A track is followed no longer than this; those with a range beyond 0.6 of it are cut."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> MeshParams:
        for low, high in (("ke_min_mev", "ke_max_mev"), ("polar_min_deg", "polar_max_deg")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)!r}) must be less than {high} ({getattr(self, high)!r})")
        return self


class PointErrorParams(Params):
    """How well the points of a track are known, and what the track itself does at random."""

    transverse_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in x and in y after 1 m of drift."""

    longitudinal_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in z after 1 m of drift."""

    time_error_buckets: PositiveFloat = 0.5
    """Error of the time of a pulse of ten electrons, in GET time buckets; it falls as their number rises."""

    shaping_buckets: NonNegativeFloat = 6.25
    """Shaping time of the electronics in GET time buckets: the wider a pulse, the later its peak. 0 to correct nothing."""

    electron_energy_ev: PositiveFloat = 36.5
    """Energy that sets one electron free in the gas."""

    scattering: bool = True
    """Let the track scatter on the gas (Highland); turn it off for simulated tracks that do not."""

    straggling: bool = True
    """Let the energy loss fluctuate (Bohr); turn it off for simulated tracks that do not."""


class FitParams(Params):
    """How the track of a particle in the mesh is fitted to the points of a cluster."""

    method: Literal["lbfgsb", "leastsq"] = "leastsq"
    """leastsq: points far from the track do not count. lbfgsb: a robust loss, by which they pull less and less."""

    ic_min_adc: float = 900.0
    """Ion-chamber pulses must be higher; less than -1 for events without ion chamber ..."""

    ic_max_adc: float = 1350.0
    """... and lower than this."""

    ic_multiplicity: PositiveInt = 1
    """Greatest number of ion-chamber pulses after the delay."""

    fit_vertex_xy: bool = True
    """Fit the place of the vertex in the pad plane; else it stays at that of the estimate."""

    fit_azimuthal: bool = True
    """Fit the azimuthal angle; else it stays at that of the estimate."""

    beam_region_radius_mm: PositiveFloat = 25.0
    """Greatest distance of the vertex from the axis."""

    beam_spread_mm: PositiveFloat = 2.0
    """Spread of the beam in x and in y about the axis; it alone tells where along the track the vertex lies."""

    beam_pad_radius_mm: NonNegativeFloat = 20.0
    """Pads nearer to the axis give no point, as in tpc.points."""

    detector_length_mm: PositiveFloat = 1000.0
    """Distance of the window from the micromegas."""

    micromegas_time_bucket: float = 10.0
    """Time of charge that is set free at the micromegas, in GET time buckets."""

    window_time_bucket: float = 560.0
    """Time of charge that drifts all the way from the window, in GET time buckets."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, as in tpc.mesh: tracks scatter on it. A gas table in [assets] wins."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    max_iterations: PositiveInt = 50
    """A fit that needs more is flagged as not converged."""

    errors: PointErrorParams = PointErrorParams()
    """Errors of the points."""

    @model_validator(mode="after")
    def _drift_takes_time(self) -> FitParams:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket!r}) must be later than micromegas_time_bucket ({self.micromegas_time_bucket!r})"
            )
        return self


class KinematicsParams(Params):
    """The reaction whose residual nucleus is reconstructed from the fitted ejectile."""

    reaction: str = "16O(d,p)17O"
    """A(b,c)D; the residual nucleus D may be left out. In inverse kinematics the first nucleus is the beam."""

    beam: Literal["first", "second"] = "first"
    """Which nucleus of A(b,c)D moves: the first (inverse kinematics) or the second."""

    beam_energy_mev: PositiveFloat = 100.0
    """Kinetic energy of the beam before the window."""

    window: str = "C10H8O4"
    """Formula of the entrance window; empty for none."""

    window_thickness_ug_per_cm2: NonNegativeFloat = 0.0
    """Areal density of the entrance window."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, as in tpc.mesh."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    electric_field_v_per_m: NonNegativeFloat = 45000.0
    """Electric field along -z, which slows the beam; 0 to leave it out."""
