"""Manifests: the one file that makes an artifact exist, and says what it is and how it was made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from penstock.core.canonical import Json, Key
from penstock.core.errors import DamagedArtifact, StoreError

__all__ = ["FORMAT", "Counts", "DataFile", "Manifest"]

FORMAT = 1
"""Number of the manifest format: older ones are read, newer ones refused by name."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file: name relative to the key's folder, size, SHA-256, and the events [start, stop) it holds."""

    name: str
    size: int
    sha256: str
    table: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Events in, events out, and those without a result by reason; rows by table."""

    events_in: int
    events_out: int
    rejected: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is, how it was made, and which files hold it.

    Attributes
    ----------
    n_events
        Positions in the artifact; event k of the input is position k, also where it was rejected.
    block
        Events in one block of the data files.
    rejections
        ``[position, reason, excluded]`` of events without a result; `counts` leaves out those that had none before.
    recipe
        What the key is made of.
    origins
        Where each parameter value came from.
    inputs
        Key of the artifact in each slot.
    """

    key: Key
    stage: str
    schema: str
    storage: str
    subject: str
    run: int | None
    n_events: int
    block: int
    counts: Counts
    files: tuple[DataFile, ...]
    rejections: tuple[tuple[int, str, bool], ...]
    recipe: dict[str, Json]
    origins: dict[str, str]
    inputs: dict[str, str]
    code: dict[str, Json]
    environment: dict[str, Json]
    times: dict[str, Json]
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all data files."""
        return sum(f.size for f in self.files)

    def dumps(self) -> str:
        """The manifest as JSON text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read ``manifest.json``; FileNotFoundError where there is no artifact."""
        return cls.loads(path.read_text(errors="replace"), str(path))

    @classmethod
    def loads(cls, text: str, where: str) -> Manifest:
        """The manifest that `dumps` wrote; `where` it was found stands in messages.

        Raises
        ------
        DamagedArtifact
            The text is no manifest.
        StoreError
            A newer penstock wrote it.
        """
        content = _parse(text, where)
        number = content.get("format", 0)
        if isinstance(number, int) and number > FORMAT:
            raise StoreError(f"{where}: manifest format {number}, this penstock reads up to {FORMAT}. Upgrade penstock.")
        try:
            manifest = cls(
                **{
                    **content,
                    "key": Key(content["key"]),
                    "counts": Counts(**content["counts"]),
                    "files": tuple(DataFile(**f) for f in content["files"]),
                    "rejections": tuple((int(p), str(r), bool(x)) for p, r, x in content["rejections"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedArtifact(f"{where}: a field is missing or unknown ({error}). Run: penstock store verify") from error
        for file in manifest.files:
            if not _lies_within(file.name):
                raise DamagedArtifact(
                    f"{where}: names the file {file.name!r}, which lies outside of the artifact. Run: penstock store verify"
                )
        return manifest


def _lies_within(name: object) -> bool:
    """Whether a name leads to a file below the artifact's folder, on every system."""
    return isinstance(name, str) and "\\" not in name and all(part not in ("", ".", "..") for part in name.split("/"))


def _parse(text: str, where: str) -> dict[str, Any]:
    """The fields of a manifest; its text is ASCII, so that any other character is damage."""
    try:
        content = json.loads(text)
        what = "" if isinstance(content, dict) and text.isascii() else "bytes that no manifest has"
    except ValueError as error:
        what = str(error)
    if what:
        raise DamagedArtifact(f"{where}: not a manifest ({what}). Run: penstock store verify")
    return dict(content)
