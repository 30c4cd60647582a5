from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.core.errors import StoreError
from penstock.store import Claims, Store
from penstock.store import _claims as claims_module
from penstock.store._index_postgres import PostgresIndex


@pytest.fixture
def store(index_place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store; of a server that has just started, claims are not spared for that."""
    if isinstance(index_place, str):
        monkeypatch.setattr(PostgresIndex, "_server_start", "0")
    with Store(tmp_path / "store", index=index_place) as empty:
        yield empty


@pytest.fixture
def claims(store: Store) -> Iterator[Claims]:
    with Claims(store.index) as held:
        yield held


def age(store: Store, seconds: float) -> None:
    """Let so much time go by since the last heartbeats."""
    store.index._write((f"UPDATE {store.index._at}claims SET heartbeat = heartbeat - ?", (seconds,)))


def test_a_claim_is_held_by_one_owner(store: Store, claims: Claims) -> None:
    with Claims(store.index) as other:
        assert claims.take("key")
        assert not other.take("key")

        claims.release("key")

        assert other.take("key")


def test_a_second_thread_of_the_owner_waits_like_anybody_else(claims: Claims) -> None:
    assert claims.take("key")
    assert not claims.take("key")
    claims.release("key")
    assert claims.take("key")


def test_claims_are_given_back_at_the_end(store: Store) -> None:
    with Claims(store.index) as held:
        held.take("key")

    assert store.index.claims() == {}


def test_a_claim_without_heartbeat_is_taken_over(store: Store, claims: Claims) -> None:
    store.index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    assert not claims.take("key")
    age(store, 31)

    assert claims.take("key")
    assert store.index.claim_owner("key") == claims.owner


def test_a_claim_that_a_clock_left_in_the_future_is_taken_over(store: Store, claims: Claims) -> None:
    store.index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    age(store, -10)
    assert not claims.take("key")
    age(store, -3600)

    assert claims.take("key")


def hold_in_another_process(store: Store, place: Path | str, prepare: str = "") -> None:
    """Take the claim on ``key`` in a process that is then killed."""
    code = (
        "import os, signal, sys; from pathlib import Path; from penstock.store import Store, Claims, _claims\n"
        f"{prepare}\n"
        "place = sys.argv[2] if '://' in sys.argv[2] else Path(sys.argv[2])\n"
        "held = Claims(Store(Path(sys.argv[1]), index=place).index); print(held.take('key')); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root), str(place)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", -signal.SIGKILL)


def test_a_dead_process_of_this_host_is_no_owner(store: Store, claims: Claims, index_place: Path | str) -> None:
    hold_in_another_process(store, index_place)
    assert store.index.claim_owner("key") is not None

    assert claims.take("key")


def test_a_killed_process_of_another_host_is_an_owner_until_its_claim_expires(store: Store, index_place: Path | str) -> None:
    hold_in_another_process(store, index_place, prepare="_claims._host = lambda: 'elsewhere'")
    patient, impatient = Claims(store.index), Claims(store.index, expiry_s=0.2)

    assert not patient.take("key")
    time.sleep(0.2)
    assert not patient.take("key")
    assert impatient.take("key")


def test_a_container_that_shares_the_name_of_this_host_is_another_host(
    store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as container:
        container.setattr(claims_module, "_namespace", lambda: "4026539999")
        owner = Claims(store.index).owner
    store.index.claim("key", owner.replace(f":{os.getpid()}:", ":1:"), (), 30.0)

    assert not claims.take("key")


def test_of_many_who_take_an_expired_claim_at_once_one_gets_it(store: Store, index_place: Path | str) -> None:
    store.index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    age(store, 31)
    stores = [Store(store.root, index=index_place) for _ in range(8)]
    everybody = threading.Barrier(8)

    def take(one: Store) -> bool:
        everybody.wait()
        return Claims(one.index).take("key")

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, stores))
    for one in stores:
        one.close()

    assert sorted(taken) == [False] * 7 + [True]


def test_a_process_number_that_was_used_again_is_told_apart(store: Store, claims: Claims) -> None:
    host = claims.owner.split(":")[0]
    store.index.claim("key", f"{host}:{os.getpid()}:1:aaaa", (), 30.0)

    assert claims.take("key")


def test_a_living_process_of_this_host_keeps_its_claim(store: Store, claims: Claims) -> None:
    host = claims.owner.split(":")[0]
    started = claims.owner.split(":")[2]
    store.index.claim("key", f"{host}:{os.getpid()}:{started}:aaaa", (), 30.0)

    assert not claims.take("key")


def test_only_the_owner_gives_a_claim_back(store: Store, claims: Claims) -> None:
    claims.take("key")

    Claims(store.index).release("key")

    assert store.index.claim_owner("key") == claims.owner


def test_a_heartbeat_renews_all_claims_of_an_owner(store: Store, claims: Claims) -> None:
    claims.take("one")
    claims.take("other")
    age(store, 1000)

    store.index.heartbeat(claims.owner)

    assert all(abs(time.time() - beat) < 10 for _, beat in store.index.claims().values())


def test_a_beat_that_fails_does_not_end_the_beating(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "BEAT_S", 0.001)
    held = Claims(store.index)
    beats: list[str] = []

    def beat(owner: str) -> None:
        beats.append(owner)
        if len(beats) == 3:
            held._stop.set()
        raise StoreError("the disk is full")

    monkeypatch.setattr(store.index, "heartbeat", beat)
    held.take("key")
    with held:
        held._thread.join(timeout=10)

    assert beats == [held.owner] * 3


def test_a_claim_that_cannot_be_given_back_now_is_given_back_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "BEAT_S", 0.01)
    with Claims(store.index) as held:
        held.take("key")
        with monkeypatch.context() as away:
            away.setattr(store.index, "release", refuse)
            held.release("key")
            assert store.index.claim_owner("key") == held.owner
        deadline = time.monotonic() + 10
        while store.index.claim_owner("key") is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_claim_that_is_owed_and_taken_again_is_kept(store: Store, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    claims.take("key")
    with monkeypatch.context() as away:
        away.setattr(store.index, "release", refuse)
        claims.release("key")

    assert claims.take("key")
    claims.release("other")

    assert store.index.claim_owner("key") == claims.owner


def refuse(key: str, owner: str) -> None:
    raise StoreError("the database is away")
