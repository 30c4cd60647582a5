"""SLURM profiles, the job scripts they come to, and batches on jobs, with a stand-in for SLURM's commands."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standinslurm import StandInSlurm
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import ConfigError, LaneMissing
from penstock.execute._jobqueue import slurm_cluster
from penstock.execute._jobqueue_jobs import job_scripts, parse_queue
from penstock.execute._jobqueue_profile import load_profile, walltime_seconds

Maker = Callable[[str], ToyExperiment]
EXAMPLES = Path(__file__).parents[2] / "deploy" / "slurm"
JOB = """
[[jobs]]
name = "toys"
lanes = ["toy"]
memory = "1GB"
max_jobs = 2
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInSlurm]:
    found = StandInSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    yield found
    found.end()


def profile(folder: Path, *, top: str = "", job: str = JOB) -> Path:
    path = folder / "site.toml"
    path.write_text(f'site = "here"\ninterface = "lo"\ninsecure = true\npoll_seconds = 0.5\n{top}\n{job}')
    return path


def on_toys() -> str:
    toys = Path(__file__).parents[1] / "toy"
    return f"prologue = ['export PYTHONPATH={toys}', 'export PYTHONWARNINGS=ignore']"


@pytest.mark.parametrize(
    ("top", "job", "message"),
    [
        ("partitoin = 'short'", JOB, "'partitoin' is not known. Did you mean 'partition'?"),
        ("walltime = '90'", JOB, "walltime '90' is not of the form"),
        ("walltime = '00:01:00'", JOB, "below 120 s"),
        ("tls = 'certs'", JOB, "give either tls"),
        ("", JOB + JOB.replace('"toys"', '"more"'), "lane 'toy' stands in more than one of"),
        ("", JOB.replace('"1GB"', '"1"'), "memory"),
        ("", JOB.replace('"toy"', '"Toy"'), "lane 'Toy' is not of the form"),
        ("", JOB + "min_jobs = 3", "min_jobs 3 is above max_jobs 2"),
        ("", JOB + "gpus = 2", "one worker a device"),
        ("", "", "'jobs' is missing"),
    ],
    ids=["unknown field", "walltime", "short walltime", "tls or not", "lane twice", "memory", "lane", "bounds", "gpus", "no jobs"],
)
def test_a_wrong_profile_is_refused_with_its_field(tmp_path: Path, top: str, job: str, message: str) -> None:
    path = profile(tmp_path, top=top, job=job)
    with pytest.raises(ConfigError) as error:
        load_profile(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_profile_that_is_not_there_says_where_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file. Begin with a copy of deploy/slurm/example.toml"):
        load_profile(tmp_path / "none.toml")


def test_missing_certificates_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    path = profile(tmp_path)
    path.write_text(path.read_text().replace("insecure = true", "tls = 'certs'"))
    with pytest.raises(ConfigError, match=r"ca\.pem is missing\. Make it with: penstock certs"):
        job_scripts(load_profile(path))


@pytest.mark.parametrize(("text", "seconds"), [("00:02:00", 120), ("04:00:00", 14_400), ("1-12:00:00", 129_600)])
def test_walltimes_are_read(text: str, seconds: int) -> None:
    assert walltime_seconds(text) == seconds


def test_what_squeue_says_is_read() -> None:
    queue = parse_queue("17 RUNNING 1-00:00:10\n18 PENDING 59:30\n19 RUNNING UNLIMITED\n20 RUNNING 0:05\n")
    assert {number: job.left_s for number, job in queue.items()} == {"17": 86_410, "18": 3570, "19": math.inf, "20": 5}
    assert queue["18"].state == "PENDING"


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.glob("*.toml")))
def test_the_examples_are_profiles(example: str, tmp_path: Path) -> None:
    certificates(tmp_path / "certs")
    path = Path(shutil.copy(EXAMPLES / example, tmp_path))

    scripts = job_scripts(load_profile(path))

    assert {"tpc"} <= set(scripts)
    for script in scripts.values():
        assert "--protocol tls" in script
        assert f"--tls-key {tmp_path}/certs/node-key.pem" in script
        assert "--dashboard-address 127.0.0.1:0" in script


@pytest.mark.parametrize("example", sorted(p.name for p in EXAMPLES.glob("*.toml")))
def test_jobs_of_the_examples_offer_the_lanes_that_their_image_has_programs_for(example: str) -> None:
    for kind in load_profile(EXAMPLES / example).jobs:
        assert kind.image is not None
        family = re.findall(r"penstock-(\w+)", kind.image)
        assert list(kind.lanes) == family, kind.name


def test_a_job_script_books_what_the_profile_says(tmp_path: Path) -> None:
    certificates(tmp_path / "certs")
    path = Path(shutil.copy(EXAMPLES / "example.toml", tmp_path))

    scripts = job_scripts(load_profile(path))

    tpc = scripts["tpc"].splitlines()
    for line in ("-J penstock-tpc", "-p short", "-A myproject", "-n 1", "--cpus-per-task=16", "--mem=60G", "-t 04:00:00"):
        assert f"#SBATCH {line}" in tpc
    assert tpc.index("module load apptainer") > max(i for i, line in enumerate(tpc) if line.startswith("#SBATCH"))
    command = tpc[-1].split()
    assert command[:7] == ["apptainer", "exec", "--bind", "/shared", "/shared/images/penstock-tpc.sif", "python", "-m"]
    assert command[command.index("--resources") + 1] == "tpc=1"
    assert command[command.index("--nworkers") + 1] == "16"
    assert command[command.index("--nthreads") + 1] == "1"
    assert command[command.index("--interface") + 1] == "ib0"
    assert command[command.index("--local-directory") + 1] == "$TMPDIR"
    gpu = scripts["gpu"]
    assert "#SBATCH --gres=gpu:4" in gpu
    assert "#SBATCH -p gpu" in gpu
    assert "#SBATCH --cpus-per-task=16" in gpu
    assert "-m dask cuda worker" in gpu
    assert not list(tmp_path.glob("*logs")), "nothing is made for showing a script"


def certificates(folder: Path) -> None:
    folder.mkdir()
    for name in ("ca.pem", "node.pem", "node-key.pem"):
        (folder / name).touch()


def test_without_slurm_the_profile_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"'squeue' does not work here.*Run penstock where jobs are submitted"):
        slurm_cluster(profile(tmp_path))


@pytest.mark.server
def test_batches_run_on_jobs_that_come_and_go_with_them(make_toy: Maker, tmp_path: Path, slurm: StandInSlurm) -> None:
    toy = make_toy("toys")
    toy.write_run(1, n_events=9)
    toy.write_run(2, n_events=5)

    report = toy.run(resources=Resources(executor=f"slurm:{profile(tmp_path, top=on_toys())}", batch_blocks=1))

    assert report.ok
    assert 1 <= slurm.submitted <= 2
    assert len(set(slurm.cancelled)) == slurm.submitted
    assert len(list((tmp_path / "slurm-logs").glob("penstock-toys-*.err"))) == slurm.submitted


@pytest.mark.server
def test_a_lane_that_no_job_offers_is_refused_at_once(make_toy: Maker, tmp_path: Path, slurm: StandInSlurm) -> None:
    toy = make_toy("toys")
    toy.write_run(1)
    other = profile(tmp_path, job=JOB.replace('"toy"', '"tpc"'))

    with pytest.raises(LaneMissing, match=r"no job of SLURM profile .*site.toml offers lane 'toy' \(toys offers tpc\)"):
        toy.run(resources=Resources(executor=f"slurm:{other}"))
    assert slurm.submitted == 0


@pytest.mark.server
@pytest.mark.parametrize("how", ["ends", "refused"])
def test_jobs_that_never_bring_a_worker_are_an_error_with_what_they_said(
    make_toy: Maker, tmp_path: Path, slurm: StandInSlurm, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("penstock.execute._crew.LOOK_S", 0.2)
    monkeypatch.setattr("penstock.execute._crew.PATIENCE_S", 0.5)
    toy = make_toy("toys")
    toy.write_run(1, n_events=2)
    if how == "refused":
        (slurm.folder / "refuse").write_text("sbatch: error: Invalid account")
    broken = profile(tmp_path, top="prologue = ['echo no such image >&2', 'exit 1']" if how == "ends" else "")

    report = toy.run(resources=Resources(executor=f"slurm:{broken}"))

    assert not report.ok
    (first, *_) = (result.error for result in report.results if result.error)
    assert "3 jobs 'penstock-toys' of SLURM profile" in first
    assert ("no such image" if how == "ends" else "Invalid account") in first
    assert "penstock cluster script" in first


@pytest.mark.server
def test_trouble_with_the_jobs_is_told_instead_of_waiting(
    make_toy: Maker, tmp_path: Path, slurm: StandInSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._crew.LOOK_S", 0.2)
    monkeypatch.setattr("penstock.execute._crew.PATIENCE_S", 0.5)
    toy = make_toy("toys")
    toy.write_run(1, n_events=2)
    (slurm.folder / "squeue").write_text("#!/bin/sh\n[ -e ran ] && echo three words\ntouch ran\n".replace("ran", str(tmp_path / "ran")))

    report = toy.run(resources=Resources(executor=f"slurm:{profile(tmp_path, top=on_toys())}"))

    (first, *_) = (result.error for result in report.results if result.error)
    assert "its jobs cannot be looked after" in first


def test_python_of_the_node_is_the_one_that_runs_unless_an_image_is_named(tmp_path: Path) -> None:
    plain = load_profile(profile(tmp_path)).jobs[0]
    named = plain.model_copy(update={"image": "/shared/a b.sif"})
    assert plain.interpreter() == sys.executable
    assert named.interpreter() == "apptainer exec '/shared/a b.sif' python"


@pytest.mark.server
@pytest.mark.slow
def test_workers_leave_before_their_job_is_cut_off_and_others_go_on(make_toy: Maker, tmp_path: Path, slurm: StandInSlurm) -> None:
    toy = make_toy("toys")
    place = tmp_path / "go"
    toy.write_run(1, n_events=2, switches={0: f"wait@{place}"})

    def nearly_over() -> None:
        deadline = time.monotonic() + 60
        while not place.with_name("go.reached").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        (slurm.folder / "left").write_text("0:05")
        while slurm.submitted < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        (slurm.folder / "left").unlink()
        place.touch()

    clock = threading.Thread(target=nearly_over)
    clock.start()
    report = toy.run(
        resources=Resources(executor=f"slurm:{profile(tmp_path, top=on_toys(), job=JOB.replace('max_jobs = 2', 'max_jobs = 1'))}")
    )
    clock.join()

    assert report.ok
    assert slurm.submitted >= 2


def test_ctrl_c_stays_ours_when_jobs_of_slurm_are_imported() -> None:
    code = "import signal; before = signal.getsignal(2); import penstock.execute._jobqueue; print(signal.getsignal(2) is before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
