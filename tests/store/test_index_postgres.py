"""What is particular to an index in PostgreSQL: connections that are lost, servers that restart, many hosts, secrets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from realpostgres import PostgresServer
from toybench import ToyExperiment, commit, report_of

from penstock.config import load_experiment
from penstock.core.canonical import Key
from penstock.core.errors import ConfigError, StoreError
from penstock.store import Claims, Store, _index_postgres
from penstock.store._index import IndexedArtifact, IndexedFailure
from penstock.store._index_postgres import PostgresIndex

STORE = "0123456789ab"
KEY = "a" * 32


@pytest.fixture
def index(postgres_database: str) -> Iterator[PostgresIndex]:
    opened = PostgresIndex(postgres_database, STORE)
    yield opened
    opened.close()


@pytest.fixture
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which a test may kill: it runs again afterwards."""
    yield postgres_server
    postgres_server.start()


def end_connections(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'")


def test_a_connection_that_was_lost_is_made_anew(index: PostgresIndex, postgres_server: PostgresServer) -> None:
    index.set_ref("e", "k")
    end_connections(postgres_server)

    assert index.refs() == {"e": "k"}
    end_connections(postgres_server)
    index.set_ref("e", "l")
    assert index.refs() == {"e": "l"}


CALLS: dict[str, Callable[[PostgresIndex], object]] = {
    "put": lambda index: index.put(IndexedArtifact(Key("b" * 32), "toy.hits", "run-0001", {}, 1, 1, 1, "2026-01-01")),
    "existing": lambda index: index.existing([KEY]),
    "artifacts": lambda index: index.artifacts(),
    "find": lambda index: index.find("aa"),
    "forget": lambda index: index.forget(KEY),
    "clear": lambda index: index.clear(),
    "refs": lambda index: index.refs(["e"]),
    "set_refs": lambda index: index.set_refs([("e", KEY), ("f", KEY)]),
    "raw_files": lambda index: index.raw_files(["/raw/run_0001.h5"]),
    "put_raw_file": lambda index: index.put_raw_file("/raw/run_0001.h5", 1, 1, 1, "ff"),
    "failures": lambda index: index.failures([KEY]),
    "put_failure": lambda index: index.put_failure(KEY, IndexedFailure("it broke", content=True, at="2026-01-01")),
    "claim": lambda index: index.claim("key", "here:1:1:aaaa", (), 30.0),
    "claim_owner": lambda index: index.claim_owner("key"),
    "claims": lambda index: list(index.claims()),
    "heartbeat": lambda index: index.heartbeat("here:1:1:aaaa"),
    "release": lambda index: index.release("key", "here:1:1:aaaa"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_outlives_a_connection_that_the_server_ended(
    index: PostgresIndex, postgres_server: PostgresServer, call: Callable[[PostgresIndex], object]
) -> None:
    index.put(IndexedArtifact(Key(KEY), "toy.hits", "run-0001", {}, 1, 1, 1, "2026-01-01"))
    index.claim("key", "here:1:1:aaaa", (), 30.0)
    expected = call(index)
    end_connections(postgres_server)

    assert call(index) == expected


def test_a_server_that_ends_idle_connections_stops_no_run(
    index: PostgresIndex, postgres_server: PostgresServer, postgres_database: str
) -> None:
    name = postgres_database.rpartition("/")[2]
    with postgres_server.connect() as connection:
        connection.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '50ms'")
    index._disconnect()
    index.set_ref("e", KEY)
    time.sleep(0.3)

    assert index.refs() == {"e": KEY}


def test_a_server_that_only_reads_is_told_with_the_way_to_the_one_that_writes(
    index: PostgresIndex, postgres_server: PostgresServer, postgres_database: str
) -> None:
    with postgres_server.connect() as connection:
        connection.execute(f"ALTER DATABASE {postgres_database.rpartition('/')[2]} SET default_transaction_read_only = on")
    index._disconnect()

    with pytest.raises(
        StoreError, match=r"the database only reads \(.*\)\. Name the server that writes: .* target_session_attrs=read-write"
    ):
        index.set_ref("e", KEY)
    assert index.refs() == {}


def test_a_signal_in_the_middle_of_a_statement_does_no_harm_to_the_next(index: PostgresIndex) -> None:
    def interrupt(*_: object) -> None:
        raise TimeoutError("the time is up")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(TimeoutError):
        index._rows("SELECT pg_sleep(30)")
    signal.signal(signal.SIGALRM, before)

    index.set_ref("e", "k")
    assert index.refs() == {"e": "k"}


class Cutter:
    """A wire to the server that takes the first COMMIT there, swallows the answer, and breaks."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.armed = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, outward: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if outward and self.armed and b"COMMIT" in data:
                    self.armed = False
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    time.sleep(0.1)
                    target.close()
                    return
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_is_lost_in_mid_commit_loses_nothing_and_does_nothing_twice(
    postgres_database: str, postgres_server: PostgresServer
) -> None:
    wire = Cutter(postgres_server.port)
    index = PostgresIndex(postgres_database.replace(f":{postgres_server.port}/", f":{wire.port}/"), STORE)

    wire.armed = True
    claimed = index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    wire.armed = True
    index.set_ref("e", "k")
    found = index.claims(), index.refs()
    index.close()
    wire.close()

    assert wire.cuts == 2
    assert claimed
    assert list(found[0]) == ["key"]
    assert found[1] == {"e": "k"}


def test_a_killed_server_is_waited_for_and_nothing_is_lost(index: PostgresIndex, own_server: PostgresServer) -> None:
    index.set_ref("e", "k")
    index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    own_server.kill()
    starter = threading.Timer(0.5, own_server.start)
    starter.start()

    found = index.refs(), list(index.claims())
    starter.join()

    assert found == ({"e": "k"}, ["key"])


def test_a_restart_of_the_server_spares_the_claims_of_those_who_could_not_say_that_they_live(
    index: PostgresIndex, own_server: PostgresServer
) -> None:
    index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)
    index._write((f"UPDATE {index._at}claims SET heartbeat = heartbeat - 1000", ()))
    own_server.kill()
    own_server.start()

    assert not index.claim("key", "here:1:1:bbbb", (), 30.0)
    assert index.claim("key", "here:1:1:bbbb", (), 0.0)


def test_claims_go_by_the_clock_of_the_database(index: PostgresIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e12)
    index.claim("key", "elsewhere:1:1:aaaa", (), 30.0)

    assert not index.claim("key", "here:1:1:bbbb", (), 30.0)
    assert abs(index.claims()["key"][1] - 1e12) < 10


def test_stores_of_one_database_know_nothing_of_each_other(tmp_path: Path, postgres_database: str) -> None:
    with Store(tmp_path / "one", index=postgres_database) as one, Store(tmp_path / "other", index=postgres_database) as other:
        key = commit(one, "one", ref="e/default/run-0001/toy.hits")
        Claims(one.index).take("key")

        assert other.index.existing([key]) == set()
        assert (other.index.refs(), other.index.claims()) == ({}, {})
        other.rebuild()
        assert one.index.existing([key]) == {key}


def test_a_store_that_hosts_mount_at_different_places_is_one_store(tmp_path: Path, postgres_database: str) -> None:
    (tmp_path / "elsewhere").symlink_to(tmp_path / "here")
    with Store(tmp_path / "here", index=postgres_database) as here, Store(tmp_path / "elsewhere", index=postgres_database) as elsewhere:
        key = commit(here, "one", ref="e/default/run-0001/toy.hits")

        assert elsewhere.index.existing([key]) == {key}


def test_many_who_write_at_once_lose_nothing(postgres_database: str) -> None:
    def write(number: int) -> None:
        index = PostgresIndex(postgres_database, STORE)
        for step in range(20):
            index.set_ref(f"e/{number}/{step}", "k")
            index.put_raw_file("/raw/run_0001.h5", number, step, 1, "ff")
        index.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    index = PostgresIndex(postgres_database, STORE)
    assert len(index.refs()) == 160
    assert len(index.raw_files(["/raw/run_0001.h5"])) == 1
    index.close()


def fails(place: str, error: type[Exception] = StoreError) -> str:
    with pytest.raises(error) as caught:
        PostgresIndex(place, STORE)
    return str(caught.value)


def test_a_wrong_password_is_told_at_once_and_never_repeated(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    message = fails(postgres_database)

    assert message.startswith(f"index {postgres_database} (schema penstock_{STORE}): the database refuses the connection (")
    assert message.endswith("Mend [store] index in experiment.toml, or give the password by PGPASSWORD or a password file.")
    assert "hunter2" not in message


def test_a_database_that_does_not_exist_is_told_at_once(postgres_database: str) -> None:
    assert "the database refuses the connection (connection failed: " in fails(f"{postgres_database}_")


def test_a_server_that_is_not_there_is_told_after_some_seconds(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_index_postgres, "OPENING_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = fails(re.sub(r":\d+/", f":{port}/", postgres_database))

    assert re.search(
        r"the database did not answer for 0 s \(.*refused.*\)\. What was committed stays: start it, or mend \[store\] index", message
    )


def test_an_address_that_libpq_does_not_understand_is_told() -> None:
    message = fails("postgresql://host/db?nonsense=1", ConfigError)
    assert message == '[store] index: not an address (invalid URI query parameter: "nonsense"). Write: postgresql://user@host:port/database'


def test_a_missing_right_is_told_with_the_way_to_give_it(
    postgres_database: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    monkeypatch.setenv("PGPASSWORD", "guest")
    message = fails(postgres_database.replace("tester@", "guest@"))

    assert re.search(
        r"a right is missing \(permission denied for database .*\)\. Let the owner of the database run: GRANT CREATE ON DATABASE", message
    )


def test_a_schema_that_was_dropped_is_told(index: PostgresIndex, postgres_server: PostgresServer, postgres_database: str) -> None:
    with postgres_server.connect(postgres_database.rpartition("/")[2]) as connection:
        connection.execute(f"DROP SCHEMA {index.schema} CASCADE")

    with pytest.raises(StoreError, match=r"its tables are gone \(.*\)\. Run: penstock store rebuild$"):
        index.refs()


def test_a_closed_index_says_so(postgres_database: str) -> None:
    index = PostgresIndex(postgres_database, STORE)
    index.close()

    with pytest.raises(StoreError, match=r": is closed\. Open the store again\.$"):
        index.refs()


def configure(toy: ToyExperiment, address: str) -> None:
    toy.configure(f'[store]\nindex = "{address}"')
    toy.store.close()
    experiment = toy.load()
    toy.store = Store(experiment.store_path, index=experiment.index_path)


def test_a_password_from_the_environment_opens_the_index_and_is_written_nowhere(
    toy: ToyExperiment, postgres_database: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PENSTOCK_DB", postgres_server.password)
    toy.write_run(1)
    configure(toy, postgres_database.replace("tester@", "tester:${PENSTOCK_DB}@"))

    report = toy.run()

    assert toy.states(report) == {1: ["computed"] * 3}
    assert postgres_server.password not in repr(load_experiment(toy.folder))
    assert postgres_server.password not in toy.store.index.name
    found = subprocess.run(["grep", "-rl", postgres_server.password, str(toy.folder)], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 1)


def test_a_password_written_in_experiment_toml_is_refused_with_the_name_of_the_file(toy: ToyExperiment) -> None:
    toy.configure('[store]\nindex = "postgresql://daq:hunter2@db/penstock"')

    with pytest.raises(
        ConfigError, match=rf"^{re.escape(str(toy.folder / 'experiment.toml'))}: \[store\] index: a password stands in the address"
    ) as caught:
        toy.load()

    assert "hunter2" not in str(caught.value)


def test_the_page_makes_a_database_that_an_index_may_use(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "postgres.md").read_text()
    (statements,) = re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    with postgres_server.connect() as connection:
        for statement in statements.split(";"):
            connection.execute(statement)
    monkeypatch.setenv("PGPASSWORD", "choose-your-own")

    with Store(tmp_path, index=f"postgresql://penstock@127.0.0.1:{postgres_server.port}/penstock") as store:
        commit(store, "one")
        assert store.rebuild() == 1


def start_run(toy: ToyExperiment) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "penstock.cli", "run", str(toy.folder / "experiment.toml"), "--executor", "inline", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1] / "toy"), "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_run_completes_although_the_server_is_killed_in_its_middle(
    toy: ToyExperiment, tmp_path: Path, postgres_database: str, own_server: PostgresServer
) -> None:
    gates = [tmp_path / f"gate{run}" for run in (1, 2, 3)]
    for run, gate in enumerate(gates, 1):
        toy.write_run(run, n_events=9, switches={5: f"wait@{gate}"})
    configure(toy, postgres_database)
    process = start_run(toy)

    for gate in gates:
        wait_until(gate.with_name(f"{gate.name}.reached").exists)
        own_server.kill()
        gate.touch()
        time.sleep(1.0)
        own_server.start()
    report = report_of(process)

    assert (report["computed"], report["failed"]) == (9, 0)
    assert len(toy.store.index.artifacts()) == 9
    assert len(toy.store.index.refs()) == 9
    assert toy.store.index.claims() == {}
    assert toy.states(toy.run()) == {run: ["current"] * 3 for run in (1, 2, 3)}


@pytest.mark.slow
def test_a_second_request_waits_through_a_restart_of_the_server_and_adopts_the_result(
    toy: ToyExperiment, tmp_path: Path, postgres_database: str, own_server: PostgresServer
) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=9, switches={5: f"wait@{gate}"})
    configure(toy, postgres_database)
    first = start_run(toy)
    wait_until((tmp_path / "gate.reached").exists)
    second = start_run(toy)
    time.sleep(3.0)

    own_server.kill()
    own_server.start()
    time.sleep(1.0)
    gate.touch()

    counts = [(r["computed"], r["current"], r["failed"]) for r in (report_of(first), report_of(second))]
    assert counts == [(3, 0, 0), (0, 3, 0)]
