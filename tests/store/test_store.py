from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from reals3 import Bench, data_name, flipped
from toybench import attempt_of, commit, make_hits, make_summary, same_records
from toyline.schemas import Groups, Hits, Summary

from penstock.core.canonical import Key
from penstock.core.errors import ArtifactMissing, ConfigError, StoreError
from penstock.core.schema import Rejection
from penstock.store import Failure, IndexedArtifact, Store

REF = "e/default/run-0001/toy.hits"


@pytest.fixture
def store(bench: Bench) -> Store:
    """An empty store, in a folder and in a bucket."""
    return bench.store


def damage(bench: Bench, key: Key) -> None:
    name = data_name(bench.store, key)
    bench.write(name, flipped(bench.read(name) or b""))


def test_a_ref_moves_on_commit_and_is_mirrored_in_the_index(store: Store) -> None:
    commit(store, "old", ref=REF)

    new = commit(store, "new", ref=REF)

    assert list(store.refs()) == [(REF, new)]
    assert store.index.refs() == {REF: new}


def test_verify_is_content_with_whole_artifacts(store: Store) -> None:
    key = commit(store, "one")

    assert list(store.verify()) == [(key, None)]
    assert store.has(key)


def test_verify_finds_one_flipped_bit_and_sets_the_artifact_aside(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    damage(bench, key)

    ((_, found),) = store.verify()

    assert found is not None
    assert found.problem.endswith("data.h5 does not match its checksum")
    assert not store.has(key)
    assert store.index.existing([key]) == set()
    assert f"objects/{key[:2]}/{key}/manifest.damaged.json" in bench.names("objects")


def test_verify_finds_a_missing_file(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.write(data_name(store, key), None)

    ((_, found),) = store.verify()

    assert found is not None
    assert found.problem.endswith("data.h5 is missing")


def test_verify_finds_a_file_that_was_cut(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    name = data_name(store, key)
    content = bench.read(name) or b""
    size = len(content)
    bench.write(name, content[:-1])

    ((_, found),) = store.verify([key])

    assert found is not None
    assert found.problem.endswith(f"data.h5 has {size - 1} bytes, the manifest says {size}")


def test_verify_finds_a_manifest_that_cannot_be_read(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.write(f"objects/{key[:2]}/{key}/manifest.json", b"{")

    ((_, found),) = store.verify()

    assert found is not None
    assert "not a manifest" in found.problem


def test_an_artifact_whose_file_is_gone_does_not_exist(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    bench.write(data_name(store, key), None)

    assert not store.has(key)
    assert store.standing(key) is None


def test_the_manifest_of_what_stands_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key, read, asked = commit(store, "one"), store.place.manifest, []
    monkeypatch.setattr(store.place, "manifest", lambda wanted: asked.append(wanted) or read(wanted))

    assert store.standing(key) == read(key)
    assert asked == [key]


def test_what_was_set_aside_is_published_anew(bench: Bench, store: Store) -> None:
    key = commit(store, "one")
    damage(bench, key)
    list(store.verify())

    commit(store, "one")

    assert list(store.verify()) == [(key, None)]
    assert same_records(store.read(store.manifest(key), Hits), make_hits(10))


def test_rejections_come_back_with_the_records(store: Store) -> None:
    records = make_hits(10)
    records.rejections = [Rejection(2, "noise burst"), Rejection(7, "down-scale", excluded=True)]

    key = commit(store, "one", records)

    assert list(store.read(store.manifest(key), Hits, 5, 10).rejections) == [Rejection(2, "down-scale", excluded=True)]


def test_an_artifact_of_another_schema_is_refused_with_the_way_out(store: Store) -> None:
    key = commit(store, "one")
    message = (
        f"run 1: schema 'toy.groups/1' is wanted, artifact {key.short} has 'toy.hits/1'. Recompute it with: penstock run --stages toy.made"
    )

    with pytest.raises(ArtifactMissing, match=f"^{re.escape(message)}$"):
        store.read(store.manifest(key), Groups)


def test_a_key_is_named_by_its_first_characters(store: Store) -> None:
    key = commit(store, "one")

    assert store.resolve(key[:10]) == key
    assert store.resolve(key[:10].upper()) == key


def test_a_key_that_is_not_there_is_an_error(store: Store) -> None:
    message = f"store {store.name}: no artifact 'zzz'. List them with: penstock store ls"

    with pytest.raises(ArtifactMissing, match=f"^{re.escape(message)}$"):
        store.resolve("zzz")
    with pytest.raises(ArtifactMissing, match="no artifact zzz"):
        store.manifest("zzz")


def test_first_characters_of_two_keys_are_refused_with_both(store: Store) -> None:
    for key in ("abcd" * 8, "abce" * 8):
        store.index.put(IndexedArtifact(Key(key), "toy.hits", "run-0001", {}, 1, 1, 1, "2026-01-01"))

    with pytest.raises(ConfigError, match=r"^key 'abc' is not unique: abcdabc, abceabc\. Give more characters\.$"):
        store.resolve("abc")


def test_a_whole_key_is_found_although_the_index_has_lost_it(store: Store) -> None:
    key = commit(store, "one")
    store.index.clear()

    assert store.resolve(key) == key


def test_an_export_has_names_that_say_what_it_is(bench: Bench, store: Store, tmp_path: Path) -> None:
    key = commit(store, "one", make_summary(6))

    files = store.export(key, tmp_path / "out")

    assert [p.name for p in files] == ["run-0001.toy.made.parquet", "run-0001.toy.made.manifest.json"]
    assert files[0].read_bytes() == bench.read(data_name(store, key))
    assert json.loads(files[1].read_text())["key"] == key


def test_exported_files_may_be_written_again(store: Store, tmp_path: Path) -> None:
    key = commit(store, "one", make_summary(6))

    store.export(key, tmp_path / "out")
    files = store.export(key, tmp_path / "out")

    assert files[0].stat().st_mode & stat.S_IWUSR


def test_the_folder_of_the_data_files_is_known(store: Store) -> None:
    key = commit(store, "one", make_summary(6))

    assert [p.name for p in store.data_folder(key).glob("*.parquet")] == ["data.parquet"]
    assert store.read(store.manifest(key), Summary).n_events == 6


def test_a_failure_is_kept_with_its_traceback(bench: Bench, store: Store) -> None:
    failure = Failure(Key("f" * 32), 3, "toy.hits", "run 3: it broke", "0:4", "Traceback ...", content=True)

    path = store.record_failure(failure)

    kept = json.loads(bench.read(path.relative_to(store.root).as_posix()) or b"")
    assert kept.pop("at")
    assert Failure(**kept) == failure
    assert store.index.failures([failure.key])[failure.key].error == "run 3: it broke"


def test_an_attempt_that_was_never_published_is_no_artifact(store: Store) -> None:
    key = Key("a" * 32)
    attempt_of(store, key, make_hits(5))

    assert not store.has(key)
    assert list(store.manifests()) == []
    assert store.rebuild() == 0


def test_a_folder_that_is_no_store_is_not_made_one_by_looking(tmp_path: Path) -> None:
    message = f"store {tmp_path}: there is none. Name it with --store, or run a command in the folder of an experiment.toml."

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        Store(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"layout": 9}', "layout 9, this penstock knows up to 1. Upgrade penstock."),
        ('{"lay', "penstock-store.json is damaged"),
        ("{}", "penstock-store.json is damaged"),
    ],
    ids=["newer", "cut", "empty"],
)
def test_a_store_of_another_layout_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "penstock-store.json").write_text(text)

    with pytest.raises(StoreError, match=re.escape(message)):
        Store(tmp_path)
