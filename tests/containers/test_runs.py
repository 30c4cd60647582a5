"""Runs are processed by workers in containers, each family's stages in that family's image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from penstock.formats.captures import CaptureWriter
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.stream.models import EventData, StreamData
from penstock_flows.server import free_port

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(3600),
    # The test's own client only looks; what computes is all in containers.
    pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning"),
]

TPC = """[experiment]
name = "boxed"
instrument = "attpc"
raw = "raw"
pipeline = ["tpc.points", "tpc.clusters", "tpc.estimates", "tpc.mesh", "tpc.fits"]
[params.tpc.mesh]
ke_bins = 8
polar_bins = 8
[resources.lanes]
"tpc.estimates" = "tpc-estimates"
"tpc.fits" = "tpc-fits"
"""
GPU = """[experiment]
name = "boxed"
instrument = "attpc"
raw = "raw"
pipeline = ["tpc.baselines"]
"""
EVENTS = """[experiment]
name = "boxed"
instrument = "captures"
raw = "raw"
pipeline = ["events.sum"]
[params.events.sum.values]
stream = "det"
"""


@dataclass
class Cluster:
    """A Dask scheduler in a container, and workers that tests add to it."""

    engine: Any
    address: str
    folder: Path
    scheduler: str
    client: Client

    def add(self, image: str, *command: str, lane: str, **env: str) -> str:
        """Start a worker and wait until one more worker offers `lane` than before."""
        environment = {"DASK_SCHEDULER_ADDRESS": self.address, "PENSTOCK_JIT_CACHE": str(self.folder / "kernels"), **env}
        before = self.lanes().count([lane])
        name: str = self.engine.start(image, *command, folder=self.folder, env=environment)
        self.engine.wait_until(
            lambda: self.lanes().count([lane]) > before, f"a worker with lane {lane!r}", report=lambda: self.engine.logs(name)
        )
        return name

    def lanes(self) -> list[list[str]]:
        """The lanes of each worker."""
        return [sorted(w["resources"]) for w in self.client.scheduler_info(n_workers=-1)["workers"].values()]

    def run(self, experiment: Path, user: int | None = None) -> Any:
        """`penstock run` in the flows image, as the user of the workers or as another of their group."""
        command = ("penstock", "run", "experiment.toml", "--runs", "all", "--executor", self.address)
        return self.engine.ask("flows", *command, folder=experiment, user=f"{user or self.engine.user}:{self.engine.user}")


@pytest.fixture(scope="module")
def shared(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that host and containers see under the same path, with an experiment of each family, shared by a group."""
    folder = tmp_path_factory.mktemp("shared")
    for name, text in (("tpc", TPC), ("gpu", GPU), ("events", EVENTS)):
        for place in ("raw", "store"):
            (folder / name / place).mkdir(parents=True)
        (folder / name / "experiment.toml").write_text(text)
    (folder / "kernels").mkdir()
    for run in (1, 2):
        write_run(folder / "tpc" / "raw", TpcSimulation(), run, 8)
    write_run(folder / "gpu" / "raw", TpcSimulation(), 1, 8)
    with CaptureWriter(folder / "events" / "raw" / "run_0001.cbors") as writer:
        for number in range(40):
            header = {"htype": "image", "shape": [4, 5], "type": "uint16", "compression": "none", "frame": number, "msg_number": number}
            image = bytes(range(number, number + 40))
            writer.write(EventData(number, {"det": StreamData("STINS", [json.dumps(header).encode(), image])}, None))
    for path in (folder, *folder.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, 0, engine.user)
        if path.is_dir():
            path.chmod(0o2775)
    for parent in list(folder.parents)[:2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    return folder


@pytest.fixture(scope="module")
def cluster(engine: Any, images: dict[str, Any], shared: Path) -> Iterator[Cluster]:
    port = free_port()
    name = engine.start("flows", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0")
    engine.wait_until(lambda: "Scheduler at" in engine.logs(name), "a scheduler", report=lambda: engine.logs(name))
    with Client(f"tcp://127.0.0.1:{port}", set_as_default=False, timeout=60) as client:
        yield Cluster(engine, f"tcp://127.0.0.1:{port}", shared, name, client)
    engine.remove()


@pytest.fixture(scope="module")
def tpc_workers(cluster: Cluster) -> list[str]:
    """A worker of the lane tpc, and two of images with a lane of their own for one stage each."""
    own = ("dask", "worker", "--nthreads", "1", "--dashboard-address", "127.0.0.1:0", "--resources")
    return [
        cluster.add("tpc", lane="tpc"),
        *(
            cluster.add("tpc", *own, f"tpc-{stage}=1", lane=f"tpc-{stage}", PENSTOCK_IMAGE=f"penstock-{stage}:7")
            for stage in ("estimates", "fits")
        ),
    ]


def manifests(experiment: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = (json.loads(p.read_text()) for p in (experiment / "store" / "objects").glob("*/*/manifest.json"))
    return {(m["stage"], m["subject"]): m for m in found}


def digests(experiment: Path) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Checksums of the data files by stage and subject, without the folder of the attempt."""
    return {which: [(Path(f["name"]).name, f["sha256"]) for f in m["files"]] for which, m in manifests(experiment).items()}


def run_inline(experiment: Path, copy: Path) -> Path:
    """The same experiment computed on the host, in a store of its own."""
    text = (experiment / "experiment.toml").read_text().replace('"raw"', f'"{experiment / "raw"}"')
    copy.mkdir()
    (copy / "experiment.toml").write_text(text)
    command = [sys.executable, "-m", "penstock.cli", "run", "experiment.toml", "--runs", "all", "--executor", "inline", "--cpu-fallback"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    return copy


def test_a_lane_without_a_container_fails_within_seconds_and_names_what_there_is(cluster: Cluster, shared: Path) -> None:
    cluster.add("events", lane="events")
    began = time.monotonic()

    done = cluster.run(shared / "tpc")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "no worker offers lane 'tpc'" in done.stderr
    assert "offers events" in done.stderr
    assert time.monotonic() - began < 40  # five seconds of grace, and two starts of Python on a busy machine


def test_stages_of_the_tpc_run_in_its_image_and_give_the_bytes_of_the_host(
    cluster: Cluster, tpc_workers: list[str], shared: Path, tmp_path: Path
) -> None:
    done = cluster.run(shared / "tpc", user=cluster.engine.user + 1)

    assert done.returncode == 0, done.stdout + done.stderr
    found = manifests(shared / "tpc")
    assert {stage for stage, _ in found} == {"tpc.points", "tpc.clusters", "tpc.estimates", "tpc.mesh", "tpc.fits"}
    assert digests(shared / "tpc") == digests(run_inline(shared / "tpc", tmp_path / "inline"))


def test_manifests_name_the_image_that_computed(cluster: Cluster, tpc_workers: list[str], shared: Path) -> None:
    cluster.run(shared / "tpc")

    images = {stage: m["environment"]["image"] for (stage, _), m in manifests(shared / "tpc").items()}
    boxed = cluster.engine.image("tpc").removeprefix("localhost/")
    of_the_family = dict.fromkeys(("tpc.points", "tpc.clusters", "tpc.mesh"), boxed)
    assert images == of_the_family | {"tpc.estimates": "penstock-estimates:7", "tpc.fits": "penstock-fits:7"}


def test_the_same_again_computes_nothing(cluster: Cluster, tpc_workers: list[str], shared: Path) -> None:
    cluster.run(shared / "tpc")

    again = cluster.run(shared / "tpc")

    assert "0 computed, 10 current" in again.stdout + again.stderr


def test_stages_of_event_streams_run_in_their_image_and_give_the_bytes_of_the_host(cluster: Cluster, shared: Path, tmp_path: Path) -> None:
    cluster.add("events", lane="events")

    done = cluster.run(shared / "events")

    assert done.returncode == 0, done.stdout + done.stderr
    (manifest,) = manifests(shared / "events").values()
    assert manifest["environment"]["image"] == cluster.engine.image("events").removeprefix("localhost/")
    assert digests(shared / "events") == digests(run_inline(shared / "events", tmp_path / "inline"))


def test_a_stage_for_devices_runs_in_the_gpu_image_and_its_cpu_variant_gives_the_bytes_of_the_host(
    cluster: Cluster, shared: Path, tmp_path: Path
) -> None:
    cluster.add("gpu-cpu", lane="gpu")
    assert ["gpu"] in cluster.lanes()

    done = cluster.run(shared / "gpu")

    assert done.returncode == 0, done.stdout + done.stderr
    (manifest,) = manifests(shared / "gpu").values()
    assert manifest["stage"] == "tpc.baselines"
    assert manifest["environment"]["image"] == cluster.engine.image("gpu-cpu").removeprefix("localhost/")
    assert manifest["environment"]["device"] == "cpu"
    assert digests(shared / "gpu") == digests(run_inline(shared / "gpu", tmp_path / "inline"))


def test_health_checks_see_a_worker_that_hangs(cluster: Cluster) -> None:
    name = cluster.add("events", lane="events")
    check: Callable[[], Any] = lambda: cluster.engine.call("exec", name, "python", "/opt/penstock/health.py", "--announced", check=False)  # noqa: E731
    scheduler = cluster.engine.call("exec", cluster.scheduler, "python", "/opt/penstock/health.py", "--announced", check=False)
    before = check()
    stop = "import os, pathlib, signal; [os.kill(int(p.name), signal.SIGSTOP) for p in pathlib.Path('/tmp/penstock-health').iterdir()]"
    cluster.engine.call("exec", name, "python", "-c", stop)
    after = check()

    assert (scheduler.returncode, before.returncode, after.returncode) == (0, 0, 1), (scheduler, before, after)
    assert "no answer from http://127.0.0.1:" in after.stdout
    cluster.engine.remove(name)
