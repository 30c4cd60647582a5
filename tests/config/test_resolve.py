from __future__ import annotations

import re

import pytest
from toybench import ToyExperiment

from penstock.config import Resolver, parse_overrides
from penstock.core.errors import ConfigError

FILE = """
[params.toy.hits]
threshold = 0.4

[[runs]]
range = "5-6"
[runs.params.toy.hits]
threshold = 0.6
"""


def resolve(toy: ToyExperiment, run: int, **overrides: object) -> tuple[float, str]:
    experiment = toy.load()
    params, origins = Resolver(experiment, {f"toy.hits.{k}": v for k, v in overrides.items()}).params(
        experiment.registry.stage("toy.hits"), run
    )
    return params.threshold, origins["threshold"]  # type: ignore[attr-defined]


def test_a_preset_is_stronger_than_the_default_of_the_stage(toy: ToyExperiment) -> None:
    assert resolve(toy, 1) == (0.25, "preset default")


def test_a_row_of_the_preset_is_stronger_for_its_runs(toy: ToyExperiment) -> None:
    assert resolve(toy, 100) == (0.5, "preset default, runs 100-110")
    assert resolve(toy, 111) == (0.25, "preset default")


def test_the_file_is_stronger_than_the_preset(toy: ToyExperiment) -> None:
    toy.configure(FILE)

    assert resolve(toy, 1) == (0.4, "experiment.toml")
    assert resolve(toy, 100) == (0.4, "experiment.toml")


def test_a_row_of_the_file_is_stronger_for_its_runs(toy: ToyExperiment) -> None:
    toy.configure(FILE)

    assert resolve(toy, 6) == (0.6, "experiment.toml, runs 5-6")


def test_an_override_is_strongest(toy: ToyExperiment) -> None:
    toy.configure(FILE)

    assert resolve(toy, 6, threshold=0.9) == (0.9, "--set")


def test_a_value_that_nobody_sets_is_the_default_of_the_stage(toy: ToyExperiment) -> None:
    experiment = toy.load()
    params, origins = Resolver(experiment).params(experiment.registry.stage("toy.groups"), 1)

    assert params.identity() == {"width": 0.1, "seed": 0}
    assert origins == {"width": "default", "seed": "default"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("much", "--set: stage 'toy.hits': 'threshold': Input should be a valid number, unable to parse string as a number, found 'much'."),
        (float("nan"), "--set: stage 'toy.hits': 'threshold': Input should be a finite number, found nan."),
    ],
    ids=["kind", "nan"],
)
def test_a_wrong_value_is_refused_with_its_source(toy: ToyExperiment, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resolve(toy, 1, threshold=value)


def test_a_parameter_of_the_file_that_is_not_known_is_refused_with_the_nearest(toy: ToyExperiment) -> None:
    toy.configure("[params.toy.hits]\ntreshold = 0.4")
    message = "experiment.toml: parameter 'toy.hits.treshold' is not known. Did you mean 'toy.hits.threshold'?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resolve(toy, 1)


def test_parameters_of_a_stage_that_is_not_in_the_pipeline_are_let_be(toy: ToyExperiment) -> None:
    toy.configure("[params.tpc.clusters.hdbscan]\nmin_points = 7")

    assert resolve(toy, 1) == (0.25, "preset default")


def test_a_misspelt_parameter_of_a_stage_that_is_not_in_the_pipeline_is_refused(toy: ToyExperiment) -> None:
    toy.configure("[params.tpc.clusters.hdbscan]\nmin_pionts = 7")
    message = "experiment.toml: parameter 'tpc.clusters.hdbscan.min_pionts' is not known. Did you mean 'tpc.clusters.hdbscan.min_points'?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resolve(toy, 1)


def test_overrides_are_json_or_text() -> None:
    assert parse_overrides(["a.b=3", "a.c=0.5", "a.d=[1,2]", "a.e=text", "a.f=x=y", "a.g=true"]) == {
        "a.b": 3,
        "a.c": 0.5,
        "a.d": [1, 2],
        "a.e": "text",
        "a.f": "x=y",
        "a.g": True,
    }


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^--set 'a\.b' is not of the form stage\.parameter=value\.$"):
        parse_overrides(["a.b"])
