"""`import-spyral`: configurations of Spyral of all generations, and its workspaces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from penstock.config import Resolver, load_experiment, load_registry
from penstock.config.spyral.conversion import convert
from penstock.config.spyral.scripts import read_script
from penstock.config.spyral.settings import read_json
from penstock.core.errors import ConfigError

SCRIPT = """
from pathlib import Path
import spyral
from spyral import (
    ClusterPhase, DetectorParameters, EstimateParameters, EstimationPhase, FribParameters, GetParameters,
    InterpSolverPhase, PadParameters, Pipeline, PointcloudPhase, SolverParameters, start_pipeline, DEFAULT_MAP,
)
from spyral import ClusterParameters, ContinuityJoinParameters as Joining, HdbscanParameters

here = Path("data")
run_min, run_max = 94, 96
B = 2.85
pads = PadParameters(pad_geometry_path=DEFAULT_MAP, pad_time_path=Path("maps") / "time.csv", pad_scale_path=DEFAULT_MAP)
get = GetParameters(20.0, 50.0, 20.0, 50.0, 40.0)
frib = FribParameters(
    baseline_window_scale=100.0, peak_separation=50.0, peak_prominence=20.0, peak_max_width=500.0, peak_threshold=100.0,
    ic_delay_time_bucket=1000 + 100, ic_multiplicity=1,
)
detector = DetectorParameters(
    magnetic_field=B, electric_field=45000.0, detector_length=1000.0, beam_region_radius=30.0, micromegas_time_bucket=10.0,
    window_time_bucket=window(), get_frequency=6.25, garfield_file_path=Path("garfield.txt"), do_garfield_correction=False,
)
cluster = ClusterParameters(
    min_cloud_size=50, hdbscan_parameters=HdbscanParameters(5, 0.05, 10, EPSILON), tripclust_parameters=None, overlap_join=None,
    continuity_join=Joining(join_radius_fraction=0.3, join_z_fraction=0.2), direction_threshold=0.5, outlier_scale_factor=0.05,
)
estimate = spyral.EstimateParameters(min_total_trajectory_points=30, smoothing_factor=100.0)
solver = SolverParameters(
    gas_data_path=Path("gas.json"), particle_id_filename=Path("alpha.json"), ic_min_val=900, ic_max_val=1350, n_time_steps=1000,
    interp_ke_min=0.1, interp_ke_max=70.0, interp_ke_bins=350, interp_polar_min=2.0, interp_polar_max=88.0, interp_polar_bins=166,
    fit_vertex_rho=True, fit_vertex_phi=False, fit_azimuthal=True, fit_method="lbfgsb",
)
forgotten = GetParameters(1.0, 1.0, 1.0, 1.0, 1.0)
pipe = Pipeline(
    [
        PointcloudPhase(get, frib, detector, pads),
        ClusterPhase(cluster, detector),
        EstimationPhase(estimate, detector),
        InterpSolverPhase(solver, detector),
    ],
    FLAGS,
    here / "ws",
    here / "traces",
)


def main():
    start_pipeline(pipe, run_min, run_max, 4, runs_to_skip=[95])


main()
raise SystemExit("a script is parsed, not executed")
"""
FLAT = {
    "trace_data_path": "data/traces",
    "workspace_path": "data/ws",
    "pad_gain_path": "gain.csv",
    "pad_time_path": "maps/time.csv",
    "run_min": 4,
    "run_max": 4,
    "n_processes": 3,
    "phase1": True,
    "phase2": True,
    "phase3": False,
    "phase4": False,
    "magnetic_field(T)": 2.9,
    "detector_length(mm)": 1000.0,
    "beam_region_radius(mm)": 25.0,
    "micromegas_time_bucket": 17.0,
    "window_time_bucket": 500.0,
    "trace_peak_threshold": 25.0,
    "frib_trace_peak_threshold": 60.0,
    "frib_event_ic_multiplicity": 2,
    "cross_talk_distance_range(mm)": 5.0,
    "cluster_smoothing_neighbor_distance(mm)": 10.0,
    "cluster_minimum_size": 20,
    "cluster_minimum_points": 3,
    "cluster_circle_overlap_ratio": 0.5,
    "estimate_mininum_total_trajectory_points": 40,
    "estimate_maximum_distance_from_beam_axis": 30.0,
    "solver_particle_id_file": "alpha.json",
    "solver_ic_min": 950.0,
    "flux": 3,
}
NESTED = {
    "Workspace": {"trace_data_path": "data/traces", "workspace_path": "data/ws", "pad_electronics_path": "map.csv"},
    "Run": {
        "run_min": 17,
        "run_max": 19,
        "n_processes": 1,
        "phase_pointcloud": False,
        "phase_cluster": False,
        "phase_estimate": True,
        "phase_solve": False,
        "is_legacy": False,
    },
    "Detector": {"magnetic_field(T)": 2.85, "electric_field_garfield_path": "electrons.txt", "do_garfield_correction": False},
    "GET": {"peak_max_width": 100.0},
    "FRIB": {"event_ic_multiplicity": 1, "event_correct_ic_time": True},
    "Cluster": {
        "min_cloud_size": 40,
        "minimum_points": 4,
        "minimum_size_scale_factor": 0.06,
        "minimum_size_lower_cutoff": 10,
        "cluster_selection_epsilon": 12.0,
        "circle_overlap_ratio": 0.75,
        "n_neighbors_outlier_test": 5,
    },
    "Estimate": {"smoothing_factor": 80.0},
    "Solver": {"ic_max": 1200.0, "interp_ke_min(MeV)": 0.5, "ode_n_time_steps": 1000},
}


def script(folder: Path, *, epsilon: str = "13.0", flags: str = "[False, True, True, False]") -> Path:
    path = folder / "script.py"
    path.write_text(SCRIPT.replace("EPSILON", epsilon).replace("FLAGS", flags))
    (folder / "maps").mkdir(exist_ok=True)
    (folder / "maps/time.csv").write_text("tcorr\n" + "0\n" * 10240)
    (folder / "alpha.json").write_text(json.dumps({"name": "alpha", "Z": 2, "A": 4, "vertices": [[0, 0], [1, 0], [1, 1]]}))
    return path


def config(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return path


def outcomes(path: Path, **options: Any) -> dict[str, tuple[str, str]]:
    """By field what became of it and where it went."""
    settings = read_json(path) if path.suffix == ".json" else read_script(path)
    return {o.written: (o.status, o.target) for o in convert(settings, load_registry(), **options).outcomes}


def converted(path: Path) -> Any:
    settings = read_json(path) if path.suffix == ".json" else read_script(path)
    return convert(settings, load_registry())


def test_a_script_becomes_an_experiment_that_loads_and_whose_values_are_in_force(penstock, tmp_path) -> None:
    script(tmp_path, flags="[True, True, True, True]")
    result = penstock("import-spyral", "script.py", "--out", "mine", folder=tmp_path)
    assert result.code == 0, result.err
    experiment = load_experiment(tmp_path / "mine")
    names = [s.name for s in experiment.pipeline.stages]
    assert names == ["tpc.points", "tpc.clusters", "tpc.estimates", "tpc.mesh", "tpc.fits"]
    assert experiment.raw == tmp_path / "data/traces"
    resolved = {s.name: Resolver(experiment).params(s, 94)[0] for s in experiment.pipeline.stages}
    assert resolved["tpc.points"].ion_chamber.delay_time_bucket == 1100
    assert resolved["tpc.clusters"].hdbscan.cluster_selection_epsilon_mm == 13.0
    assert (resolved["tpc.clusters"].method, resolved["tpc.clusters"].join) == ("hdbscan", "continuity")
    assert resolved["tpc.estimates"].beam_region_radius_mm == 30.0
    assert (resolved["tpc.mesh"].ke_bins, resolved["tpc.mesh"].particles) == (350, ("4He",))
    assert (resolved["tpc.fits"].method, resolved["tpc.fits"].fit_vertex_xy, resolved["tpc.fits"].ic_min_adc) == ("lbfgsb", False, 900)
    assert experiment.assets == {"pad_time": tmp_path / "mine/../maps/time.csv", "gates.0": tmp_path / "mine/../alpha.json"}


def test_each_field_is_listed_with_what_became_of_it(penstock, tmp_path) -> None:
    script(tmp_path)
    lines = penstock("import-spyral", "script.py", "--out", "mine", folder=tmp_path).out.splitlines()
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
    assert rows["GetParameters.peak_threshold"] == "40.0 renamed tpc.points.pads.peak_threshold_adc"
    assert rows["HdbscanParameters.min_points"] == "5 taken tpc.clusters.hdbscan.min_points"
    assert rows["DetectorParameters.get_frequency"].startswith("6.25 dropped drift is given by")
    assert "set tpc.points.window_time_bucket, tpc.fits.window_time_bucket by hand" in rows["DetectorParameters.window_time_bucket"]
    assert rows["SolverParameters.gas_data_path"].endswith("gas.json is not there, so the line is commented out")
    assert rows["GetParameters"] == "in line 33 dropped no phase of the pipeline takes it"
    assert lines[-1] == "mine/experiment.toml written. Next: penstock run mine/experiment.toml --runs '94-96,!95' --stages tpc.estimates"


def test_json_holds_the_same(penstock, tmp_path) -> None:
    script(tmp_path)
    found = penstock("import-spyral", "script.py", "--out", "mine", "--json", folder=tmp_path).json
    assert (found["generation"], found["runs"], found["pipeline"]) == (
        "script",
        "94-96,!95",
        ["tpc.points", "tpc.clusters", "tpc.estimates"],
    )
    assert {f["status"] for f in found["fields"]} == {"taken", "renamed", "dropped"}
    assert found["next"].endswith("--stages tpc.estimates")


def test_a_phase_that_is_off_stays_where_a_later_one_reads_it_and_else_is_left_out(tmp_path) -> None:
    found = outcomes(script(tmp_path, flags="[False, True, False, False]"))
    assert found["PointcloudPhase"] == ("renamed", "tpc.points")
    assert found["ClusterPhase"] == ("renamed", "tpc.clusters")
    assert found["EstimationPhase"] == found["InterpSolverPhase"] == ("dropped", "")
    assert converted(tmp_path / "script.py").pipeline == ("tpc.points", "tpc.clusters")


def test_where_every_phase_is_off_all_stages_stay_and_none_is_asked_for(tmp_path) -> None:
    found = converted(script(tmp_path, flags="[False, False, False, False]"))
    assert (len(found.pipeline), found.wanted) == (5, "")


def test_parameters_are_found_under_another_name_of_their_class(tmp_path) -> None:
    found = outcomes(script(tmp_path))
    assert found["ContinuityJoinParameters.join_radius_fraction"] == ("taken", "tpc.clusters.continuity.join_radius_fraction")


@pytest.mark.parametrize("epsilon", ["0.3", "0.99", "-1"])
def test_an_epsilon_of_the_old_scale_is_refused_with_what_to_do(penstock, tmp_path, epsilon) -> None:
    script(tmp_path, epsilon=epsilon)
    result = penstock("import-spyral", "script.py", "--out", "mine", folder=tmp_path)
    assert result.code == 2
    assert f"script.py, line 24: HdbscanParameters.cluster_selection_epsilon = {epsilon}" in result.err
    assert "Write a distance in mm into the configuration, or give one with --epsilon-mm 10" in result.err
    assert not (tmp_path / "mine").exists()


def test_an_epsilon_in_mm_may_be_given_instead(penstock, tmp_path) -> None:
    script(tmp_path, epsilon="0.3")
    assert penstock("import-spyral", "script.py", "--out", "mine", "--epsilon-mm", 11, folder=tmp_path).code == 0
    assert "cluster_selection_epsilon_mm = 11.0" in (tmp_path / "mine/experiment.toml").read_text()


def test_no_merging_means_the_same_on_every_scale(tmp_path) -> None:
    assert outcomes(script(tmp_path, epsilon="0.0"))["HdbscanParameters.cluster_selection_epsilon"][0] == "renamed"


def test_the_flat_generation_is_led_back_to_the_names_of_today(tmp_path) -> None:
    found = outcomes(config(tmp_path, FLAT))
    assert found["frib_trace_peak_threshold"] == ("renamed", "tpc.points.ion_chamber.peak_threshold_adc")
    assert found["estimate_mininum_total_trajectory_points"] == ("renamed", "tpc.estimates.min_total_trajectory_points")
    assert found["estimate_maximum_distance_from_beam_axis"][1].startswith("tpc.estimates.beam_region_radius_mm")
    assert found["beam_region_radius(mm)"] == ("dropped", "")
    assert found["micromegas_time_bucket"][0] == "taken"
    assert found["cross_talk_distance_range(mm)"] == found["cluster_smoothing_neighbor_distance(mm)"] == ("dropped", "")
    assert found["flux"] == ("unknown", "")
    assert set(FLAT) <= {*found, "phase1", "phase2", "phase3", "phase4"}


def test_a_smallest_cluster_of_the_flat_generation_does_not_scale_with_the_event(penstock, tmp_path) -> None:
    config(tmp_path, FLAT)
    assert penstock("import-spyral", "config.json", "--out", "mine", folder=tmp_path).code == 0
    experiment = load_experiment(tmp_path / "mine")
    params = Resolver(experiment).params(experiment.pipeline["tpc.clusters"], 4)[0]
    assert (params.hdbscan.min_size_lower_cutoff, params.hdbscan.min_size_scale_factor, params.join) == (20, 0.0, "overlap")
    assert [s.name for s in experiment.pipeline.stages] == ["tpc.points", "tpc.clusters"]
    assert experiment.resources.workers == 3


def test_the_nested_generation_is_led_back_to_the_names_of_today(tmp_path) -> None:
    found = outcomes(config(tmp_path, NESTED))
    assert found["Cluster.minimum_points"] == ("renamed", "tpc.clusters.hdbscan.min_points")
    assert found["Cluster.cluster_selection_epsilon"] == ("renamed", "tpc.clusters.hdbscan.cluster_selection_epsilon_mm")
    assert found["FRIB.event_ic_multiplicity"] == ("renamed", "tpc.fits.ic_multiplicity")
    assert found["Solver.interp_ke_min(MeV)"] == ("renamed", "tpc.mesh.ke_min_mev")
    assert found["Detector.electric_field_garfield_path"] == found["Solver.ode_n_time_steps"] == ("dropped", "")
    assert found["EstimationPhase"] == ("renamed", "tpc.estimates")
    assert "unknown" not in {status for status, _ in found.values()}


def test_a_gate_of_the_json_generations_lies_in_the_folder_gates_of_the_workspace(tmp_path) -> None:
    found = converted(config(tmp_path, FLAT))
    assert found.absent["gates"] == [tmp_path / "data/ws/gates/alpha.json"]


def test_five_phases_of_the_first_generation_are_listed_as_unknown(tmp_path) -> None:
    path = config(tmp_path, {**FLAT, "phase5": False})
    assert outcomes(path)["phase1"] == ("unknown", "")
    assert converted(path).pipeline == ()


def test_a_phase_of_ones_own_and_its_parameters_are_listed_as_unknown(tmp_path) -> None:
    path = script(tmp_path)
    path.write_text(path.read_text().replace("InterpSolverPhase(solver, detector)", "MyPhase(MyParameters(a=1.0), detector)"))
    found = outcomes(path)
    assert found["MyPhase"] == found["MyParameters.a"] == ("unknown", "")


def test_two_solvers_share_all_but_their_gates(tmp_path) -> None:
    path = script(tmp_path, flags="[True, True, True, True, True]")
    other = 'SolverParameters(particle_id_filename=Path("proton.json"), ic_min_val=950)'
    path.write_text(
        path.read_text().replace(
            "InterpSolverPhase(solver, detector)", f"InterpSolverPhase(solver, detector), InterpSolverPhase({other}, detector)"
        )
    )
    (tmp_path / "proton.json").write_text(json.dumps({"name": "p", "Z": 1, "A": 1, "vertices": []}))
    found = converted(path)
    assert [p.name for p in found.assets["gates"]] == ["alpha.json", "proton.json"]
    assert found.params["tpc.mesh.particles"][0] == ["4He", "1H"]
    assert [o.why for o in found.outcomes if o.value == 950] == ["tpc.fits.ic_min_adc is 900 already, from another object of the script"]


def test_a_value_out_of_bounds_is_refused_by_the_name_in_spyral(penstock, tmp_path) -> None:
    config(tmp_path, {**NESTED, "GET": {"peak_prominence": -1}})
    result = penstock("import-spyral", "config.json", "--out", "mine", folder=tmp_path)
    assert result.code == 2
    assert "config.json: GET.peak_prominence: Input should be greater than 0, found -1. Correct it in the configuration." in result.err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "{", r"config\.json: not JSON: .* in line 1, column 2"),
        ("config.json", "[]", r"config\.json: expected a JSON object with the fields of Spyral, found list"),
        ("config.json", '{"colour": {"red": 1}}', r"config\.json: none of its fields \(colour\) is one of Spyral"),
        ("script.py", "x = (", r"script\.py: not a Python script: .* in line 1"),
        ("script.py", "x = 1", r"script\.py: it makes none of Spyral's parameters \(PadParameters, "),
    ],
    ids=["cut short", "a list", "something else", "not Python", "no parameters"],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, name, text, message) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        outcomes(tmp_path / name)


def test_another_kind_of_file_is_refused(penstock, tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    result = penstock("import-spyral", "notes.txt", "--out", "mine", folder=tmp_path)
    assert result.code == 2
    assert "notes.txt: expected config.json, a Python script or the folder of a workspace." in result.err


def test_an_experiment_that_is_there_is_not_written_over(penstock, tmp_path) -> None:
    script(tmp_path)
    penstock("import-spyral", "script.py", "--out", "mine", folder=tmp_path)
    result = penstock("import-spyral", "script.py", "--out", "mine", folder=tmp_path)
    assert result.code == 2
    assert "mine/experiment.toml is there already. Choose another --out, or write over it with --force." in result.err
    assert penstock("import-spyral", "script.py", "--out", "mine", "--force", folder=tmp_path).code == 0


def test_a_workspace_becomes_artifacts_that_say_where_they_come_from(penstock, processed) -> None:
    penstock("export", "--runs", "1-2", "--layout", "spyral", "--out", "ws", folder=processed)
    result = penstock("import-spyral", "ws", "--out", "old", "--json", folder=processed)
    assert (result.code, result.json["computed"], result.json["failed"]) == (0, 6, 0)
    listed = penstock("store", "ls", "--store", "old/store", "--json", folder=processed).json
    assert {a["stage"] for a in listed} == {"spyral.points", "spyral.clusters", "spyral.estimates"}
    shown = penstock("store", "show", listed[0]["key"], "--store", "old/store", folder=processed).json
    assert shown["schema"] == "tpc.points/1"
    assert shown["recipe"]["params"] == {}
    assert [f[0] for f in shown["recipe"]["subject"]["files"]] == ["Cluster", "Estimation", "Pointcloud"]


def test_stages_of_ours_go_on_from_a_workspace(penstock, processed) -> None:
    penstock("export", "--runs", 1, "--layout", "spyral", "--out", "ws", folder=processed)
    penstock("import-spyral", "ws", "--out", "old", folder=processed)
    file = processed / "old/experiment.toml"
    text = file.read_text()
    line = next(line for line in text.splitlines() if line.startswith("pipeline = "))
    file.write_text(text.replace(line, 'pipeline = ["spyral.clusters", "tpc.estimates"]'))
    report = penstock("run", "old", "--json", folder=processed).json
    assert {s["stage"]: s["state"] for s in report["runs"][0]["stages"]} == {"spyral.clusters": "current", "tpc.estimates": "computed"}
    rows = {a["stage"]: a["key"] for a in penstock("store", "ls", "--store", "old/store", "--json", folder=processed).json}
    ours = penstock("store", "show", rows["tpc.estimates"], "--store", "old/store", folder=processed).json
    assert ours["inputs"] == {"clusters": rows["spyral.clusters"]}


def test_a_folder_that_is_no_workspace_is_refused(penstock, tmp_path) -> None:
    (tmp_path / "ws").mkdir()
    result = penstock("import-spyral", "ws", "--out", "old", folder=tmp_path)
    assert result.code == 2
    assert "ws: no files of runs in Pointcloud, Cluster, Estimation, InterpSolver. Name the workspace of Spyral 1.x" in result.err


def test_a_run_whose_file_is_damaged_fails_alone(penstock, processed) -> None:
    penstock("export", "--runs", "1-2", "--layout", "spyral", "--out", "ws", folder=processed)
    shutil.copy(processed / "experiment.toml", processed / "ws/Cluster/run_0002.h5")
    result = penstock("import-spyral", "ws", "--out", "old", "--json", folder=processed)
    assert (result.code, result.json["computed"], result.json["failed"]) == (1, 3, 3)
    assert "run_0002.h5: not a whole HDF5 file" in json.dumps(result.json)
