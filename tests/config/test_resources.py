"""Resources: lanes by stage, and what the environment decides where experiment.toml does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import ConfigError
from penstock.tpc.request import ProcessRequest


def test_a_stage_can_be_given_a_lane_of_its_own(toy: ToyExperiment) -> None:
    toy.configure('[resources.lanes]\n"toy.groups" = "toy-groups"')

    experiment = toy.load()

    lanes = {stage.name: experiment.resources.lane(stage) for stage in experiment.pipeline.stages}
    assert lanes == {"toy.hits": "toy", "toy.groups": "toy-groups", "toy.summary": "toy"}


def test_a_stage_without_quotes_is_the_same_stage(toy: ToyExperiment) -> None:
    toy.configure('[resources.lanes]\ntoy.groups = "toy-groups"')

    assert toy.load().resources.lanes == {"toy.groups": "toy-groups"}


def test_a_lane_for_an_unknown_stage_names_the_nearest(toy: ToyExperiment) -> None:
    toy.configure('[resources.lanes]\n"tpc.fit" = "tpc-fits"')

    with pytest.raises(ConfigError, match=r"\[resources\.lanes\] 'tpc\.fit' is no stage \(.*\)\. Did you mean 'tpc\.fits'\?$"):
        toy.load()


def test_a_stage_that_computes_on_cpus_cannot_take_the_lane_of_devices(toy: ToyExperiment) -> None:
    toy.configure('[resources.lanes]\n"toy.groups" = "gpu"')

    with pytest.raises(
        ConfigError, match=r"'toy\.groups' computes on CPUs, its lane cannot be 'gpu'\. Give it another name, such as 'toy-groups'"
    ):
        toy.load()


@pytest.mark.parametrize("lane", ["Toy", "toy--x", "toy__x", "-toy", "toy x", "8toy", ""])
def test_a_lane_that_dask_cannot_take_from_the_environment_is_refused(toy: ToyExperiment, lane: str) -> None:
    toy.configure(f'[resources.lanes]\n"toy.groups" = "{lane}"')

    with pytest.raises(ConfigError, match=rf"resources\.lanes.*lane '{lane}' of stage 'toy\.groups' is not of the form 'tpc-fits'"):
        toy.load()


def test_the_environment_names_the_executor_where_nobody_else_does(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_EXECUTOR", "tcp://127.0.0.1:8786")

    assert toy.load().resources.executor == "tcp://127.0.0.1:8786"
    toy.configure('[resources]\nexecutor = "inline"')
    assert toy.load().resources.executor == "inline"


def test_without_the_environment_workers_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_EXECUTOR", raising=False)

    assert Resources().executor == "local"


def test_the_folder_of_certificates_is_relative_to_experiment_toml(toy: ToyExperiment) -> None:
    toy.configure('[resources]\ntls = "certs"')

    assert toy.load().resources.tls == str(toy.folder / "certs")


def test_the_folder_of_certificates_in_the_environment_is_relative_to_where_we_are(
    toy: ToyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_TLS", "site")

    assert toy.load().resources.tls == str(tmp_path / "site")


@pytest.mark.parametrize("executor", ["inline", "local", "tcp://head:8786", "tls://head:8786", "slurm:site.toml"])
def test_a_request_takes_every_kind_of_executor(executor: str) -> None:
    assert ProcessRequest(experiment="/data", executor=executor).executor == executor
