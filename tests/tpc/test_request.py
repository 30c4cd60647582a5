"""The typed request of the TPC family."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock.core.params import field_paths
from penstock.tpc.request import ProcessRequest, TpcOverrides, overrides_model
from penstock.tpc.stages import STAGES

PARAMS = {stage.name.removeprefix("tpc."): stage.params for stage in STAGES}
SCHEMA = ProcessRequest.model_json_schema()


def test_request_needs_nothing_but_the_experiment() -> None:
    request = ProcessRequest(experiment="experiment.toml")
    assert (request.runs, request.values(), str(request.selection)) == ("all", {}, "0::1")


def test_form_has_every_parameter_of_every_stage() -> None:
    assert set(TpcOverrides.model_fields) == set(PARAMS)
    for stage, params in PARAMS.items():
        assert list(field_paths(overrides_model(params, "X"))) == list(field_paths(params)), stage


def test_form_shows_docstring_bounds_and_default_in_the_description() -> None:
    shown = SCHEMA["$defs"]["PointsOverrides"]["properties"]["beam_pad_radius_mm"]
    assert shown["title"] == "beam_pad_radius_mm [mm]"
    assert shown["description"] == "Pads with their centre nearer to the axis see the beam and give no point. (at least 0; default 20.0)"
    assert shown["minimum"] == 0


@pytest.mark.parametrize(
    ("stage", "title"),
    [
        ("Mesh", "temperature_k [K]"),
        ("Mesh", "path_max_mm [mm]"),
        ("Fits", "beam_spread_mm [mm]"),
        ("Fits", "electron_energy_ev [eV]"),
        ("Fits", "longitudinal_diffusion_mm_per_sqrt_m [mm/√m]"),
    ],
)
def test_form_shows_units(stage: str, title: str) -> None:
    names = {name for name in SCHEMA["$defs"] if name.startswith(stage)}
    assert title in {shown.get("title") for name in names for shown in SCHEMA["$defs"][name]["properties"].values()}


def test_form_shows_a_list_as_words() -> None:
    assert SCHEMA["$defs"]["MeshOverrides"]["properties"]["particles"]["description"].endswith("(default 1H)")


def test_form_shows_no_marks_of_code() -> None:
    parts = SCHEMA["$defs"]
    shown = [found.get("description", "") for model in parts.values() for found in (model, *model.get("properties", {}).values())]
    assert len(shown) > 100
    assert not [text for text in shown if "`" in text]


def test_form_offers_no_null() -> None:
    assert "null" not in str(SCHEMA)


def test_form_leaves_a_switch_that_nobody_touched_alone() -> None:
    shown = SCHEMA["$defs"]["PointsOverrides"]["properties"]["exclude_downscale"]
    assert shown["anyOf"][0]["enum"] == ["yes", "no"]
    assert shown["description"].endswith("(default yes)")
    assert "type" not in shown


@pytest.mark.parametrize(("given", "value"), [("yes", True), ("no", False), (True, True)], ids=["yes", "no", "true"])
def test_switch_takes_a_choice_or_a_boolean(given: object, value: bool) -> None:
    request = ProcessRequest.model_validate({"experiment": "x", "overrides": {"points": {"exclude_downscale": given}}})
    assert request.values() == {"tpc.points.exclude_downscale": value}


def test_choices_of_the_files_of_the_data_acquisition_are_offered() -> None:
    assert SCHEMA["$defs"]["MergeOverrides"]["properties"]["fixed_pattern_noise"]["enum"] == ["keep", "mean", "median"]
    request = ProcessRequest.model_validate({"experiment": "x", "overrides": {"readout": {"decode": "no"}, "scalers": {}}})
    assert request.values() == {"tpc.readout.decode": False}


def test_overrides_come_out_by_dotted_path() -> None:
    request = ProcessRequest.model_validate(
        {
            "experiment": "x",
            "overrides": {"clusters": {"hdbscan": {"min_points": 5}}, "points": {"max_pulses": 3}},
            "other_overrides": {"mygroup.filter.threshold": 2},
        }
    )
    assert request.values() == {"tpc.clusters.hdbscan.min_points": 5, "tpc.points.max_pulses": 3, "mygroup.filter.threshold": 2}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"runs": "94-"}, "is not understood"),
        ({"events": "some"}, "is not understood"),
        ({"workers": 0}, "greater than 0"),
        ({"executor": "cloud"}, "should match pattern"),
        ({"overrides": {"points": {"max_pulses": 0}}}, "greater than 0"),
        ({"overrides": {"points": {"max_pulse": 1}}}, "Extra inputs"),
        ({"stage": ["tpc.points"]}, "Extra inputs"),
    ],
    ids=["runs", "events", "workers", "executor", "bound", "unknown parameter", "unknown field"],
)
def test_wrong_request_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ProcessRequest.model_validate({"experiment": "x", **fields})


@given(executor=st.sampled_from([None, "inline", "local", "tcp://host:8786"]), workers=st.none() | st.integers(1, 64))
def test_runtime_does_not_enter_the_key(executor: str | None, workers: int | None) -> None:
    plain = ProcessRequest(experiment="x", runs="94-110")
    assert ProcessRequest(experiment="x", runs="94-110", executor=executor, workers=workers).key("default") == plain.key("default")


@given(points=st.integers(1, 50))
def test_key_is_the_same_from_form_and_from_dotted_paths(points: int) -> None:
    form = ProcessRequest.model_validate({"experiment": "x", "overrides": {"clusters": {"hdbscan": {"min_points": points}}}})
    dotted = ProcessRequest(experiment="x", other_overrides={"tpc.clusters.hdbscan.min_points": points})
    assert form.key("default") == dotted.key("default")


@given(st.sampled_from([{"runs": "1"}, {"events": "first:3"}, {"stages": ["tpc.points"]}, {"other_overrides": {"a.b.c": 1}}]))
def test_what_is_asked_for_enters_the_key(change: dict[str, object]) -> None:
    plain = ProcessRequest(experiment="x")
    assert ProcessRequest.model_validate({"experiment": "x", **change}).key("default") != plain.key("default")


def test_request_travels_as_json() -> None:
    request = ProcessRequest.model_validate({"experiment": "x", "overrides": {"estimates": {"magnetic_field_t": 3.0}}})
    assert ProcessRequest.model_validate_json(request.model_dump_json(exclude_none=True)) == request


def test_importing_the_request_stays_light() -> None:
    code = "import sys, penstock.tpc.request; print([m for m in ('prefect', 'numba', 'scipy', 'distributed') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
