"""Two who change one store at the same time: garbage collection beside commits, verifying beside collection."""

from __future__ import annotations

import pytest
from reals3 import Bench, data_name
from toybench import attempt_of, commit, make_hits
from toyline.schemas import Hits

from penstock.core.canonical import Key
from penstock.store import Claims, Store, collect, find_garbage

REF = "e/default/run-0001/toy.hits"
KEY = Key("a" * 32)


@pytest.fixture
def store(bench: Bench) -> Store:
    """An empty store, in a folder and in a bucket."""
    return bench.store


def test_an_artifact_that_was_committed_after_its_garbage_was_found_stays(bench: Bench, store: Store) -> None:
    attempt_of(store, KEY, make_hits(5))
    bench.age()
    garbage = find_garbage(store)
    attempt, manifest = attempt_of(store, KEY, make_hits(5))
    store.enter(attempt.publish(manifest, Hits, 0.0), REF)

    assert collect(store, garbage) == []
    assert store.has(KEY)
    assert store.index.existing([KEY]) == {KEY}


def test_an_artifact_that_was_named_after_it_was_found_stays(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.age()
    garbage = find_garbage(store)
    store.enter(store.manifest(key), REF)

    assert collect(store, garbage) == []
    assert store.has(key)


def test_what_somebody_computes_when_it_would_be_moved_stays(bench: Bench, store: Store) -> None:
    attempt, _ = attempt_of(store, KEY, make_hits(5))
    bench.age()
    garbage = find_garbage(store)

    with Claims(store.index) as claims:
        claims.take(KEY)
        moved = collect(store, garbage)

    assert moved == []
    assert attempt.blocks.exists()


def test_what_is_moved_is_claimed_by_nobody_afterwards(bench: Bench, store: Store) -> None:
    commit(store, "one")
    bench.age()

    assert len(collect(store, find_garbage(store))) == 1
    assert store.index.claims() == {}


def test_an_artifact_that_was_set_aside_is_moved_although_its_ref_still_stands(bench: Bench, store: Store) -> None:
    key = commit(store, "one", ref=REF)
    store.set_aside(key)
    bench.age()

    assert [g.key for g in collect(store, find_garbage(store))] == [key]
    assert bench.names("objects") == []


def test_two_who_collect_at_once_do_not_meet_an_error(bench: Bench, store: Store) -> None:
    commit(store, "one")
    bench.age()
    garbage = find_garbage(store)
    collect(store, garbage)

    collect(store, garbage)

    assert find_garbage(store) == []


def test_verify_goes_on_where_an_artifact_was_collected_meanwhile(bench: Bench, store: Store) -> None:
    commit(store, "one")
    commit(store, "other")
    bench.age()
    going = store.verify()
    next(going)
    collect(store, find_garbage(store))

    assert list(going) == []


def test_verify_does_not_set_aside_what_replaced_a_damaged_artifact(bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = commit(store, "one")
    bench.write(data_name(store, key), None)
    place, short = store.place, store.place.short

    def replace_after_looking(*words: object) -> str:
        monkeypatch.setattr(place, "short", short)
        problem = short(store.manifest(key))
        store.set_aside(key)
        commit(store, "one")
        return problem

    monkeypatch.setattr(place, "short", replace_after_looking)

    assert list(store.verify([key])) == [(key, None)]
    assert store.has(key)


def test_a_damaged_artifact_may_be_set_aside_by_two(store: Store) -> None:
    key = commit(store, "one")

    store.set_aside(key)
    store.set_aside(key)

    assert not store.has(key)
