"""Reading artifacts from their folders, without an index: what workers do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock.core.errors import ArtifactMissing
from penstock.core.schema import Records, Rejection
from penstock.store._manifest import Manifest

__all__ = ["part_paths", "read_artifact", "rejections_among"]


def part_paths(home: Path, manifest: Manifest) -> list[tuple[Path, int, int]]:
    """(file, first position, end position) of each part of an artifact."""
    return [(home / f.name, f.start, f.stop) for f in manifest.files]


def read_artifact(
    home: Path, manifest: Manifest, schema: type[Records], start: int = 0, stop: int | None = None, tables: Iterable[str] | None = None
) -> Records:
    """The events at positions [start, stop) of the artifact in the folder `home`.

    Parameters
    ----------
    tables
        Ragged tables to read beside the events (a Parquet artifact has but one); all without.

    Raises
    ------
    ArtifactMissing
        Where the artifact has another schema than `schema`.
    """
    if manifest.schema != schema.schema_id():
        raise ArtifactMissing(
            f"run {manifest.run}: schema {schema.schema_id()!r} is wanted, artifact {manifest.key.short} has {manifest.schema!r}. "
            f"Recompute it with: penstock run --stages {manifest.stage}"
        )
    end = manifest.n_events if stop is None else min(stop, manifest.n_events)
    if schema.storage == "parquet":
        from penstock.store import _tables

        records = _tables.read_events(part_paths(home, manifest), schema, start, end)
    else:
        from penstock.store import _ragged

        records = _ragged.read_events(part_paths(home, manifest), schema, start, end, tables)
    records.rejections = rejections_among(manifest, start, end)
    return records


def rejections_among(manifest: Manifest, start: int, stop: int) -> list[Rejection]:
    """Events without a result among the positions [start, stop), counted from `start`."""
    return [Rejection(p - start, r, x) for p, r, x in manifest.rejections if start <= p < stop]
