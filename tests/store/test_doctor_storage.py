"""What the doctor says of stores in buckets and of indexes in databases, with real servers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from reals3 import S3Server
from toybench import ToyExperiment

from penstock.cli.doctor import _storage
from penstock.cli.doctor._finding import Finding
from penstock.cli.doctor._storage import look_at_storage
from penstock.config import Experiment, load_experiment
from penstock.store import Store
from penstock.store._objects_place import ObjectPlace


@pytest.fixture
def experiment(toy: ToyExperiment) -> Experiment:
    """Its store is that of each test."""
    return load_experiment(toy.folder)


def look(experiment: Experiment, store: Store) -> dict[str, Finding]:
    with store:
        return {f.what: f for f in look_at_storage(experiment, store)}


def in_bucket(server: S3Server, folder: Path, address: str | None = None) -> Store:
    return Store(address or server.new_address(), cache=folder)


@pytest.fixture
def server(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server of buckets that the environment names."""
    moto_server.activate(monkeypatch)
    return moto_server


def test_a_bucket_is_listed_and_written_and_nothing_is_left(experiment: Experiment, server: S3Server, tmp_path: Path) -> None:
    store = in_bucket(server, tmp_path / "cache")
    place = store.place
    assert isinstance(place, ObjectPlace)
    before = sorted(place.bucket.listing(""))
    found = look(experiment, store)
    assert {f.state for f in found.values()} == {"ok"}
    assert set(found) == {"disk of the store's cache", "bucket", "clock of the bucket", "index"}
    assert found["index"].detail == str(tmp_path / "cache" / "index.sqlite")
    assert sorted(place.bucket.listing("")) == before


def test_a_bucket_that_cannot_be_written_is_a_problem(
    experiment: Experiment, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.new_address()
    in_bucket(server, tmp_path / "cache", address).close()
    replace(server, writer=server.reader).activate(monkeypatch)
    found = look(experiment, in_bucket(server, tmp_path / "cache", address))["bucket"]
    assert found.state == "problem"
    assert "forbids it" in found.detail
    assert "ask for the right to list, read, write and delete in bucket 'results'" in found.detail


def test_a_bucket_of_another_time_is_a_problem(
    experiment: Experiment, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = in_bucket(server, tmp_path / "cache")
    monkeypatch.setattr(_storage, "time", Late(100.0))
    found = look(experiment, store)["clock of the bucket"]
    assert found.state == "problem"
    assert "s behind this machine's" in found.detail


def test_a_bucket_without_encryption_that_others_reach_is_a_problem(
    experiment: Experiment, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_storage, "is_loopback", lambda host: False)
    found = look(experiment, in_bucket(server, tmp_path / "cache"))["bucket connection"]
    assert found.detail == f"{server.url} is reached without encryption: who sits between reads and changes results"


class Late:
    """A clock that is ahead by some seconds."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def time(self) -> float:
        """Seconds since 1970, as this clock has them."""
        return time.time() + self._ahead_s


@pytest.fixture
def in_database(toy: ToyExperiment, postgres_database: str) -> Experiment:
    """An experiment whose index lies in a database."""
    return replace(load_experiment(toy.folder), index_path=postgres_database)


def test_an_index_in_a_database_is_named_without_its_password(in_database: Experiment) -> None:
    found = look(in_database, in_database.open_store())
    assert {f.state for f in found.values()} == {"ok"}
    assert set(found) == {"disk of the store", "index", "index connection", "clock of the database"}
    assert found["index"].detail.startswith("postgresql://tester@127.0.0.1:")
    assert found["index connection"].detail == "does not leave this machine"


def test_a_database_of_another_time_is_a_problem(in_database: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_database.open_store()
    monkeypatch.setattr(_storage, "time", Late(-100.0))
    found = look(in_database, store)["clock of the database"]
    assert found.state == "problem"
    assert found.detail.startswith("is 100 s ahead of this machine's")


@pytest.mark.parametrize(
    ("variable", "said", "state"),
    [(None, "sslmode=prefer", "problem"), ("disable", "sslmode=disable", "problem")],
    ids=["the default", "the environment"],
)
def test_a_database_over_the_network_wants_its_server_verified(
    in_database: Experiment, monkeypatch: pytest.MonkeyPatch, variable: str | None, said: str, state: str
) -> None:
    if variable is not None:
        monkeypatch.setenv("PGSSLMODE", variable)
    monkeypatch.setattr(_storage, "is_loopback", lambda host: False)
    found = look(in_database, in_database.open_store())["index connection"]
    assert found.state == state
    assert said in found.detail
    assert "sslmode=verify-full" in found.advice
