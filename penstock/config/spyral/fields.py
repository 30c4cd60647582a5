"""Where each field of Spyral's configuration went: parameters and assets of ours, or the reason why it has no place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a field: paths of parameters, an asset, or neither and why; `note` says what differs."""

    params: tuple[str, ...] = ()
    asset: str = ""
    note: str = ""


def _to(*params: str, note: str = "") -> Rule:
    return Rule(params=params, note=note)


def _dropped(why: str) -> Rule:
    return Rule(note=why)


_PULSES = {
    "baseline_window_scale": "baseline_window_scale",
    "peak_separation": "peak_separation_samples",
    "peak_prominence": "peak_prominence_adc",
    "peak_max_width": "peak_max_width_samples",
    "peak_threshold": "peak_threshold_adc",
}
_TRIPCLUST = ("r", "rdnn", "k", "n", "a", "s", "sdnn", "t", "tauto", "dmax", "dmax_dnn", "ordered", "m", "postprocess", "min_depth")
_FINDS_CROSS_TALK = "cross talk is not searched for; Spyral gave this up too"
_DEFAULT_IS_OURS = "pad plane as it is made from its geometry"
_JOINED_BY_GEOMETRY = "pieces are joined by their geometry alone, as in Spyral 1.x"

RULES: Mapping[str, Rule] = {
    "Workspace.trace_data_path": _to(note="[experiment] raw"),
    "Workspace.workspace_path": _dropped(
        "results lie in the store; penstock import-spyral takes over those of a workspace, penstock export writes one"
    ),
    "Workspace.nuclear_data_path": _dropped("nuclear masses come with penstock"),
    "Run.run_min": _to(note="--runs of penstock run"),
    "Run.run_max": _to(note="--runs of penstock run"),
    "Run.runs_to_skip": _to(note="--runs of penstock run, as !N"),
    "Run.n_processes": _to(note="[resources] workers"),
    "Run.disable_display": _dropped("bars are shown on a terminal only"),
    "Run.is_legacy": _dropped("the layout of a run file is found out by itself"),
    "Pad.pad_geometry_path": Rule(asset="pad_xy"),
    "Pad.pad_time_path": Rule(asset="pad_time"),
    "Pad.pad_scale_path": Rule(asset="pad_scale"),
    "Pad.pad_gain_path": _dropped("Spyral reads this map and never uses it; name it in [assets] if pulses are to be scaled"),
    "Pad.pad_electronics_path": _dropped("hardware numbers come with the traces"),
    "Pad.is_default": _dropped(_DEFAULT_IS_OURS),
    "Pad.is_default_legacy": _dropped("maps of before FRIBDAQ are not part of penstock; name your own in [assets]"),
    **{f"Get.{old}": _to(f"tpc.points.pads.{new}") for old, new in _PULSES.items()},
    **{f"Frib.{old}": _to(f"tpc.points.ion_chamber.{new}") for old, new in _PULSES.items()},
    "Frib.ic_delay_time_bucket": _to("tpc.points.ion_chamber.delay_time_bucket"),
    "Frib.ic_multiplicity": _to("tpc.fits.ic_multiplicity", note="a cut of the fit; points keep every pulse"),
    "Frib.correct_ic_time": _dropped("times are not moved by the ion chamber, as in Spyral 1.x"),
    "Detector.magnetic_field": _to("tpc.estimates.magnetic_field_t", "tpc.mesh.magnetic_field_t"),
    "Detector.electric_field": _to("tpc.mesh.electric_field_v_per_m"),
    "Detector.detector_length": _to("tpc.points.detector_length_mm", "tpc.clusters.detector_length_mm", "tpc.fits.detector_length_mm"),
    "Detector.beam_region_radius": _to("tpc.estimates.beam_region_radius_mm", "tpc.fits.beam_region_radius_mm"),
    "Detector.micromegas_time_bucket": _to("tpc.points.micromegas_time_bucket", "tpc.fits.micromegas_time_bucket"),
    "Detector.window_time_bucket": _to("tpc.points.window_time_bucket", "tpc.fits.window_time_bucket"),
    "Detector.get_frequency": _dropped("drift is given by the time buckets of window and micromegas"),
    "Detector.garfield_file_path": Rule(asset="garfield"),
    "Detector.do_garfield_correction": _to(note="[assets] garfield, there or not"),
    "Detector.electric_field_correction_file_name": _dropped("the correction is made from the Garfield file when it is needed"),
    "Detector.efield_correction_name": _dropped("the correction is made from the Garfield file when it is needed"),
    "Detector.tilt_angle": _dropped("tilted fields are not treated; Spyral gave this up too"),
    "Detector.gas_density": _dropped("follows from gas and pressure"),
    "Detector.gas_energy_loss_path": _dropped("energy losses come from the stopping powers of the mesh"),
    **{
        f"CrossTalk.{name}": _dropped(_FINDS_CROSS_TALK)
        for name in (
            *("cross_talk_saturation_threshold", "cross_talk_threshold", "cross_talk_neighborhood_threshold"),
            *("cross_talk_channel_range", "cross_talk_distance_range", "cross_talk_time_range", "saturation_threshold"),
            *("neighborhood_threshold", "channel_range", "distance_range", "time_range", "threshold"),
        )
    },
    "Cluster.min_cloud_size": _to("tpc.clusters.min_cloud_size"),
    "Cluster.direction_threshold": _to("tpc.clusters.direction_threshold"),
    "Cluster.outlier_scale_factor": _to("tpc.clusters.outlier_scale_factor"),
    "Cluster.hdbscan_parameters": _dropped("not given, so another method forms the clusters"),
    "Cluster.tripclust_parameters": _dropped("not given, so another method forms the clusters"),
    "Cluster.overlap_join": _dropped("not given, so clusters are not joined that way"),
    "Cluster.overlap": _dropped("not given, so clusters are not joined that way"),
    "Cluster.continuity_join": _dropped("not given, so clusters are not joined that way"),
    "Cluster.smoothing_neighbor_distance": _dropped("points are not smoothed before clustering, as in Spyral 1.x"),
    "Cluster.fractional_charge_threshold": _dropped(_JOINED_BY_GEOMETRY),
    "Cluster.n_neighbors_outlier_test": _dropped("neighbours are a fraction of the cluster: tpc.clusters.outlier_scale_factor"),
    "Cluster.n_neighbors_outiler_test": _dropped("neighbours are a fraction of the cluster: tpc.clusters.outlier_scale_factor"),
    "Cluster.z_bin_fractional_size": _dropped("outliers are found by their density, as in Spyral 1.x"),
    "Cluster.z_bin_outlier_cutoff": _dropped("outliers are found by their density, as in Spyral 1.x"),
    "Cluster.max_neighbor_distance": _dropped("clusters are formed by their density; there is no greatest distance of neighbours"),
    "Hdbscan.min_points": _to("tpc.clusters.hdbscan.min_points"),
    "Hdbscan.min_size": _to("tpc.clusters.hdbscan.min_size_lower_cutoff", note="with min_size_scale_factor = 0, as it did not scale then"),
    "Hdbscan.min_size_scale_factor": _to("tpc.clusters.hdbscan.min_size_scale_factor"),
    "Hdbscan.min_size_lower_cutoff": _to("tpc.clusters.hdbscan.min_size_lower_cutoff"),
    "Hdbscan.cluster_selection_epsilon": _to("tpc.clusters.hdbscan.cluster_selection_epsilon_mm"),
    **{f"Tripclust.{name}": _to(f"tpc.clusters.tripclust.{name}") for name in _TRIPCLUST},
    "Tripclust.link": _dropped("Spyral never passes it on; triplets are linked singly"),
    "OverlapJoin.circle_overlap_ratio": _to("tpc.clusters.overlap.circle_overlap_ratio"),
    "OverlapJoin.min_cluster_size_join": _to("tpc.clusters.overlap.min_cluster_size_join"),
    "ContinuityJoin.join_radius_fraction": _to(
        "tpc.clusters.continuity.join_radius_fraction", note="now the distance from the other piece's helix"
    ),
    "ContinuityJoin.join_z_fraction": _to("tpc.clusters.continuity.join_z_fraction"),
    "Estimate.min_total_trajectory_points": _to("tpc.estimates.min_total_trajectory_points"),
    "Estimate.smoothing_factor": _to("tpc.estimates.smoothing_factor"),
    "Estimate.max_distance_from_beam_axis": _to("tpc.estimates.beam_region_radius_mm", "tpc.fits.beam_region_radius_mm"),
    "Solver.gas_data_path": Rule(asset="gas"),
    "Solver.particle_id_filename": Rule(asset="gates"),
    "Solver.ic_min_val": _to("tpc.fits.ic_min_adc"),
    "Solver.ic_max_val": _to("tpc.fits.ic_max_adc"),
    "Solver.n_time_steps": _dropped("tracks of the mesh have 256 samples at equal steps of path"),
    "Solver.interp_file_name": _dropped("the mesh is found by what it was made of, not by a name"),
    "Solver.interp_ke_min": _to("tpc.mesh.ke_min_mev"),
    "Solver.interp_ke_max": _to("tpc.mesh.ke_max_mev"),
    "Solver.interp_ke_bins": _to("tpc.mesh.ke_bins", note="equally spaced in the logarithm"),
    "Solver.interp_polar_min": _to("tpc.mesh.polar_min_deg"),
    "Solver.interp_polar_max": _to("tpc.mesh.polar_max_deg"),
    "Solver.interp_polar_bins": _to("tpc.mesh.polar_bins"),
    "Solver.fit_vertex_rho": _to("tpc.fits.fit_vertex_xy", note="x and y are fitted instead of radius and angle"),
    "Solver.fit_vertex_phi": _to("tpc.fits.fit_vertex_xy", note="x and y are fitted instead of radius and angle"),
    "Solver.fit_azimuthal": _to("tpc.fits.fit_azimuthal"),
    "Solver.fit_method": _to("tpc.fits.method"),
}
"""By group and name of a field, see `Setting`."""
