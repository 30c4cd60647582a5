from __future__ import annotations

import pytest
from reals3 import Bench
from toybench import attempt_of, commit, make_hits

from penstock.core.canonical import Key
from penstock.store import Claims, Store, collect, empty_trash, find_garbage

REF = "e/default/run-0001/toy.hits"


@pytest.fixture
def store(bench: Bench) -> Store:
    """An empty store, in a folder and in a bucket."""
    return bench.store


def whats(store: Store) -> list[tuple[str, str]]:
    return sorted((g.key, g.what) for g in find_garbage(store))


def test_what_a_ref_names_is_kept_with_all_that_it_was_made_from(bench: Bench, store: Store) -> None:
    first = commit(store, "first")
    second = commit(store, "second", inputs={"hits": first})
    commit(store, "third", inputs={"groups": second}, ref=REF)
    bench.age()

    assert whats(store) == []


def test_an_old_artifact_that_nothing_names_is_garbage(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.age()

    assert whats(store) == [(key, "artifact without a ref")]


def test_young_things_are_kept_with_what_they_were_made_from(bench: Bench, store: Store) -> None:
    old = commit(store, "old")
    bench.age()
    commit(store, "young", inputs={"hits": old})
    attempt_of(store, Key("a" * 32), make_hits(5))

    assert whats(store) == []


def test_what_a_living_process_claims_is_kept(bench: Bench, store: Store) -> None:
    old = commit(store, "old")
    attempt_of(store, Key("a" * 32), make_hits(5))
    bench.age()

    with Claims(store.index) as claims:
        claims.take(old)
        claims.take("a" * 32)

        assert whats(store) == []


def test_a_claim_without_heartbeat_keeps_nothing(bench: Bench, store: Store) -> None:
    key = commit(store, "old")
    bench.age()
    store.index.claim(key, "elsewhere:1:1:aaaa", (), 30.0)
    store.index._db.execute("UPDATE claims SET heartbeat = heartbeat - 31")

    assert whats(store) == [(key, "artifact without a ref")]


def test_attempts_that_led_to_nothing_are_garbage_when_they_are_old(bench: Bench, store: Store) -> None:
    attempt_of(store, Key("a" * 32), make_hits(5))
    bench.age()

    assert whats(store) == [("a" * 32, "attempts without a result")]


def test_an_attempt_that_did_not_win_is_garbage_beside_the_artifact(bench: Bench, store: Store) -> None:
    key = commit(store, "one", ref=REF)
    loser, _ = attempt_of(store, key, make_hits(5))
    bench.age()

    (found,) = find_garbage(store)

    assert (found.key, found.what, found.path) == (key, "attempt that did not win", loser.folder)
    assert found.size > 0


def test_a_damaged_artifact_that_was_set_aside_is_garbage(bench: Bench, store: Store) -> None:
    key = commit(store, "one", ref=REF)
    store.set_aside(key)
    bench.age()

    assert whats(store) == [(key, "attempts without a result")]


def test_finding_garbage_removes_nothing(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.age()

    find_garbage(store)

    assert store.has(key)


def test_collecting_moves_to_the_trash_and_forgets(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.age()

    collect(store, find_garbage(store))

    assert not store.has(key)
    assert store.index.existing([key]) == set()
    assert {name.split("/")[1].split("-")[0] for name in bench.names("trash")} == {key}
    assert find_garbage(store) == []


def test_what_was_collected_can_be_computed_again(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.age()
    collect(store, find_garbage(store))

    assert commit(store, "one") == key
    assert store.has(key)


def test_emptying_the_trash_removes_read_only_files(bench: Bench, store: Store) -> None:
    commit(store, "one")
    bench.age()
    collect(store, find_garbage(store))

    assert empty_trash(store) == 1
    assert bench.names("trash") == []


def test_the_age_that_spares_can_be_chosen(bench: Bench, store: Store) -> None:
    commit(store, "one")
    bench.age(hours=1)

    assert [g.what for g in find_garbage(store, spare_s=1800)] == ["artifact without a ref"]
    assert find_garbage(store) == []
