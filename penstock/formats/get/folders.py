"""Which files of a folder belong to which run, for the layouts that data acquisition and its catalogues leave.

Light: planning imports it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["board_of_name", "find_runs", "natural_order", "run_number"]

DEEPEST = 4
"""Folders below the given one that are looked into."""


def find_runs(folder: Path) -> dict[int, dict[str, Path]]:
    """Files by run and role; no file is opened.

    The run number stands in the name of the file or of the nearest folder: ``run_0001/mm3/CoBo3_AsAd1_….graw``,
    ``run_0001/CoBo3_AsAd1_….graw``, ``run1/run-0001-00.evt``, ``run-0001-00.evt``. Files without a number are left out.

    Parameters
    ----------
    folder
        The folder of raw data; folders in it are searched, four deep.

    Returns
    -------
    dict
        Roles are ``evt.00``, ... in the order of the names, and ``graw.<cobo>.<asad>.<piece>``, with ``xx`` where the name of
        the file does not state a board.
    """
    runs: dict[int, list[Path]] = {}
    root = Path(folder)
    for path in sorted(_data_files(root, DEEPEST), key=natural_order):
        if (number := run_number([path.relative_to(root)])) >= 0:
            runs.setdefault(number, []).append(path)
    return {number: _roles(paths) for number, paths in sorted(runs.items())}


def run_number(paths: Sequence[Path]) -> int:
    """The number that names or folders of files state (``run-0001-00.evt``, ``run_0001/``, ``run1/``), the nearest first; else -1."""
    for path in paths:
        for part in reversed(path.parts):
            if match := re.search(r"(?:^|[^a-zA-Z])run[-_]?(\d+)", part, re.IGNORECASE):
                return int(match[1])
    return -1


def board_of_name(path: Path) -> tuple[int | None, int | None]:
    """CoBo and AsAd that the name of a file states, None where it does not: ``CoBo3_AsAd1_…``, ``CoBo_AsAd0_…``."""
    match = re.match(r"CoBo(\d*)_(?:AsAd(\d*)_)?", path.name)
    if match is None:
        return None, None
    return int(match[1]) if match[1] else None, int(match[2]) if match[2] else None


def natural_order(path: Path) -> tuple[Any, ...]:
    """Sort key that puts file 9 before file 10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)), str(path)


def _data_files(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if depth > 0 and not entry.name.startswith("."):
                    yield from _data_files(Path(entry.path), depth - 1)
            elif entry.name.endswith((".graw", ".evt")) and not entry.name.startswith("."):
                yield Path(entry.path)


def _roles(paths: list[Path]) -> dict[str, Path]:
    pieces: dict[str, list[Path]] = {}
    for path in paths:
        cobo, asad = board_of_name(path)
        board = ".".join("xx" if number is None else f"{number:02d}" for number in (cobo, asad))
        pieces.setdefault("evt" if path.suffix == ".evt" else f"graw.{board}", []).append(path)
    named = {kind: 2 if kind == "evt" else 4 for kind in pieces}
    return {f"{kind}.{piece:0{named[kind]}d}": path for kind, found in sorted(pieces.items()) for piece, path in enumerate(found)}
