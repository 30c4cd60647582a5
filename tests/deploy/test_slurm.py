"""Batches on jobs of a real SLURM of one node, which the tests start."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import realslurm
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import RunCancelled
from penstock.execute import run
from penstock.security.certificates import make_certificates

pytestmark = [pytest.mark.slow, pytest.mark.server]
Maker = Callable[[str], ToyExperiment]
TOYS = Path(__file__).parents[1] / "toy"


@pytest.fixture(scope="module")
def slurm_conf() -> Iterator[Path]:
    why_not = realslurm.missing()
    if why_not:
        pytest.skip(why_not)
    with realslurm.slurm() as conf:
        yield conf


@pytest.fixture
def slurm(slurm_conf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))
    yield
    subprocess.run(["scancel", "--partition", "all"], check=False)


def profile(folder: Path, top: str = "insecure = true", job: str = "") -> Resources:
    (folder / "site.toml").write_text(
        f"""
site = "here"
partition = "all"
interface = "lo"
poll_seconds = 1
walltime = "00:10:00"
prologue = ["export PYTHONPATH={TOYS}", "export PYTHONWARNINGS=ignore"]
{top}
[[jobs]]
name = "toys"
lanes = ["toy"]
memory = "1GB"
max_jobs = 2
{job}
"""
    )
    return Resources(executor=f"slurm:{folder / 'site.toml'}", batch_blocks=1)


def queue() -> list[str]:
    """Jobs that wait or run; one that is being ended still shows for some seconds."""
    shown = subprocess.run(["squeue", "--noheader", "--format", "%j %T"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if "COMPLETING" not in line]


def test_jobs_over_tls_give_the_bytes_that_one_process_gives(make_toy: Maker, tmp_path: Path, slurm: None) -> None:
    make_certificates(tmp_path / "certs")

    def digests(name: str, resources: Resources) -> dict[str, list[str]]:
        toy = make_toy(name)
        for number in (1, 2, 3):
            toy.write_run(number, n_events=21)
        assert toy.run(resources=resources).ok
        return toy.digests()

    assert digests("jobs", profile(tmp_path, "tls = 'certs'")) == digests("inline", Resources(executor="inline"))
    assert queue() == []


def test_several_workers_of_a_job_each_take_batches(make_toy: Maker, tmp_path: Path, slurm: None) -> None:
    toy = make_toy("toys")
    toy.write_run(1, n_events=40)

    assert toy.run(resources=profile(tmp_path, job="workers = 2")).ok
    assert queue() == []


def test_a_job_that_is_killed_is_replaced_and_the_run_completes(make_toy: Maker, tmp_path: Path, slurm: None) -> None:
    toy = make_toy("toys")
    place = tmp_path / "go"
    toy.write_run(1, n_events=24, switches={5: f"wait@{place}"})

    def kill_jobs() -> None:
        deadline = time.monotonic() + 120
        while not place.with_name("go.reached").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        subprocess.run(["scancel", "--full", "--signal", "KILL", "--partition", "all"], check=True)
        place.touch()

    killer = threading.Thread(target=kill_jobs)
    killer.start()
    report = toy.run(resources=profile(tmp_path))
    killer.join()

    assert place.with_name("go.reached").exists()
    assert report.ok
    assert len(list((tmp_path / "slurm-logs").glob("*.err"))) >= 2


def test_cancelling_gives_the_jobs_back(make_toy: Maker, tmp_path: Path, slurm: None) -> None:
    toy = make_toy("toys")
    toy.write_run(1, n_events=8)
    stop = threading.Event()
    threading.Timer(3.0, stop.set).start()

    with pytest.raises(RunCancelled):
        run(toy.load(), toy.store, toy.request(), resources=profile(tmp_path, "insecure = true\ndirectives = ['--hold']"), stop=stop)
    assert queue() == []


def test_what_slurm_refuses_is_an_error_with_its_words(
    make_toy: Maker, tmp_path: Path, slurm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._crew.LOOK_S", 0.5)
    monkeypatch.setattr("penstock.execute._crew.PATIENCE_S", 1.0)
    toy = make_toy("toys")
    toy.write_run(1, n_events=2)

    report = toy.run(resources=profile(tmp_path, job="partition = 'nowhere'"))

    (first, *_) = (result.error for result in report.results if result.error)
    assert "nvalid partition" in first
