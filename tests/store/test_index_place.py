from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError, StoreError
from penstock.store import Store, read_index_place
from penstock.store._index_address import expand, shown
from penstock.store._index_place import store_identity


def test_a_path_is_relative_to_the_experiment() -> None:
    assert read_index_place("local/index.sqlite", Path("/e")) == Path("/e/local/index.sqlite")
    assert read_index_place("/var/lib/e.sqlite", Path("/e")) == Path("/var/lib/e.sqlite")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://daq@db.example:5433/penstock?sslmode=verify-full",
        "postgres:///penstock",
        "postgresql://daq:${PENSTOCK_DB}@db/penstock",
        "postgresql://db/penstock?password=${PENSTOCK_DB}",
        "postgresql:///?service=penstock",
        "postgresql://one:5432,other:5432/penstock?target_session_attrs=read-write",
    ],
)
def test_the_address_of_a_database_stays_as_it_is(address: str) -> None:
    assert read_index_place(address, Path("/e")) == address


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://daq:hunter2@db/penstock",
        "postgresql://db/penstock?password=hunter2",
        "postgres://a:x${B}hunter2@c/d",
        "postgresql://daq:hunt/er2@db/penstock",
        "postgresql://daq:hunt#er2@db/penstock",
        "postgresql://daq:5432hunt?er2@db/penstock",
        "postgresql://:hunter2@db/penstock",
    ],
)
def test_a_password_in_the_file_is_refused_without_being_repeated(address: str) -> None:
    message = (
        "[store] index: a password stands in the address, where others can read it. Leave it out and give it by PGPASSWORD, "
        "a password file (PGPASSFILE) or a service file, or name an environment variable: postgresql://user:${NAME}@host/database"
    )

    with pytest.raises(ConfigError) as caught:
        read_index_place(address, Path("/e"))

    assert str(caught.value) == message


def test_another_kind_of_database_is_refused() -> None:
    message = "[store] index: mysql:// is no kind of index. Give the path of an SQLite file, or postgresql://user@host:port/database."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        read_index_place("mysql://db/penstock", Path("/e"))


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^\[store\] index: not an address \(Invalid IPv6 URL\)\. Write: postgresql://user@host:port/database$"
    ):
        read_index_place("postgresql://[::1/penstock", Path("/e"))


def test_a_reference_is_replaced_by_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DB", "p@ss/word")
    assert expand("${PENSTOCK_DB}") == "p@ss/word"


def test_a_reference_to_a_variable_that_is_not_set_is_told_by_name() -> None:
    message = "[store] index names the environment variable 'PENSTOCK_NONE', which is not set. Set it, or give the password by PGPASSWORD or a password file."
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        expand("${PENSTOCK_NONE}")


def test_messages_show_neither_password_nor_options() -> None:
    assert shown("postgresql://daq:${SECRET}@db:5433/penstock?sslpassword=${OTHER}") == "postgresql://daq@db:5433/penstock"


def test_without_psycopg_the_message_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "penstock.store._index_postgres", None)

    with pytest.raises(
        StoreError, match=r"^index postgresql://db/penstock: needs psycopg \(.*\)\. Install it with: pip install 'penstock\[postgres\]'$"
    ):
        Store(tmp_path, index="postgresql://db/penstock")


def test_processes_that_ask_at_once_for_the_identity_of_a_store_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: store_identity(tmp_path), range(32)))

    assert len(found) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["penstock-store-id"]


def test_a_damaged_identity_is_told(tmp_path: Path) -> None:
    (tmp_path / "penstock-store-id").write_text("nonsense\n")
    message = f"store {tmp_path}: penstock-store-id holds 'nonsense', not twelve hexadecimal characters. Remove it and run: penstock store rebuild"

    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        store_identity(tmp_path)
