"""Which capture files of a folder belong to which run. Light: planning imports it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["SUFFIXES", "find_runs"]

SUFFIXES = (".cbors", ".cbors.gz", ".cbor", ".cbor.gz")
"""Endings of capture files."""

_UUID = re.compile(r"[-_.]?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_RUN = re.compile(r"(?:^|[^a-z])(?:run|scan)[-_]?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)")


def find_runs(folder: Path) -> dict[int, dict[str, Path]]:
    """Capture files by run and role; no file is opened.

    The run number is what follows ``run`` or ``scan`` in the name, or else its first number: ``run_0012.xrd.cbors``,
    ``scan-0012_xrd-ingester-<uuid>.cbors``, ``000012_xrd.cbors.gz``. Files without a number are left out. Captures of several
    ingesters make one run.

    Returns
    -------
    dict
        The role is what remains of the name, such as ``xrd``; ``events`` where nothing does.
    """
    runs: dict[int, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if path.name.endswith(s)), None)
        if suffix is None:
            continue
        stem = _UUID.sub("", path.name.removesuffix(suffix))
        match = _RUN.search(stem) or _NUMBER.search(stem)
        if match is None:
            continue
        role = re.sub(r"[^A-Za-z0-9]+", "-", stem[: match.start()] + stem[match.end() :]).strip("-") or "events"
        files = runs.setdefault(int(match[1]), {})
        files[role if role not in files else f"{role}.{len(files)}"] = path.resolve()
    return dict(sorted(runs.items()))
