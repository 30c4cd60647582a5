"""Lanes: which workers a stage goes to, and devices. A worker that offers ``gpu`` with NumPy stands in for one with a device."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

import pytest
from toybench import ToyExperiment
from toyworkers import open_fleet

from penstock.config import Resources
from penstock.core.errors import LaneMissing
from penstock.execute._dask import DaskExecutor
from penstock.execute._device import array_namespace, worker_environment
from penstock.execute._lanes import cpu_lanes, resource_names

GPU_PLUGIN = """
from penstock.core.stage import stage
from toyline.bodies import SummaryParams
from toyline.schemas import Hits

doubled = stage("toy.doubled", version=1, body="gpuside:double", params=SummaryParams, reads={"hits": Hits}, writes=Hits, lane="gpu", block=2)


def double(hits, params, xp):
    values = xp.asarray(hits["hits"]["value"]) * xp.float32(2)
    columns = {"events": hits["events"], "hits": {"value": values, "charge": hits["hits"]["charge"]}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets, rejections=hits.rejections)
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers: one offers CPU lanes by variables of its environment, as images do, the other ``gpu``. Each names an image, which tells them apart."""
    lanes = {"DASK_DISTRIBUTED__WORKER__RESOURCES__TOY": "1", "DASK_DISTRIBUTED__WORKER__RESOURCES__TOY_GROUPS": "1"}
    with open_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.start(variables={**lanes, "PENSTOCK_IMAGE": "cpus"})
        fleet.start("--resources", "gpu=1", variables={"PENSTOCK_ARRAYS": "numpy", "PENSTOCK_IMAGE": "device"})
        yield fleet.address


@pytest.fixture
def gpu_toy(toy: ToyExperiment) -> ToyExperiment:
    """A toy with a stage on the lane ``gpu`` that is written for the array namespace."""
    (toy.folder / "gpuside.py").write_text(GPU_PLUGIN)
    toy.configure(pipeline=("toy.hits", "toy.doubled"), plugins=("toyline.plugin", "gpuside"))
    toy.write_run(1, n_events=6)
    return toy


@pytest.mark.server
def test_a_worker_serves_a_lane_that_its_environment_names(toy: ToyExperiment, address: str) -> None:
    toy.write_run(1, n_events=6)

    report = toy.run(resources=Resources(executor=address, lanes={"toy.groups": "toy-groups"}))

    assert report.ok
    assert toy.manifest("toy.groups").environment["image"] == "cpus"


@pytest.mark.server
def test_stages_of_devices_and_of_cpus_go_to_their_own_workers(gpu_toy: ToyExperiment, address: str) -> None:
    report = gpu_toy.run(resources=Resources(executor=address, batch_blocks=1))

    assert report.ok
    assert {name: gpu_toy.manifest(name).environment["image"] for name in ("toy.hits", "toy.doubled")} == {
        "toy.hits": "cpus",
        "toy.doubled": "device",
    }


@pytest.mark.server
def test_without_a_device_the_request_may_allow_cpus_and_the_manifest_says_so(gpu_toy: ToyExperiment, address: str) -> None:
    elsewhere = {"toy.doubled": "bigger-gpu"}

    report = gpu_toy.run(resources=Resources(executor=address, lanes=elsewhere, cpu_fallback=True))

    environment = gpu_toy.manifest("toy.doubled").environment
    assert report.ok
    assert (environment["image"], environment["device"]) == ("cpus", "cpu")
    assert str(environment["numerics"]).endswith("-numpy")


@pytest.mark.server
def test_without_a_device_a_request_that_allows_no_cpus_fails_before_anything_is_computed(
    gpu_toy: ToyExperiment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.GRACE_S", 0.2)

    with pytest.raises(
        LaneMissing,
        match=r"^stage 'toy\.doubled': no worker offers lane 'bigger-gpu' \((?=.*offers toy, toy_groups)(?=.*offers gpu).*--resources 'bigger-gpu=1'",
    ):
        gpu_toy.run(resources=Resources(executor=address, lanes={"toy.doubled": "bigger-gpu"}))

    assert list(gpu_toy.store.manifests()) == []


def test_inline_computes_for_a_device_only_where_the_request_allows_cpus(gpu_toy: ToyExperiment) -> None:
    if importlib.util.find_spec("cupy"):
        pytest.skip("this machine has CuPy")

    with pytest.raises(LaneMissing, match=r"is to compute on a GPU, but CuPy cannot be imported .*or allow CPUs with --cpu-fallback"):
        gpu_toy.run()

    assert gpu_toy.run(resources=Resources(executor="inline", cpu_fallback=True)).ok
    assert gpu_toy.manifest("toy.doubled").environment["device"] == "cpu"


def test_a_worker_can_say_that_it_only_stands_in_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_ARRAYS", "numpy")

    assert array_namespace("gpu").__name__ == "numpy"
    assert worker_environment("gpu")["device"] == "cpu"


@pytest.mark.gpu
def test_a_device_is_named_with_its_model() -> None:
    pytest.importorskip("cupy", reason="needs CuPy and a device: pip install penstock[gpu]")

    found = worker_environment("gpu")

    assert array_namespace("gpu").__name__ == "cupy"
    assert f"cupy{array_namespace('gpu').__version__}-{found['device'].replace(' ', '_')}" in found["numerics"]


def test_a_lane_goes_by_its_own_name_or_as_dask_reads_it_from_the_environment() -> None:
    offered = {"a": ["tpc_fits"], "b": ["tpc", "tpc-fits"], "c": ["tpc_fits"]}

    assert resource_names("tpc-fits", offered) == {"tpc-fits": ["b"], "tpc_fits": ["a", "c"]}
    assert resource_names("gpu", offered) == {}


def test_a_lane_that_workers_offer_under_two_names_is_one_warning(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = object.__new__(DaskExecutor)
    executor._resources = {}
    monkeypatch.setattr(DaskExecutor, "_lanes", lambda _: {"a": ["toy"], "b": ["toy"], "c": ["to-y", "to_y"], "d": ["to_y"]})
    stage = toy.load().registry.stages["toy.hits"]

    elsewhere = replace(stage, lane="to-y")
    executor.preflight([stage])
    with pytest.warns(
        UserWarning, match=r"^lane 'to-y' is offered under two names \(c as 'to-y'; c, d as 'to_y'\); only 'to-y' gets its batches"
    ):
        executor.preflight([elsewhere])
    executor.preflight([elsewhere])


def test_a_local_cluster_offers_every_lane_that_stages_were_given(toy: ToyExperiment) -> None:
    stages = toy.load().registry.stages.values()

    lanes = cpu_lanes(stages, Resources(lanes={"toy.groups": "toy-groups"}))

    assert {"toy", "toy-groups", "tpc", "events"} <= set(lanes)
    assert "gpu" not in lanes
