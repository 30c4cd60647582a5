"""Recorded failures: one small JSON file each, which never changes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact
from penstock.store._index import IndexedFailure

__all__ = ["Failure", "read_failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, where in the run, and with which traceback."""

    key: Key
    run: int | None
    stage: str
    error: str
    events: str
    traceback: str
    content: bool
    """True where the same input would fail again."""

    def name(self, at: datetime) -> str:
        """What its file is called."""
        return f"{self.key}-{at:%Y%m%dT%H%M%S%f}.json"

    def dumps(self, at: datetime) -> str:
        """Its file's text."""
        return json.dumps({**asdict(self), "at": at.isoformat()}, indent=1) + "\n"

    def indexed(self, at: datetime) -> IndexedFailure:
        """What the index says of it."""
        return IndexedFailure(self.error, self.content, at.isoformat())


def read_failure(text: str, where: str) -> tuple[Failure, datetime]:
    """A failure and when it was recorded.

    Raises
    ------
    DamagedArtifact
        The text is no record of one.
    """
    try:
        content = json.loads(text)
        at = datetime.fromisoformat(content.pop("at"))
        return Failure(**{**content, "key": Key(content["key"])}), at
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedArtifact(f"{where}: no record of a failure ({error}), remove it") from error
