"""The process of a Prefect server on SQLite: ``python -m penstock_flows.serving server start ...``, Prefect's own but for one thing.

Prefect 3.8 begins most transactions deferred: they read, and ask for the right to write when they come to it. Where another one wrote
meanwhile SQLite refuses at once, whatever the patience, so automations lost events, callers got 503, and now and then every writer stood
still for a minute after such a refusal. Transactions that ask first wait their turn instead.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration

__all__ = ["main", "write_in_turn"]


def write_in_turn() -> None:
    """Let every transaction on SQLite that may write begin with the right to."""
    begin = AioSqliteConfiguration.begin_transaction

    def ask_first(self: AioSqliteConfiguration, session: Any, with_for_update: bool = False) -> AbstractAsyncContextManager[Any]:
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = ask_first  # type: ignore[method-assign, assignment]


def main() -> None:
    """Prefect's command line, in a process whose transactions take turns."""
    write_in_turn()
    from prefect.cli import app

    app()


if __name__ == "__main__":
    main()
