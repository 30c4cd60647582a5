"""The errors of penstock: one base, and one narrow class for each thing that can go wrong.

Each derives from :class:`PenstockError` and from the fitting builtin. Messages say what failed, where, what was
found and what was expected, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArtifactMissing",
    "BadEvent",
    "BadRun",
    "CodeMismatch",
    "ConfigError",
    "DamagedArtifact",
    "LaneMissing",
    "PenstockError",
    "PipelineError",
    "RunCancelled",
    "RunMissing",
    "SameKeyOtherBytes",
    "StoreError",
    "nearest",
]


class PenstockError(Exception):
    """Base of every error that penstock raises on purpose."""


class ConfigError(PenstockError, ValueError):
    """The request, experiment.toml or a preset is wrong: exit code 2."""


class PipelineError(ConfigError):
    """The stages asked for do not fit together."""


class RunMissing(PenstockError, FileNotFoundError):
    """A run that was asked for has no file."""


class BadRun(PenstockError, ValueError):
    """A run whose file cannot be read at all: truncated, empty, of an unknown layout."""


class BadEvent(PenstockError, ValueError):
    """An event whose own content cannot be used; the only error that counts as a rejection."""


class StoreError(PenstockError, OSError):
    """The artifact store cannot be read or written."""


class ArtifactMissing(StoreError):
    """No artifact lies under the key."""


class DamagedArtifact(StoreError):
    """An artifact whose files do not match the checksums of its manifest."""


class SameKeyOtherBytes(StoreError):
    """Two computations under one key gave results that differ beyond the stage's tolerance."""


class LaneMissing(PenstockError, RuntimeError):
    """No worker offers the lane that a stage needs."""


class CodeMismatch(PenstockError, RuntimeError):
    """A worker holds other code than the client."""


class RunCancelled(PenstockError, RuntimeError):
    """The work was cancelled; what was committed stays."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the candidate most like `word`, or an empty string."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
