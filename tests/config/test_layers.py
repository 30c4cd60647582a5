from __future__ import annotations

import re
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.config import Experiment, Resolver, load_experiment
from penstock.core.errors import ConfigError

TPC = '[experiment]\nname = "trial"\ninstrument = "attpc"\nraw = "raw"\n'


def tpc(folder: Path, text: str) -> Experiment:
    (folder / "experiment.toml").write_text(TPC + text)
    return load_experiment(folder / "experiment.toml")


def values(experiment: Experiment, path: str, run: int = 1, **overrides: object) -> tuple[object, str]:
    stage, _, name = path.rpartition(".")
    params, origins = Resolver(experiment, {k.replace("__", "."): v for k, v in overrides.items()}).params(
        experiment.registry.stage(stage), run
    )
    return getattr(params, name), origins[name]


def test_a_detector_value_reaches_every_stage_of_the_family_that_has_it(tmp_path: Path) -> None:
    experiment = tpc(tmp_path, "[params.tpc.detector]\nmagnetic_field_t = 3.0\ndetector_length_mm = 900\n")

    assert values(experiment, "tpc.estimates.magnetic_field_t") == (3.0, "experiment.toml (detector)")
    assert values(experiment, "tpc.points.detector_length_mm") == (900.0, "experiment.toml (detector)")
    assert values(experiment, "tpc.points.max_pulses") == (5, "default")


def test_a_value_of_a_stage_is_stronger_than_one_of_the_detector_beside_it(tmp_path: Path) -> None:
    text = "[params.tpc.estimates]\nmagnetic_field_t = 2.0\n[params.tpc.detector]\nmagnetic_field_t = 3.0\n"

    assert values(tpc(tmp_path, text), "tpc.estimates.magnetic_field_t") == (2.0, "experiment.toml")


def test_a_detector_value_of_a_stronger_layer_beats_one_of_a_stage(tmp_path: Path) -> None:
    text = '[params.tpc.estimates]\nmagnetic_field_t = 2.0\n[[runs]]\nrange = "7"\nparams.tpc.detector.magnetic_field_t = 3.0\n'
    experiment = tpc(tmp_path, text)

    assert values(experiment, "tpc.estimates.magnetic_field_t", 7) == (3.0, "experiment.toml, runs 7 (detector)")
    assert values(experiment, "tpc.estimates.magnetic_field_t", 8) == (2.0, "experiment.toml")
    assert values(experiment, "tpc.estimates.magnetic_field_t", 7, tpc__detector__magnetic_field_t=4.0) == (4.0, "--set (detector)")


def test_a_table_may_name_values_of_the_detector(tmp_path: Path) -> None:
    (tmp_path / "drift.csv").write_text("range,tpc.detector.window_time_bucket\n7,556.5\n")
    experiment = tpc(tmp_path, '[tables]\nruns = ["drift.csv"]\n')

    assert values(experiment, "tpc.points.window_time_bucket", 7) == (556.5, "drift.csv, line 2 (detector)")


def test_a_detector_value_that_no_stage_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    message = "experiment.toml: no stage of family 'tpc' has the parameter 'magnetic_field' of 'tpc.detector.magnetic_field'. Did you mean 'magnetic_field_t'?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Resolver(tpc(tmp_path, "[params.tpc.detector]\nmagnetic_field = 3.0\n"))


def test_only_parameters_on_the_top_level_belong_to_the_detector(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stage of family 'tpc' has the parameter 'pads\.peak_threshold_adc'"):
        Resolver(tpc(tmp_path, "[params.tpc.detector]\npads.peak_threshold_adc = 3.0\n"))


def test_a_detector_value_out_of_bounds_is_refused_with_its_source(tmp_path: Path) -> None:
    experiment = tpc(tmp_path, "[params.tpc.detector]\nmagnetic_field_t = -1\n")
    message = "experiment.toml (detector): stage 'tpc.estimates': 'magnetic_field_t': Input should be greater than 0, found -1."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Resolver(experiment).params(experiment.registry.stage("tpc.estimates"), 1)


def test_values_that_contradict_each_other_are_refused_with_all_sources(tmp_path: Path) -> None:
    experiment = tpc(tmp_path, "[params.tpc.detector]\nwindow_time_bucket = 5\n")

    with pytest.raises(
        ConfigError, match=r"^experiment\.toml \(detector\), preset default \(detector\): stage 'tpc\.points': .*must be later"
    ):
        Resolver(experiment).params(experiment.registry.stage("tpc.points"), 1)


def test_every_family_may_have_a_detector(toy: ToyExperiment) -> None:
    toy.configure("[params.toy.detector]\nthreshold = 0.9")

    assert values(toy.load(), "toy.hits.threshold") == (0.9, "experiment.toml (detector)")


def test_a_range_of_runs_that_is_not_understood_is_refused_with_its_place(toy: ToyExperiment) -> None:
    toy.configure('[[runs]]\nrange = "x"\nparams.toy.hits.threshold = 0.9')

    with pytest.raises(ConfigError, match=r"^experiment\.toml: \[\[runs\]\] run range 'x': 'x' is not understood\."):
        toy.load()
