"""A real PostgreSQL server of Debian's package for tests: in a folder of its own, on a free port, with a password, ended with the session."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock_flows.server import free_port

__all__ = ["PostgresServer", "postgres_database", "postgres_server"]

USER = "tester"


@dataclass
class PostgresServer:
    """A cluster of databases in a folder, and the process that serves it."""

    folder: Path
    programs: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the cluster."""
        passwords = self.folder / "password"
        passwords.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(passwords, "postgres", "postgres")
        options = [
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            f"--pwfile={passwords}",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--no-instructions",
        ]
        subprocess.run(
            [str(self.programs / "initdb"), "-D", str(self.folder / "data"), *options],
            cwd="/",
            check=True,
            capture_output=True,
            **self._account(),
        )
        passwords.unlink()

    def start(self) -> None:
        """Start the server, also after `kill`, and wait until it answers."""
        import psycopg

        quick = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "shared_buffers": "32MB",
        }
        options = [word for name, value in quick.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + 60
        while True:
            if self.process is None or self.process.poll() is not None:
                with (self.folder / "server.log").open("ab") as log:
                    self.process = subprocess.Popen(
                        [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options],
                        cwd="/",
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        **self._account(),
                    )
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """``kill -9`` the main process; those of the connections see it and end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the server at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)

    def connect(self, database: str = "postgres") -> Any:
        """A connection as the owner of everything."""
        import psycopg

        return psycopg.connect(host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname=database, autocommit=True)

    def address(self, database: str, *, scheme: str = "postgresql", password: str = "") -> str:
        """The address of a database."""
        return f"{scheme}://{USER}{password and f':{password}'}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; its address without the password."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {database}")
        return self.address(database)

    def _account(self) -> dict[str, Any]:
        """Neither initdb nor the server accepts to be root."""
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def find_programs() -> Path:
    """The folder of the server's programs; skips where there is none."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'penstock[postgres]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    return found[-1].parent


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session. Its folder lies where the user `postgres` may look."""
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="postgres-")), find_programs(), free_port())
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database; its password is in the environment, as users give it."""
    monkeypatch.setenv("PGPASSWORD", postgres_server.password)
    return postgres_server.create(f"test_{secrets.token_hex(4)}")
