"""The index in a PostgreSQL database, for a store that several hosts write: a schema a store, one connection a process.

A lost connection is made anew and the statement executed again, which is right because every one of them may be
executed twice; so a server may be restarted under running processes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from penstock.core.errors import ConfigError, StoreError
from penstock.store._index import Index, Statement
from penstock.store._index_address import SECRETS, expand, shown

__all__ = ["PostgresIndex"]

PATIENCE_S = 60.0
"""How long a statement waits for a server that is away, in seconds."""
OPENING_S = 10.0
"""The same of a process that begins, in seconds."""
LONGEST_PAUSE_S = 1.0
"""Between two attempts to connect, in seconds."""

_CONNECTION = {"connect_timeout": "10", "tcp_user_timeout": "60000", "fallback_application_name": "penstock"}
_AGAIN = {"25P03", "40001", "40P01", "53300", "57P01", "57P02", "57P03", "57P05"}
"""SQLSTATE of what passes: lost to another transaction, too many connections, a server that stops or starts, a connection that was idle for long."""
_FINAL = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "pg_hba.conf",
    "is not permitted to log in",
    "permission denied",
)
"""A server that refuses a connection gives no SQLSTATE to its client; where it says so, waiting does not help."""

Connection = psycopg.Connection[tuple[Any, ...]]
Found = TypeVar("Found")


class PostgresIndex(Index):
    """The index of one store in a database.

    Parameters
    ----------
    address
        ``postgresql://user@host:port/database``; the password comes from where libpq looks for it, or from ``${NAME}``.
    identity
        Of the store, see `store_identity`: its tables lie in the schema ``penstock_IDENTITY``.
    """

    _clock: ClassVar[str] = "extract(epoch FROM clock_timestamp())::float8"
    _server_start: ClassVar[str] = "extract(epoch FROM pg_postmaster_start_time())::float8"

    def __init__(self, address: str, identity: str) -> None:
        self.schema = f"penstock_{identity}"
        self.name = f"{shown(address)} (schema {self.schema})"
        self._at = f"{self.schema}."
        self._options = _options(address)
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._closed = False
        try:
            self._persist(self._migrate, OPENING_S)
        except BaseException:
            self.close()
            raise

    @property
    def connection_options(self) -> dict[str, str]:
        """What the connection was made with, by libpq's names, whatever file or variable said so: ``host``, ``sslmode``, ..."""

        def ask(connection: Connection) -> dict[str, str]:
            given = {option.keyword.decode(): (option.val or b"").decode() for option in connection.pgconn.info}
            return {**given, "host": connection.info.host or given.get("hostaddr", "")}

        found = self._persist(ask, PATIENCE_S)
        return {name: value for name, value in found.items() if name not in SECRETS}

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _last_sign(self, heartbeat: str) -> str:
        """While the server was away nobody could say that he lives: a restart counts as a heartbeat of all."""
        return f"GREATEST({heartbeat}, {self._server_start})"

    def _removal(self) -> str:
        return f"drop the schema {self.schema}"

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._persist(lambda connection: connection.execute(_query(sql), values).fetchall(), PATIENCE_S)

    def _write(self, *statements: Statement) -> int:
        def execute(connection: Connection) -> int:
            changed = 0
            with connection.transaction():
                for sql, values in statements:
                    changed = connection.execute(_query(sql), values).rowcount
            return changed

        return self._persist(execute, PATIENCE_S)

    def _migrate(self, connection: Connection) -> None:
        """Make the schema, or bring it up to date; of processes that come at the same moment one does it and the others wait."""
        if not list(self._steps(self._version(connection))):
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.schema,))
            version = self._version(connection)
            if version == 0:
                connection.execute(_query(f"CREATE SCHEMA IF NOT EXISTS {self.schema}"))
                connection.execute(_query(f"CREATE TABLE IF NOT EXISTS {self._at}migrations (number INTEGER PRIMARY KEY)"))
            for number, statements in self._steps(version):
                for statement in statements:
                    connection.execute(_query(statement))
                connection.execute(_query(f"INSERT INTO {self._at}migrations VALUES (?)"), (number,))  # noqa: S608

    def _version(self, connection: Connection) -> int:
        # Asked of the catalogue itself: to_regclass answers from a cache that does not see what another session has just made.
        found = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'migrations'"
        if not connection.execute(found, (self.schema,)).fetchall():
            return 0
        ((version,),) = connection.execute(_query(f"SELECT COALESCE(max(number), 0) FROM {self._at}migrations")).fetchall()  # noqa: S608
        return int(version)

    def _persist(self, action: Callable[[Connection], Found], patience_s: float) -> Found:
        """Do something on the connection, and again on a new one where it was lost, for some time."""
        deadline = time.monotonic() + patience_s
        pause = 0.05
        with self._lock:
            while True:
                try:
                    return action(self._connected())
                except psycopg.Error as error:
                    lost = self._connection is None or self._connection.closed
                    if lost or error.sqlstate in _AGAIN:
                        self._disconnect()
                    if not _passes(error, lost=lost) or time.monotonic() + pause > deadline:
                        raise StoreError(self._explain(error, lost=lost, patience_s=patience_s)) from error
                except BaseException:
                    # A signal's exception may leave an answer behind that the next statement would take for its own.
                    self._disconnect()
                    raise
                time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  many processes come back at the same time
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _connected(self) -> Connection:
        if self._closed:
            raise StoreError(f"index {self.name}: is closed. Open the store again.")
        if self._connection is None:
            # Poolers hand each transaction to another session, which knows no prepared statement of ours.
            self._connection = psycopg.connect(**{"client_encoding": "utf8", **self._options}, autocommit=True, prepare_threshold=None)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _explain(self, error: psycopg.Error, *, lost: bool, patience_s: float) -> str:
        text = " ".join(str(error).split())
        if lost and _passes(error, lost=lost):
            return (
                f"index {self.name}: the database did not answer for {patience_s:.0f} s ({text}). "
                "What was committed stays: start it, or mend [store] index in experiment.toml, and run the same command again."
            )
        if lost:
            return f"index {self.name}: the database refuses the connection ({text}). Mend [store] index in experiment.toml, or give the password by PGPASSWORD or a password file."
        if error.sqlstate == "42501":
            return f"index {self.name}: a right is missing ({text}). Let the owner of the database run: GRANT CREATE ON DATABASE ... TO the user of the address"
        if error.sqlstate in ("53100", "53200"):
            return f"index {self.name}: the database server is full ({text}). Free space there and run the same command again."
        if error.sqlstate == "25006":
            return (
                f"index {self.name}: the database only reads ({text}). Name the server that writes: with several hosts in [store] index, "
                "target_session_attrs=read-write finds it."
            )
        if error.sqlstate in ("42P01", "3F000"):
            return f"index {self.name}: its tables are gone ({text}). Run: penstock store rebuild"
        return f"index {self.name}: {text}. Run the same command again; if that does not help, {self._removal()} and run: penstock store rebuild"


def _query(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _options(address: str) -> dict[str, Any]:
    """The parameters of the connection, with environment variables in place."""
    try:
        parsed = conninfo_to_dict(address)
    except psycopg.Error as error:
        raise ConfigError(f"[store] index: not an address ({str(error).strip()}). Write: postgresql://user@host:port/database") from None
    return _CONNECTION | {name: expand(str(value)) for name, value in parsed.items() if value is not None}


def _passes(error: psycopg.Error, *, lost: bool) -> bool:
    """Whether the same statement may succeed in a moment."""
    if error.sqlstate is not None:
        return error.sqlstate in _AGAIN or error.sqlstate.startswith("08")
    return lost and not any(reason in str(error) for reason in _FINAL)
