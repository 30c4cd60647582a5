from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toybench import commit

from penstock.core.canonical import Key
from penstock.core.errors import StoreError
from penstock.store import Failure, IndexedArtifact, IndexedFailure, Store, _index
from penstock.store._index import Index

ARTIFACT = IndexedArtifact(Key("abcd" * 8), "toy.hits", "run-0001", {"params": {"a": 1}}, 10, 5, 4, "2026-01-01")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.sqlite")
    yield opened
    opened.close()


def content(store: Store) -> tuple[object, ...]:
    keys = list(store.index.artifacts())
    return store.index.artifacts(), store.index.refs(), store.index.failures([*keys, "f" * 32])


def test_an_artifact_is_found_as_it_was_entered(index: Index) -> None:
    index.put(ARTIFACT)

    assert index.artifacts([ARTIFACT.key]) == {ARTIFACT.key: ARTIFACT}
    assert index.existing([ARTIFACT.key, "other"]) == {ARTIFACT.key}


def test_more_keys_than_a_statement_takes_are_looked_up_in_few_statements(index: Index) -> None:
    index.put(ARTIFACT)
    statements: list[str] = []
    index._db.set_trace_callback(statements.append)

    found = index.existing([ARTIFACT.key, *(f"k{i}" for i in range(3999))])

    assert found == {ARTIFACT.key}
    assert len(statements) == 8


def test_keys_are_found_by_their_first_characters(index: Index) -> None:
    index.put(ARTIFACT)

    assert index.find("abc") == [ARTIFACT.key]
    assert index.find("abx") == []


def test_an_artifact_ends_the_memory_of_a_failure(index: Index) -> None:
    index.put_failure(ARTIFACT.key, IndexedFailure("it broke", content=True, at="2026-01-01"))
    assert index.failures([ARTIFACT.key])[ARTIFACT.key].error == "it broke"

    index.put(ARTIFACT)

    assert index.failures([ARTIFACT.key]) == {}


def test_an_index_of_an_older_release_is_migrated_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Index(tmp_path / "index.sqlite")
    old.put(ARTIFACT)
    old.close()
    monkeypatch.setattr(_index, "_MIGRATIONS", (*_index._MIGRATIONS, "ALTER TABLE failures ADD COLUMN host TEXT"))

    new = Index(tmp_path / "index.sqlite")

    assert new.existing([ARTIFACT.key]) == {ARTIFACT.key}
    assert new._db.execute("PRAGMA user_version").fetchone() == (len(_index._MIGRATIONS),)
    new.close()


def test_a_migration_that_fails_leaves_the_index_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Index(tmp_path / "index.sqlite").close()
    monkeypatch.setattr(_index, "_MIGRATIONS", (*_index._MIGRATIONS, "ALTER TABLE refs ADD COLUMN a TEXT; nonsense"))
    with pytest.raises(StoreError, match="syntax error"):
        Index(tmp_path / "index.sqlite")

    with sqlite3.connect(tmp_path / "index.sqlite") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(refs)")]
        version = database.execute("PRAGMA user_version").fetchone()
    database.close()

    assert columns == ["name", "key"]
    assert version == (1,)


def test_an_index_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    message = (
        f"index {path}: written by a newer penstock (version 99, known are 1 to 1). "
        "Upgrade penstock, or remove the index and run: penstock store rebuild"
    )

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        Index(path)


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"x" * 4096)

    with pytest.raises(
        StoreError, match=f"^{re.escape(f'index {path}: damaged (file is not a database). Remove it and run: penstock store rebuild')}$"
    ):
        Index(path)


def test_a_network_file_system_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_index, "_filesystem_of", lambda folder: "nfs4")
    path = tmp_path / "index.sqlite"
    message = (
        f"index {path}: lies on a network file system (nfs4), where SQLite's locks cannot be trusted. "
        'Name a local path in experiment.toml: [store] index = "..."'
    )

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        Index(path)


def test_the_index_may_lie_elsewhere_than_the_store(tmp_path: Path) -> None:
    with Store(tmp_path / "store", index=tmp_path / "local" / "index.sqlite"):
        assert (tmp_path / "local" / "index.sqlite").exists()
        assert not (tmp_path / "store" / "index.sqlite").exists()


def test_a_rebuilt_index_is_equal_to_the_one_that_was_kept(store: Store) -> None:
    commit(store, "one", ref="e/default/run-0001/toy.hits")
    commit(store, "two", ref="e/default/run-0002/toy.hits")
    store.record_failure(Failure(Key("f" * 32), 3, "toy.hits", "run 3: it broke", "0:4", "Traceback", content=True))
    before = content(store)

    count = store.rebuild()

    assert count == 2
    assert content(store) == before


def test_an_index_that_was_lost_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        commit(store, "one", ref="e/default/run-0001/toy.hits")
        before = content(store)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()

    with Store(tmp_path) as store:
        assert content(store) == ({}, {}, {})
        store.rebuild()
        assert content(store) == before


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.store import Store; Store(Path(sys.argv[1])).index.set_ref(sys.argv[2], 'k')"
    )

    processes = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "new"), str(i)]) for i in range(6)]

    assert [p.wait(60) for p in processes] == [0] * 6
    with Store(tmp_path / "new") as store:
        assert len(store.index.refs()) == 6
