"""Damaged small files, and work that was cut off: what a store makes of them."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import pytest
from reals3 import Bench, data_name
from toybench import commit

from penstock.core.errors import DamagedArtifact, StoreError
from penstock.store import Store, _places, find_garbage

REF = "e/default/run-0001/toy.hits"

damaged_texts = pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\0" * 64, b'{"key": "\xff"}', b"[]", b"null", b'{"format": "one"}', b'{"key": "\xc3\xa4"}'],
    ids=["empty", "cut", "zeros", "no text", "list", "null", "format", "not ASCII"],
)


@pytest.fixture
def store(bench: Bench) -> Store:
    """An empty store, in a folder and in a bucket."""
    return bench.store


@damaged_texts
def test_whatever_is_wrong_with_a_manifest_its_artifact_does_not_exist_and_the_others_do(bench: Bench, store: Store, text: bytes) -> None:
    key, other = commit(store, "one", ref=REF), commit(store, "other", ref=f"{REF}2")
    bench.write(f"objects/{key[:2]}/{key}/manifest.json", text)

    assert not store.has(key)
    assert find_garbage(store) == []
    with pytest.raises(DamagedArtifact, match=rf"^store .*: the index holds 1 artifacts; left out, of 1: .*{key}/manifest\.json: "):
        store.rebuild()
    assert store.index.existing([key, other]) == {other}
    assert {k: damage is None for k, damage in store.verify()} == {key: False, other: True}
    assert store.rebuild() == 1


def test_a_rebuild_names_a_file_that_records_no_failure(store: Store) -> None:
    key = commit(store, "one")
    store.place.write("attempts/notes.json", "hello")

    with pytest.raises(DamagedArtifact, match=r"the index holds 1 artifacts; left out, of 1: attempts/notes\.json: no record of a failure"):
        store.rebuild()
    assert store.index.existing([key]) == {key}


def test_a_ref_that_holds_no_key_stops_the_collection_of_what_it_may_have_named(bench: Bench, store: Store) -> None:
    commit(store, "one", ref=REF)
    bench.age()
    bench.write(f"refs/{REF}", b"\xff\n")
    message = f"store {store.name}: refs/{REF} holds '\ufffd\\n', not a key. Remove it; the next penstock run writes it anew."

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        find_garbage(store)


def test_a_file_that_the_disk_cannot_read_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(path))

    with Store(tmp_path) as store:
        key = commit(store, "one")
        monkeypatch.setattr(_places, "hash_file", fail)
        ((_, found),) = store.verify()

        assert found is not None
        assert found.problem.endswith("data.h5 cannot be read (Input/output error)")
        assert not store.has(key)


def test_a_file_that_this_user_may_not_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with Store(tmp_path) as store:
        key = commit(store, "one")
        monkeypatch.setattr(_places, "hash_file", refuse)

        with pytest.raises(PermissionError):
            list(store.verify())
        assert store.has(key)


def test_an_added_file_whose_name_was_never_written_gets_it_when_it_is_added_again(
    bench: Bench, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("a calibration\n")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "enter", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.add(notes, "toy.notes/1")

    key = store.add(notes, "toy.notes/1")
    bench.age()

    assert store.resolve(key[:10]) == key
    assert find_garbage(store) == []


def test_an_added_file_that_was_damaged_is_whole_when_it_is_added_again(bench: Bench, store: Store, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("a calibration\n")
    key = store.add(notes, "toy.notes/1")
    bench.write(data_name(store, key), None)
    assert not store.has(key)

    assert store.add(notes, "toy.notes/1") == key
    assert list(store.verify()) == [(key, None)]


def test_many_artifacts_are_entered_by_a_rebuild_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {commit(store, f"{n}", ref=f"{REF}{n}") for n in range(5)}
    monkeypatch.setattr("penstock.store._store._TOGETHER", 2)
    monkeypatch.setattr("penstock.store._objects_place._TOGETHER", 2)

    assert store.rebuild() == 5
    assert store.index.existing(sorted(keys)) == keys
    assert store.index.refs() == dict(store.refs())
    assert set(store.keys()) == keys
    assert {json.loads(m.dumps())["key"] for m in store.manifests()} == keys


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt
