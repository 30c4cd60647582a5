"""Runs whose artifacts go into a bucket: their bytes, and what becomes of them when something dies in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reals3 import S3Server
from relay import relay_to
from toybench import DRIVE, ToyExperiment, report_of

from penstock.store import Store, find_garbage
from penstock.store._objects import Bucket

Maker = Callable[[str], ToyExperiment]


def fill(toy: ToyExperiment) -> ToyExperiment:
    toy.write_run(1, n_events=9)
    return toy


def into_bucket(toy: ToyExperiment, address: str) -> ToyExperiment:
    toy.configure(f'[store]\npath = "{address}"')
    toy.store.close()
    toy.store = Store(toy.load().store_path)
    return toy


def drive(toy: ToyExperiment, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVE.with_name("drive_s3.py")), str(toy.folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def reference(make_toy: Maker) -> ToyExperiment:
    """The same runs, into a folder."""
    experiment = fill(make_toy("reference"))
    experiment.run()
    return experiment


@pytest.fixture
def toy(make_toy: Maker, s3_server: S3Server) -> ToyExperiment:
    """Runs whose results go into a bucket."""
    return into_bucket(fill(make_toy("toy")), s3_server.new_address())


def assert_finished_like(toy: ToyExperiment, reference: ToyExperiment) -> None:
    assert toy.run().ok
    assert toy.digests() == reference.digests()
    assert all(damage is None for _, damage in toy.store.verify())
    assert [row[2] for row in toy.plan()] == ["current"] * 3


def test_results_in_a_bucket_have_the_bytes_of_results_in_a_folder(toy: ToyExperiment, reference: ToyExperiment) -> None:
    first = toy.run()
    second = toy.run()

    assert first.ok
    assert toy.states(second) == {1: ["current"] * 3}
    assert_finished_like(toy, reference)


def test_results_that_another_host_committed_are_adopted(make_toy: Maker, toy: ToyExperiment, s3_server: S3Server) -> None:
    toy.run()
    other = into_bucket(fill(make_toy("other")), toy.store.name)

    report = other.run()

    assert other.states(report) == {1: ["current"] * 3}
    assert sum(result.cpu_seconds for result in report.results) == 0


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("before-upload:2", marks=pytest.mark.slow),
        "before-create:2",
        pytest.param("after-create:2", marks=pytest.mark.slow),
        pytest.param("before-index:2", marks=pytest.mark.slow),
        pytest.param("before-ref:2", marks=pytest.mark.slow),
    ],
)
def test_a_kill_on_the_way_into_a_bucket_is_finished_by_the_same_command(toy: ToyExperiment, reference: ToyExperiment, place: str) -> None:
    process = drive(toy, "--die", place)
    process.communicate(timeout=120)

    assert process.returncode == -9
    assert all(damage is None for _, damage in toy.store.verify())
    assert_finished_like(toy, reference)


def test_what_a_killed_process_had_uploaded_is_garbage(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> str:
        raise Killed

    monkeypatch.setattr(Bucket, "create", die)
    with pytest.raises(Killed):
        toy.run()

    found = find_garbage(toy.store, spare_s=0)

    assert [g.what for g in found] == ["attempts without a result"]
    assert not toy.store.has(found[0].key)


def test_a_server_that_goes_in_the_middle_of_a_commit_loses_nothing(
    make_toy: Maker, s3_server: S3Server, reference: ToyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relay_to(s3_server.url) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", relay.url)
        toy = into_bucket(fill(make_toy("toy")), s3_server.new_address())
        monkeypatch.setattr(toy.store.place.bucket._files(), "retries", 1)  # type: ignore[attr-defined]
        create = Bucket.create

        def cut(bucket: Bucket, name: str, text: str) -> str:
            relay.down()
            return create(bucket, name, text)

        with monkeypatch.context() as patch:
            patch.setattr(Bucket, "create", cut)
            failed, *_ = toy.run().by_run()[1]
        relay.up()

        assert "does not answer as it should (EndpointConnectionError" in failed.error
        assert "run the same command again when it does" in failed.error
        assert_finished_like(toy, reference)
        assert toy.manifest("toy.hits").times["adopted_blocks"] == 5


@pytest.mark.slow
def test_two_workers_give_the_bytes_of_a_folder(toy: ToyExperiment, reference: ToyExperiment) -> None:
    report_of(toy.drive("--executor", "local", "--workers", "2"), timeout=180)

    assert_finished_like(toy, reference)


@pytest.mark.slow
def test_processes_that_race_for_the_same_runs_leave_one_artifact_each(toy: ToyExperiment, reference: ToyExperiment) -> None:
    others = [drive(toy), drive(toy), drive(toy)]

    for process in others:
        report_of(process, timeout=180)

    assert_finished_like(toy, reference)
    homes = [Path(g.path) for g in find_garbage(toy.store, spare_s=0)]
    assert homes == []
