"""Bad input: a clear message and a recorded outcome for each, and the other runs go on."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation


def error_of(result, stage: str = "tpc.points") -> str:
    (step,) = [s for run in result.json["runs"] for s in run["stages"] if s["stage"] == stage and s["state"] == "failed"]
    return step["error"]


def refused(result, code: int, *words: str) -> None:
    """The command ended with `code` and one message, which holds all `words`; no traceback."""
    assert result.code == code
    assert result.out == ""
    assert result.err.count("Error: ") == 1
    assert "Traceback" not in result.err
    assert [w for w in words if w not in result.err] == []


def test_a_missing_run_fails_alone(penstock, fresh) -> None:
    result = penstock("run", "--runs", "1,9", "--json", folder=fresh)
    assert result.code == 1
    assert (result.json["computed"], result.json["failed"]) == (3, 1)
    assert error_of(result).startswith("run 9: no file run_0009.h5 in ")
    assert error_of(result).endswith("Check the run range or [experiment] raw in experiment.toml.")
    assert [s["state"] for s in result.json["runs"][1]["stages"]] == ["failed", "skipped", "skipped"]


def test_a_range_without_any_run_is_wrong_usage(penstock, fresh) -> None:
    refused(penstock("run", "--runs", "!1", folder=fresh), 2, "run range '!1' selects no run", "there are 3 runs")


def test_an_unknown_parameter_is_answered_with_the_nearest_name(penstock, fresh) -> None:
    result = penstock("plan", "--set", "tpc.clusters.hdbscan.min_pionts=5", folder=fresh)
    refused(result, 2, "--set: parameter 'tpc.clusters.hdbscan.min_pionts' is not known. Did you mean 'tpc.clusters.hdbscan.min_points'?")


def test_a_value_out_of_bounds_names_stage_parameter_bound_and_value(penstock, fresh) -> None:
    result = penstock("run", "--set", "tpc.clusters.hdbscan.min_points=0", folder=fresh)
    refused(result, 2, "--set: stage 'tpc.clusters': 'hdbscan.min_points': Input should be greater than 0, found 0.")


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_value_that_is_not_finite_is_refused(penstock, fresh, value) -> None:
    result = penstock("run", "--set", f"tpc.points.detector_length_mm={value}", folder=fresh)
    refused(result, 2, "stage 'tpc.points': 'detector_length_mm'")


def test_a_setting_without_a_value_is_wrong_usage(penstock, fresh) -> None:
    result = penstock("run", "--set", "tpc.points.max_pulses", folder=fresh)
    refused(result, 2, "--set 'tpc.points.max_pulses' is not of the form stage.parameter=value.")


def test_an_unknown_stage_is_answered_with_the_nearest_name(penstock, fresh) -> None:
    refused(
        penstock("run", "--stages", "tpc.cluster", folder=fresh),
        2,
        "stage 'tpc.cluster' is not in the pipeline",
        "Did you mean 'tpc.clusters'?",
    )


def test_an_unknown_instrument_is_answered_with_the_nearest_name(penstock, raw, tmp_path) -> None:
    result = penstock("init", "new", "--instrument", "atpc", "--raw", raw, folder=tmp_path)
    refused(result, 2, "instrument 'atpc' is not known (known: attpc, attpc-get, captures). Did you mean 'attpc'?")
    assert not (tmp_path / "new").exists()


def test_an_unknown_preset_names_those_that_there_are(penstock, fresh) -> None:
    refused(penstock("plan", "--preset", "defalt", folder=fresh), 2, "instrument 'attpc' has no preset 'defalt'", "Did you mean 'default'?")


def test_an_unknown_executor_names_those_that_there_are(penstock, fresh) -> None:
    result = penstock("run", "--executor", "slurm", "--json", folder=fresh)
    refused(
        result,
        2,
        "executor 'slurm' is not known. Use inline, local, tcp://host:port or tls://host:port of a Dask scheduler, or slurm:PROFILE.toml.",
    )


def test_a_broken_experiment_toml_is_named_with_the_place(penstock, tmp_path) -> None:
    (tmp_path / "experiment.toml").write_text("[experiment\n")
    refused(penstock("plan", folder=tmp_path), 2, "experiment.toml: not TOML:", "line 1")


def test_a_misspelt_field_of_experiment_toml_is_answered_with_the_nearest_name(penstock, fresh) -> None:
    path = fresh / "experiment.toml"
    path.write_text(path.read_text().replace("raw =", "rwa ="))
    refused(penstock("plan", folder=fresh), 2, "'experiment.raw' is missing.", "'experiment.rwa' is not known. Did you mean 'raw'?")


def test_without_an_experiment_toml_the_message_says_how_to_make_one(penstock, tmp_path) -> None:
    refused(penstock("plan", folder=tmp_path), 2, "no experiment.toml here or above.", "penstock init DIR --instrument attpc --raw RAWDIR")


@pytest.mark.parametrize("text", ["3-1", "1..3", "one"])
def test_a_run_range_that_is_not_understood_is_wrong_usage(penstock, fresh, text) -> None:
    refused(penstock("plan", "--runs", text, folder=fresh), 2, f"run range {text!r}")


def test_an_event_selection_that_is_not_understood_is_wrong_usage(penstock, fresh) -> None:
    refused(
        penstock("plan", "--events", "some", folder=fresh),
        2,
        "event selection 'some' is not understood. Write 0:500, first:100 or every:10.",
    )


def test_a_truncated_file_fails_its_run_alone_and_the_failure_is_kept(penstock, own_raw) -> None:
    whole = (own_raw / "raw/run_0001.h5").read_bytes()
    (own_raw / "raw/run_0002.h5").write_bytes(whole[: len(whole) // 2])
    result = penstock("run", "--json", folder=own_raw)
    assert result.code == 1
    assert (result.json["computed"], result.json["failed"]) == (3, 1)
    assert "run_0002.h5' is not a readable HDF5 file" in error_of(result)
    assert error_of(result).endswith("Copy or merge the run again.")
    rows = penstock("plan", "--runs", "2", "--json", folder=own_raw).json
    assert (rows[0]["state"], rows[0]["why"]) == ("failed", error_of(result))


def test_a_failure_of_content_is_told_again_without_computing_until_asked_to(penstock, own_raw) -> None:
    (own_raw / "raw/run_0001.h5").write_bytes(b"no HDF5 at all")
    first = penstock("run", "--json", folder=own_raw)
    again = penstock("run", "--json", folder=own_raw)
    retried = penstock("run", "--retry-failed", "--json", folder=own_raw)
    assert (first.code, again.code, retried.code) == (1, 1, 1)
    assert error_of(again) == error_of(first)
    assert len(list((own_raw / "store/attempts").glob("*.json"))) == 2


def test_an_empty_file_fails_its_run(penstock, own_raw) -> None:
    (own_raw / "raw/run_0001.h5").write_bytes(b"")
    result = penstock("run", "--json", folder=own_raw)
    assert result.code == 1
    assert error_of(result).endswith("run_0001.h5' is empty. Copy or merge the run again.")


def test_an_unknown_version_fails_its_run_and_names_those_that_are_known(penstock, own_raw) -> None:
    with h5py.File(own_raw / "raw/run_0001.h5", "r+") as file:
        file["events"].attrs["version"] = "libattpc_merger:9.0"
    result = penstock("run", "--json", folder=own_raw)
    assert result.code == 1
    assert "has the unknown version 'libattpc_merger:9.0', expected one of libattpc_merger:1.0" in error_of(result)


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda traces: traces[:, :400], "GET matrix has the shape"),
        (lambda traces: np.where(np.arange(517) == 100, np.nan, traces.astype("f4")), "GET matrix holds values that are not finite"),
    ],
    ids=["wrong trace length", "samples that are not finite"],
)
def test_an_event_that_cannot_be_used_is_rejected_and_counted_with_its_reason(penstock, own_raw, make, reason) -> None:
    with h5py.File(own_raw / "raw/run_0001.h5", "r+") as file:
        event = file["events/event_2"]
        traces = event["get_traces"][:]
        del event["get_traces"]
        event["get_traces"] = make(traces)
    result = penstock("run", "--stages", "tpc.points", "--json", folder=own_raw)
    assert result.code == 0
    (points,) = result.json["runs"][0]["stages"]
    assert (points["events_in"], points["events_out"]) == (6, 5)
    assert f"1 events without a result: {reason}" in penstock("explain", points["key"][:10], folder=own_raw).out


def test_repeated_events_of_a_harmonised_file_are_rejected_and_counted(penstock, own_raw) -> None:
    settings = TpcSimulation(seed=5, downscale_probability=0.0)
    write_run(own_raw / "raw", settings, 1, 4, layout="harmonizer")
    with h5py.File(own_raw / "raw/run_0001.h5", "r+") as file:
        for name in ("orig_run", "orig_event"):
            file["events/event_3"].attrs[name] = file["events/event_1"].attrs[name]
    (points,) = penstock("run", "--stages", "tpc.points", "--json", folder=own_raw).json["runs"][0]["stages"]
    assert (points["events_in"], points["events_out"]) == (4, 3)
    assert "which stands in this file as event 1" in penstock("explain", points["key"][:10], folder=own_raw).out


@pytest.mark.parametrize(
    "path, problem",
    [("taken", "is a file, not a folder. Name another store in experiment.toml."), ("taken/store", "cannot be written")],
    ids=["a file", "below a file"],
)
def test_a_store_in_a_place_that_cannot_be_a_folder_is_refused(penstock, fresh, path, problem) -> None:
    (fresh / "taken").write_text("a file")
    with (fresh / "experiment.toml").open("a") as file:
        file.write(f'\n[store]\npath = "{path}"\n')
    refused(penstock("run", folder=fresh), 1, f"store {(fresh / path).resolve()}: {problem}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_says_what_to_do(penstock, processed) -> None:
    (processed / "store").chmod(0o555)
    result = penstock("run", folder=processed)
    (processed / "store").chmod(0o755)
    refused(result, 1, "cannot be written. Give this user write permission, or name another store in experiment.toml.")


def test_a_store_of_a_newer_layout_is_refused(penstock, processed) -> None:
    (processed / "store/penstock-store.json").write_text('{"layout": 99}')
    refused(penstock("run", folder=processed), 1, "layout 99, this penstock knows up to 1. Upgrade penstock.")


def test_a_broken_plug_in_is_listed_with_its_reason_and_disturbs_nothing(penstock, processed) -> None:
    (processed / "broken.py").write_text("import nothing_of_this_name\n")
    with (processed / "experiment.toml").open("a") as file:
        file.write('\n[plugins]\nmodules = ["broken.py"]\n')
    listed = penstock("stages", "ls", "--json", folder=processed).json
    assert listed["broken"] == [{"plugin": "broken", "reason": "ModuleNotFoundError: No module named 'nothing_of_this_name'"}]
    assert penstock("run", "--json", folder=processed).json["current"] == 9


def test_a_raw_file_that_was_replaced_is_registered_and_computed_anew(penstock, own_raw, raw) -> None:
    penstock("run", "--stages", "tpc.points", folder=own_raw)
    shutil.copy(raw / "run_0002.h5", own_raw / "raw/run_0001.h5")
    report = penstock("run", "--stages", "tpc.points", "--json", folder=own_raw).json
    assert report["computed"] == 1


def test_simulation_settings_out_of_bounds_are_refused(penstock, tmp_path) -> None:
    result = penstock("simulate", "tpc", "--out", "raw", "--set", "pressure_tor=3", folder=tmp_path)
    refused(result, 2, "simulation: 'pressure_tor' is not known. Did you mean 'pressure_torr'?")


def test_an_unknown_layout_lists_those_that_are_known(penstock, tmp_path) -> None:
    refused(
        penstock("simulate", "tpc", "--out", "raw", "--layout", "xml", folder=tmp_path), 2, "--layout 'xml' is not known. Known are legacy,"
    )
