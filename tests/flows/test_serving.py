"""Transactions of a Prefect server on SQLite take turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration

from penstock_flows.serving import write_in_turn


class Session:
    """A session that only begins."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[str | None]:
        yield SQLITE_BEGIN_MODE.get()


def how_it_begins(folder: Path) -> str | None:
    async def begin() -> str | None:
        configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{folder / 'prefect.db'}")
        async with configuration.begin_transaction(Session()) as mode:  # type: ignore[arg-type]
            found: str | None = mode  # type: ignore[assignment]
            return found

    return asyncio.run(begin())


def test_a_transaction_begins_with_the_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", AioSqliteConfiguration.begin_transaction)
    assert how_it_begins(tmp_path) == "DEFERRED"

    write_in_turn()

    assert how_it_begins(tmp_path) == "IMMEDIATE"
