"""Where the index lies: an SQLite file, or a PostgreSQL database that several hosts write; how a store is told apart there."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from penstock.core.errors import StoreError
from penstock.store._files import translate_errors
from penstock.store._index import Index
from penstock.store._index_address import shown
from penstock.store._index_sqlite import SqliteIndex

__all__ = ["open_index", "store_identity"]

_IDENTITY = re.compile(r"[0-9a-f]{12}")


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
