"""Reading artifacts from their folders, without an index: what workers do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock.core.errors import ArtifactMissing
from penstock.core.schema import Records, Rejection
from penstock.store._manifest import Manifest

__all__ = ["data_folder", "part_paths", "read_artifact", "rejections_among"]


def part_paths(home: Path, manifest: Manifest, table: str | None = None) -> list[tuple[Path, int, int]]:
    """(file, first position, end position) of each part of an artifact, or of one further table of it."""
    wanted = table or manifest.schema.partition("/")[0]
    return [(home / f.name, f.start, f.stop) for f in manifest.files if f.table == wanted]


def data_folder(home: Path, manifest: Manifest) -> Path:
    """The folder below which all data files of an artifact lie."""
    if not manifest.files:
        return home
    attempt, second, *_ = Path(manifest.files[0].name).parts
    return home / attempt / second if manifest.storage == "files" else home / attempt


def read_artifact(
    home: Path, manifest: Manifest, schema: type[Records], start: int = 0, stop: int | None = None, tables: Iterable[str] | None = None
) -> Records:
    """The events at positions [start, stop) of the artifact in the folder `home`.

    Parameters
    ----------
    tables
        Ragged tables to read beside the events, of an HDF5 artifact; all without.

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

        first, *others = (t.name for t in schema.tables)
        parts = {first: part_paths(home, manifest), **{name: part_paths(home, manifest, name) for name in others}}
        records = _tables.read_events(parts, schema, start, end)
    elif schema.storage == "arrays":
        from penstock.store import _folders

        records = _folders.read_arrays([home / f.name for f in manifest.files], schema, start, end)
    elif schema.storage == "files":
        records = schema.empty(end - start)
    else:
        from penstock.store import _ragged

        records = _ragged.read_events(part_paths(home, manifest), schema, start, end, tables)
    records.rejections = rejections_among(manifest, start, end)
    return records


def rejections_among(manifest: Manifest, start: int, stop: int) -> list[Rejection]:
    """Events without a result among the positions [start, stop), counted from `start`."""
    return [Rejection(p - start, r, x) for p, r, x in manifest.rejections if start <= p < stop]
