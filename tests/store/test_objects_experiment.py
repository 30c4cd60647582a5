"""`[store] cache`, `[store.options]` and `penstock store gc --cache`, from experiment.toml to the files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from reals3 import S3Server
from toybench import ToyExperiment

from penstock.cli import main
from penstock.cli.store import store as commands
from penstock.core.canonical import Key
from penstock.core.errors import ConfigError
from penstock.store import Failure

Maker = Callable[[str], ToyExperiment]


@pytest.fixture
def address(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new store, on a server that the environment does not name."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    return s3_server.new_address()


@pytest.fixture
def toy(make_toy: Maker, address: str, s3_server: S3Server) -> ToyExperiment:
    """One run, to be processed into a bucket with a cache and options."""
    experiment = make_toy("toy")
    experiment.write_run(1, n_events=9)
    configure(experiment, address, s3_server.url)
    return experiment


def configure(toy: ToyExperiment, address: str, url: str, cache: str = "../scratch/cache", more: str = "") -> None:
    toy.configure(f'[store]\npath = "{address}"\ncache = "{cache}"\n[store.options]\nendpoint_url = "{url}"\n{more}')


def process(toy: ToyExperiment) -> None:
    toy.store.close()
    toy.store = toy.load().open_store()
    assert toy.run().ok


def call(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.chdir(toy.folder)
    result = CliRunner().invoke(commands, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def age_copies(cache: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    for path in cache.glob("objects/*/*/manifest.json"):
        os.utime(path, (then, then))


def test_a_run_goes_to_the_server_of_the_options_by_way_of_the_cache(
    toy: ToyExperiment, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(toy)
    cache = toy.folder.parent / "scratch" / "cache"

    assert toy.store.root.resolve() == cache.resolve()
    assert len(list(cache.glob("objects/*/*/manifest.json"))) == 3
    assert not (toy.folder / "store-cache").exists()
    assert {row["stage"] for row in call(toy, monkeypatch, "ls")} == {"toy.hits", "toy.groups", "toy.summary"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    assert len(call(toy, monkeypatch, "ls", "--store", toy.store.name)) == 0
    assert call(toy, monkeypatch, "rebuild", "--store", toy.store.name) == {"artifacts": 3}


def test_a_region_and_virtual_addressing_reach_the_client(toy: ToyExperiment, address: str, s3_server: S3Server) -> None:
    configure(toy, address, s3_server.url, more='region = "eu-central-1"\naddressing = "virtual"')
    experiment = toy.load()

    assert dict(experiment.store_options) == {"endpoint_url": s3_server.url, "region": "eu-central-1", "addressing": "virtual"}


def test_recorded_failures_are_counted_in_the_bucket_and_each_is_read_once(toy: ToyExperiment, address: str, s3_server: S3Server) -> None:
    configure(toy, address, s3_server.url)
    with toy.load().open_store() as store:
        for run in (1, 2):
            store.record_failure(Failure(Key(f"{'b' * 31}{run + 1}"), run, "toy.hits", "bad", "0:4", "", content=True))
        found = store.failed_attempts({})
        assert store.failed_attempts(dict.fromkeys(found, "read before")) == dict.fromkeys(found, "read before")
    assert list(found.values()) == ["toy.hits", "toy.hits"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('regoin = "x"', r"\[store\.options\] 'regoin' is not known \(endpoint_url, region, addressing\)\. Did you mean 'region'\?"),
        ('addressing = "dns"', r"\[store\.options\] addressing is 'dns', expected 'path' or 'virtual'\."),
        ('secret_key = "x"', r"\[store\.options\] 'secret_key': credentials do not belong into experiment\.toml\."),
    ],
    ids=["name", "value", "secret"],
)
def test_wrong_options_of_a_store_are_told(toy: ToyExperiment, address: str, s3_server: S3Server, more: str, message: str) -> None:
    configure(toy, address, s3_server.url, more=more)

    with pytest.raises(ConfigError, match=message):
        toy.load().open_store()


def test_a_cache_that_is_the_store_of_another_experiment_is_refused_by_the_command_line(
    toy: ToyExperiment, address: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(toy, address, s3_server.url, cache=str(toy.store.root))
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr("sys.argv", ["penstock", "store", "ls"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert (
        f"Error: [store] cache: {toy.store.root} is a store itself. Name another folder for the cache of {address}."
        in capsys.readouterr().err
    )


def test_gc_of_the_cache_removes_copies_and_no_artifact(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    process(toy)
    cache = toy.store.root

    assert call(toy, monkeypatch, "gc", "--cache")["removed"] == 0
    age_copies(cache, 25)
    assert call(toy, monkeypatch, "gc", "--cache", "--keep-gb", "1")["removed"] == 0
    assert call(toy, monkeypatch, "gc", "--cache") == {"removed": 3, "bytes_left": 0}

    assert list(cache.glob("objects/*/*")) == []
    assert toy.states(toy.run()) == {1: ["current"] * 3}
    assert call(toy, monkeypatch, "verify") == {"verified": 3, "damaged": []}


def test_gc_of_the_cache_spares_copies_that_were_used_within_the_hours(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    process(toy)
    age_copies(toy.store.root, 2)

    assert call(toy, monkeypatch, "gc", "--cache", "--hours", "3")["removed"] == 0
    assert call(toy, monkeypatch, "gc", "--cache", "--hours", "1")["removed"] == 3


def test_gc_of_the_cache_of_a_folder_is_refused_by_the_command_line(
    make_toy: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = make_toy("toy")
    toy.configure()
    toy.load().open_store().close()
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr("sys.argv", ["penstock", "store", "gc", "--cache"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "is a folder and has no cache. Remove what nothing needs with: penstock store gc --yes" in capsys.readouterr().err
