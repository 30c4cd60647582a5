"""The parameter classes of Spyral's scripts, of 1.x and of the generation before it.

Fields that 1.x gave up come last and may be left out; what becomes of each is said by ``penstock import-spyral``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DEFAULT_MAP",
    "ClusterParameters",
    "ContinuityJoinParameters",
    "DetectorParameters",
    "EstimateParameters",
    "FribParameters",
    "GetParameters",
    "HdbscanParameters",
    "OverlapJoinParameters",
    "PadParameters",
    "SolverParameters",
    "TripclustParameters",
    "calculate_window_time",
]

DEFAULT_MAP = Path("DefaultPath")
"""Stands for the map of the pads that the program brings along."""


@dataclass
class PadParameters:
    """Maps of the pads."""

    pad_geometry_path: Path
    pad_time_path: Path
    pad_scale_path: Path
    pad_gain_path: Path | None = None
    pad_electronics_path: Path | None = None


@dataclass
class GetParameters:
    """Pulses on the pads: samples and ADC."""

    baseline_window_scale: float
    peak_separation: float
    peak_prominence: float
    peak_max_width: float
    peak_threshold: float


@dataclass
class FribParameters:
    """Pulses of the auxiliary detectors: samples and ADC."""

    baseline_window_scale: float
    peak_separation: float
    peak_prominence: float
    peak_max_width: float
    peak_threshold: float
    ic_delay_time_bucket: int
    ic_multiplicity: int


@dataclass
class DetectorParameters:
    """Fields (T, V/m), lengths (mm), time buckets, clock (MHz)."""

    magnetic_field: float
    electric_field: float
    detector_length: float
    beam_region_radius: float
    micromegas_time_bucket: float
    window_time_bucket: float
    get_frequency: float
    garfield_file_path: Path
    do_garfield_correction: bool


@dataclass
class HdbscanParameters:
    """Hierarchical density clustering."""

    min_points: int
    min_size_scale_factor: float
    min_size_lower_cutoff: int
    cluster_selection_epsilon: float


@dataclass
class TripclustParameters:
    """Triplet clustering."""

    r: float
    rdnn: bool
    k: int
    n: int
    a: float
    s: float
    sdnn: bool
    t: float
    tauto: bool
    dmax: float
    dmax_dnn: bool
    ordered: bool
    link: int
    m: int
    postprocess: bool
    min_depth: int


@dataclass
class OverlapJoinParameters:
    """Joining clusters whose circles overlap."""

    circle_overlap_ratio: float
    min_cluster_size_join: int


@dataclass
class ContinuityJoinParameters:
    """Joining clusters that continue each other."""

    join_radius_fraction: float
    join_z_fraction: float


@dataclass
class ClusterParameters:
    """How points become clusters. The last six fields are those of scripts before 1.x, which had no classes inside."""

    min_cloud_size: int
    hdbscan_parameters: HdbscanParameters | None = None
    tripclust_parameters: TripclustParameters | None = None
    overlap_join: OverlapJoinParameters | None = None
    continuity_join: ContinuityJoinParameters | None = None
    direction_threshold: float | None = None
    outlier_scale_factor: float | None = None
    min_points: int | None = None
    min_size_scale_factor: float | None = None
    min_size_lower_cutoff: int | None = None
    cluster_selection_epsilon: float | None = None
    min_cluster_size_join: int | None = None
    circle_overlap_ratio: float | None = None


@dataclass
class EstimateParameters:
    """What becomes an estimate."""

    min_total_trajectory_points: int
    smoothing_factor: float


@dataclass
class SolverParameters:
    """Gas, gate, mesh and fit: ADC, MeV, degrees."""

    gas_data_path: Path
    particle_id_filename: Path
    ic_min_val: float
    ic_max_val: float
    n_time_steps: int
    interp_ke_min: float
    interp_ke_max: float
    interp_ke_bins: int
    interp_polar_min: float
    interp_polar_max: float
    interp_polar_bins: int
    fit_vertex_rho: bool
    fit_vertex_phi: bool
    fit_azimuthal: bool
    fit_method: str


def calculate_window_time(micromegas_time_bucket: float, drift_velocity: float, detector_length: float, get_frequency: float) -> float:
    """Time bucket of the window for a drift velocity in mm/µs, a length in mm and a clock in MHz."""
    return detector_length / drift_velocity * get_frequency + micromegas_time_bucket
