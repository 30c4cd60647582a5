"""Where the index lies: an SQLite file, or a PostgreSQL database that several hosts write; how a store is told apart there."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from penstock.core.errors import ConfigError, StoreError
from penstock.store._files import translate_errors
from penstock.store._index import Index
from penstock.store._index_sqlite import SqliteIndex

__all__ = ["expand", "open_index", "read_index_place", "shown", "store_identity"]

_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_IDENTITY = re.compile(r"[0-9a-f]{12}")
_LOGIN = re.compile(r"\w+://[^/@:]*:(?!\$\{\w+\}@|\d+[,/?#])[^@]+@")
"""A password, also one with characters that end the host of an address for `urlsplit`."""


def read_index_place(text: str, base: Path) -> Path | str:
    """What ``[store] index`` names: a file relative to `base`, or the address of a database, which must not hold a password.

    Raises
    ------
    ConfigError
        Another kind of address, or a password that is written out.
    """
    if "://" not in text:
        return base / text
    address = _split(text)
    if address.scheme not in _SCHEMES:
        raise ConfigError(
            f"[store] index: {address.scheme}:// is no kind of index. Give the path of an SQLite file, or postgresql://user@host:port/database."
        )
    secrets = [value for name, value in parse_qsl(address.query, keep_blank_values=True) if name in _SECRETS]
    if _LOGIN.match(text) or any(secret and not _REFERENCE.fullmatch(secret) for secret in secrets):
        raise ConfigError(
            "[store] index: a password stands in the address, where others can read it. Leave it out and give it by PGPASSWORD, "
            "a password file (PGPASSFILE) or a service file, or name an environment variable: postgresql://user:${NAME}@host/database"
        )
    return text


def expand(text: str) -> str:
    """`text` with each ``${NAME}`` replaced by that environment variable.

    Raises
    ------
    ConfigError
        The variable is not set.
    """

    def value(reference: re.Match[str]) -> str:
        try:
            return os.environ[reference[1]]
        except KeyError:
            raise ConfigError(
                f"[store] index names the environment variable {reference[1]!r}, which is not set. Set it, or give the password by PGPASSWORD or a password file."
            ) from None

    return _REFERENCE.sub(value, text)


def shown(address: str) -> str:
    """The address of a database for messages: without password and options."""
    parts = _split(address)
    _, _, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{f'{parts.username}@' if parts.username else ''}{host}{parts.path}"


def open_index(place: Path | str, root: Path) -> Index:
    """The index of the store in `root`, at a path or in a database.

    Raises
    ------
    StoreError
        It cannot be opened, or psycopg is not installed.
    """
    if isinstance(place, Path):
        with translate_errors(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            return SqliteIndex(place)
    try:
        from penstock.store._index_postgres import PostgresIndex
    except ImportError as error:
        raise StoreError(f"index {shown(place)}: needs psycopg ({error}). Install it with: pip install 'penstock[postgres]'") from error
    with translate_errors(root):
        return PostgresIndex(place, store_identity(root))


def store_identity(root: Path) -> str:
    """What tells the store in `root` from others in one database: twelve characters in a file of the store, made once, the same from every host.

    Raises
    ------
    StoreError
        The file holds something else.
    """
    path = root / "penstock-store-id"
    if not path.exists():
        made = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        made.write_text(uuid.uuid4().hex[:12] + "\n")
        try:
            # Of processes that begin at the same moment one wins, and all read what it wrote.
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    found = path.read_text().strip()
    if not _IDENTITY.fullmatch(found):
        raise StoreError(
            f"store {root}: {path.name} holds {found!r}, not twelve hexadecimal characters. Remove it and run: penstock store rebuild"
        )
    return found


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise ConfigError(f"[store] index: not an address ({error}). Write: postgresql://user@host:port/database") from None
