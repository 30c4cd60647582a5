"""Both kinds of index, and both kinds of store, for the tests that each must pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from realpostgres import postgres_database, postgres_server
from reals3 import bench, ceph_server, moto_server, s3_server

__all__ = ["bench", "ceph_server", "index_place", "moto_server", "postgres_database", "postgres_server", "s3_server"]


@pytest.fixture(params=["sqlite", "postgres"])
def index_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an index may lie: a path, or the address of an empty database."""
    place: Path | str = tmp_path / "index.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    return place
