from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from penstock.core.errors import StoreError
from penstock.store import Claims, Store
from penstock.store import _claims as claims_module


@pytest.fixture
def claims(store: Store) -> Iterator[Claims]:
    with Claims(store.index) as held:
        yield held


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
    store.index._db.execute("UPDATE claims SET heartbeat = heartbeat - 31")

    assert claims.take("key")
    assert store.index.claim_owner("key") == claims.owner


def test_a_dead_process_of_this_host_is_no_owner(store: Store, claims: Claims) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.store import Store, Claims\n"
        "held = Claims(Store(Path(sys.argv[1])).index); print(held.take('key')); sys.stdout.flush(); import os; os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert store.index.claim_owner("key") is not None

    assert claims.take("key")


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
    store.index._db.execute("UPDATE claims SET heartbeat = 0")

    store.index.heartbeat(claims.owner)

    assert all(beat > 0 for _, beat in store.index.claims().values())


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
