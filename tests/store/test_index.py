"""What every index does, over SQLite and over a real PostgreSQL server; what is particular to PostgreSQL: test_index_postgres.py."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from toybench import commit

from penstock.core.canonical import Key
from penstock.core.errors import StoreError
from penstock.store import Failure, IndexedArtifact, IndexedFailure, StageTotals, Store, _index, _index_sqlite
from penstock.store._index import Index
from penstock.store._index_place import open_index
from penstock.store._index_postgres import PostgresIndex
from penstock.store._index_sqlite import SqliteIndex

ARTIFACT = IndexedArtifact(Key("abcd" * 8), "toy.hits", "run-0001", {"params": {"a": 1}}, 10, 5, 4, "2026-01-01")
OPEN = (
    "import sys; from pathlib import Path; from penstock.store import Store\n"
    "place = sys.argv[3] if '://' in sys.argv[3] else Path(sys.argv[3])\n"
    "Store(Path(sys.argv[1]), index=place).index.set_ref(sys.argv[2], 'k')"
)


@pytest.fixture
def reopen(index_place: Path | str, tmp_path: Path) -> Iterator[Callable[[], Index]]:
    """Opens the index of one store, again and again."""
    opened: list[Index] = []

    def again() -> Index:
        opened.append(open_index(index_place, tmp_path))
        return opened[-1]

    yield again
    for one in opened:
        one.close()


@pytest.fixture
def index(reopen: Callable[[], Index]) -> Index:
    return reopen()


@pytest.fixture
def store(index_place: Path | str, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store", index=index_place) as empty:
        yield empty


def content(store: Store) -> tuple[object, ...]:
    keys = list(store.index.artifacts())
    return store.index.artifacts(), store.index.refs(), store.index.failures([*keys, "f" * 32])


def test_an_artifact_is_found_as_it_was_entered(index: Index) -> None:
    index.put(ARTIFACT)

    assert index.artifacts([ARTIFACT.key]) == {ARTIFACT.key: ARTIFACT}
    assert index.existing([ARTIFACT.key, "other"]) == {ARTIFACT.key}


def test_an_artifact_that_is_entered_again_replaces_the_first(index: Index) -> None:
    index.put(replace(ARTIFACT, size=3 << 40))
    index.put(replace(ARTIFACT, size=5 << 40))

    assert index.artifacts() == {ARTIFACT.key: replace(ARTIFACT, size=5 << 40)}


def test_an_artifact_that_is_forgotten_is_gone(index: Index) -> None:
    index.put(ARTIFACT)

    index.forget(ARTIFACT.key)

    assert index.artifacts() == {}


def test_more_keys_than_a_statement_takes_are_looked_up_in_few_statements(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.put(ARTIFACT)
    statements: list[str] = []
    ask = index._rows
    monkeypatch.setattr(index, "_rows", lambda sql, values: statements.append(sql) or ask(sql, values))

    found = index.existing([ARTIFACT.key, *(f"k{i}" for i in range(3999))])

    assert found == {ARTIFACT.key}
    assert len(statements) == 8


def test_a_ref_moves(index: Index) -> None:
    index.set_ref("e/default/run-0001/toy.hits", "one")
    index.set_ref("e/default/run-0001/toy.hits", "two")
    index.set_ref("e/default/run-0002/toy.hits", "one")

    assert index.refs(["e/default/run-0001/toy.hits", "none"]) == {"e/default/run-0001/toy.hits": "two"}
    assert len(index.refs()) == 2


def test_the_checksum_of_a_raw_file_is_kept_with_its_size_time_and_inode(index: Index) -> None:
    index.put_raw_file("/raw/run_0001.h5", 5 << 40, 1_795_285_297_169_610_712, (1 << 63) - 1, "ff")

    assert index.raw_files(["/raw/run_0001.h5", "/raw/run_0002.h5"]) == {
        "/raw/run_0001.h5": (5 << 40, 1_795_285_297_169_610_712, (1 << 63) - 1, "ff")
    }


def test_the_message_of_a_failure_may_hold_any_character(index: Index) -> None:
    index.put_failure("k", IndexedFailure("run 1: µ 'quoted' %s ? \0", content=False, at="2026-01-01"))

    assert index.failures(["k"])["k"] == IndexedFailure("run 1: µ 'quoted' %s ? \ufffd", content=False, at="2026-01-01")


def test_keys_are_found_by_their_first_characters(index: Index) -> None:
    index.put(ARTIFACT)

    assert index.find("abc") == [ARTIFACT.key]
    assert index.find("abx") == []


@pytest.mark.parametrize("prefix", ["", "a", "ab", "abcd" * 8], ids=["none", "one", "two", "all"])
def test_every_key_with_the_same_beginning_is_found(index: Index, prefix: str) -> None:
    keys = [Key(start.ljust(32, "7")) for start in ("2", "a2", "az", "b", "zz")] + [ARTIFACT.key]
    index.put(*(replace(ARTIFACT, key=key) for key in keys))

    assert index.find(prefix) == sorted(key for key in keys if key.startswith(prefix))


def test_an_artifact_ends_the_memory_of_a_failure(index: Index) -> None:
    index.put_failure(ARTIFACT.key, IndexedFailure("it broke", content=True, at="2026-01-01"))
    assert index.failures([ARTIFACT.key])[ARTIFACT.key].error == "it broke"

    index.put(ARTIFACT)

    assert index.failures([ARTIFACT.key]) == {}


def test_keys_are_found_by_characters_and_not_by_patterns(index: Index) -> None:
    index.put(ARTIFACT)

    assert [index.find(text) for text in ("a*", "a%", "a_", "")] == [[], [], [], [ARTIFACT.key]]


def test_several_artifacts_and_refs_are_entered_at_once(index: Index) -> None:
    other = replace(ARTIFACT, key=Key("abce" * 8))
    index.put(ARTIFACT, other)
    index.set_refs([("e", ARTIFACT.key), ("f", other.key)])

    assert index.artifacts() == {ARTIFACT.key: ARTIFACT, other.key: other}
    assert index.refs() == {"e": ARTIFACT.key, "f": other.key}


def test_nothing_is_entered_where_there_is_nothing(index: Index) -> None:
    index.put()
    index.set_refs([])

    assert (index.artifacts(), index.refs()) == ({}, {})


def test_totals_are_sums_by_stage(index: Index) -> None:
    index.put(
        ARTIFACT, replace(ARTIFACT, key=Key("b" * 32), created="2026-01-02"), replace(ARTIFACT, key=Key("c" * 32), stage="toy.groups")
    )

    assert index.totals() == {"toy.hits": StageTotals(2, 20, 10, 8, "2026-01-02"), "toy.groups": StageTotals(1, 10, 5, 4, "2026-01-01")}


LOOKUPS: dict[str, Callable[[Index], object]] = {
    "existing": lambda index: index.existing(["a", "b"]),
    "artifacts": lambda index: index.artifacts(["a", "b"]),
    "find": lambda index: index.find("abcd" * 8),
    "refs": lambda index: index.refs(["a", "b"]),
    "raw_files": lambda index: index.raw_files(["a", "b"]),
    "failures": lambda index: index.failures(["a", "b"]),
    "claim_owner": lambda index: index.claim_owner("a"),
}


@pytest.mark.parametrize("lookup", LOOKUPS.values(), ids=LOOKUPS)
def test_what_planning_and_runs_look_up_reads_no_whole_table(
    index: Index, lookup: Callable[[Index], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, plans = index._rows, []
    explain = "EXPLAIN QUERY PLAN" if isinstance(index, SqliteIndex) else "EXPLAIN"
    if isinstance(index, PostgresIndex):
        # It would read small tables as a whole, which is right.
        index._connected().execute("SET enable_seqscan = off")

    def explained(sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        plans.append(str(ask(f"{explain} {sql}", values)))
        return []

    monkeypatch.setattr(index, "_rows", explained)
    lookup(index)

    assert len(plans) == 1
    assert re.search(r"SEARCH|Index Cond", plans[0])
    assert not re.search(r"SCAN|Seq Scan", plans[0])


def test_the_beginning_of_a_key_is_looked_up_in_the_index_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteIndex(tmp_path / "index.sqlite")) as index:
        ask = index._rows
        monkeypatch.setattr(index, "_rows", lambda sql, values: [(Key(str(ask(f"EXPLAIN QUERY PLAN {sql}", values))),)])

        (plan,) = index.find("abcd")

    assert "SEARCH artifacts USING COVERING INDEX" in plan


def test_an_index_of_an_older_release_is_migrated_and_keeps_its_rows(reopen: Callable[[], Index], monkeypatch: pytest.MonkeyPatch) -> None:
    old = reopen()
    old.put(ARTIFACT)
    old.close()
    monkeypatch.setattr(_index, "MIGRATIONS", (*_index.MIGRATIONS, "ALTER TABLE {at}failures ADD COLUMN host TEXT"))

    new = reopen()

    assert new.existing([ARTIFACT.key]) == {ARTIFACT.key}
    assert new._rows(f"SELECT host FROM {new._at}failures") == []
    assert list(new._steps(len(_index.MIGRATIONS))) == []


def test_a_migration_that_fails_leaves_the_index_as_it_was(reopen: Callable[[], Index], monkeypatch: pytest.MonkeyPatch) -> None:
    reopen().close()
    known = _index.MIGRATIONS
    monkeypatch.setattr(_index, "MIGRATIONS", (*known, "ALTER TABLE {at}refs ADD COLUMN a TEXT; nonsense"))
    with pytest.raises(StoreError, match="syntax error"):
        reopen()

    monkeypatch.setattr(_index, "MIGRATIONS", known)
    index = reopen()

    index.set_ref("e", "k")
    assert index._rows(f"SELECT * FROM {index._at}refs") == [("e", "k")]


def test_an_index_of_a_newer_release_is_refused(reopen: Callable[[], Index], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(_index, "MIGRATIONS", (*_index.MIGRATIONS, "CREATE TABLE {at}later (a TEXT)"))
        index = reopen()
    message = (
        f"index {index.name}: written by a newer penstock (version 2, known are 1 to 1). "
        f"Upgrade penstock, or {index._removal()} and run: penstock store rebuild"
    )

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        reopen()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"x" * 4096)

    with pytest.raises(
        StoreError, match=f"^{re.escape(f'index {path}: damaged (file is not a database). Remove it and run: penstock store rebuild')}$"
    ):
        SqliteIndex(path)


def test_a_network_file_system_is_refused_by_name_and_the_message_shows_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_index_sqlite, "_filesystem_of", lambda folder: "nfs4")
    path = tmp_path / "index.sqlite"
    message = (
        f"index {path}: lies on a network file system (nfs4), where SQLite's locks cannot be trusted. Name a local path in experiment.toml "
        '([store] index = "/var/lib/..."), or, where several hosts write, a database: [store] index = "postgresql://user@host/database"'
    )

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        SqliteIndex(path)


@pytest.mark.parametrize("name", ["/net/data", r"/net/run\040files", "/net/Röntgen"], ids=["plain", "blank", "umlaut"])
def test_the_file_system_is_found_whatever_its_mount_point_is_called(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"/dev/sda / ext4 rw 0 0\nserver:/x {name} nfs4 rw 0 0\n")

    assert _index_sqlite._filesystem_of(Path(name.replace(r"\040", " ")) / "store") == "nfs4"
    assert _index_sqlite._filesystem_of(Path("/home/daq")) == "ext4"


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


def test_an_index_that_was_lost_is_rebuilt_from_the_store(tmp_path: Path, index_place: Path | str) -> None:
    with Store(tmp_path / "store", index=index_place) as store:
        commit(store, "one", ref="e/default/run-0001/toy.hits")
        before = content(store)
    lose(index_place, store)

    with Store(tmp_path / "store", index=index_place) as store:
        assert content(store) == ({}, {}, {})
        store.rebuild()
        assert content(store) == before


def lose(place: Path | str, store: Store) -> None:
    if isinstance(place, Path):
        for path in place.parent.glob(f"{place.name}*"):
            path.unlink()
    else:
        with psycopg.connect(place) as connection:
            connection.execute(f"DROP SCHEMA {store.index._at.rstrip('.')} CASCADE")


@pytest.mark.slow
def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path, index_place: Path | str) -> None:
    commands = [[sys.executable, "-W", "ignore", "-c", OPEN, str(tmp_path / "new"), str(i), str(index_place)] for i in range(6)]

    processes = [subprocess.Popen(command) for command in commands]

    assert [p.wait(60) for p in processes] == [0] * 6
    with Store(tmp_path / "new", index=index_place) as store:
        assert len(store.index.refs()) == 6
