"""Maps of the GET electronics from CSV files: which pad or silicon channel hangs on which CoBo, AsAd, AGET and channel."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from penstock.core.errors import ConfigError, nearest
from penstock.tpc.assets import Electronics

__all__ = ["DETECTORS", "electronics_map", "read_electronics_csv", "required_electronics"]

ROLE = "electronics"
DETECTORS = {"pad": -1, "si_upstream_front": 0, "si_upstream_back": 1, "si_downstream_front": 2, "si_downstream_back": 3}
"""Keywords of detectors and the number of their set."""
BOUNDS = {"cobo": 255, "asad": 255, "aget": 3, "channel": 67, "number": 32767}
ADDRESS = ("cobo", "asad", "aget", "channel")


def electronics_map(files: Mapping[str, Path]) -> Electronics:
    """The map of the user's file, role ``electronics``; one without rows where there is none.

    Raises
    ------
    ConfigError
        The file cannot be used.
    """
    return read_electronics_csv(files[ROLE]) if ROLE in files else Electronics.empty()


def required_electronics(files: Mapping[str, Path]) -> Electronics:
    """The same for instruments whose raw data name no pads.

    Raises
    ------
    ConfigError
        There is no file, or it cannot be used.
    """
    if ROLE not in files:
        raise ConfigError(
            "files of the data acquisition name no pads: a map of the electronics is needed, and there is none. Name a CSV file with the "
            'columns cobo, asad, aget, channel, detector, number in experiment.toml, as [assets] electronics = "map.csv".'
        )
    return read_electronics_csv(files[ROLE])


def read_electronics_csv(path: Path) -> Electronics:
    """A map in CSV: a header line, then one channel a line.

    Columns are ``cobo, asad, aget, channel, pad`` or ``cobo, asad, aget, channel, detector, number`` with a detector of
    `DETECTORS`. Lines may end with LF, CR LF or CR.

    Raises
    ------
    ConfigError
        Unreadable file, wrong number of columns, unknown detector, a number out of its range, an address that stands twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"electronics map {str(path)!r} cannot be read: {error}") from error
    lines = [(number, fields) for number, fields in enumerate(csv.reader(io.StringIO(text)), start=1) if fields]
    if len(lines) < 2:
        raise ConfigError(f"electronics map {str(path)!r} has {len(lines)} lines, expected a header and one line a channel")
    rows: dict[tuple[int, ...], tuple[int, ...]] = {}
    line_of: dict[tuple[int, ...], int] = {}
    for number, fields in lines[1:]:
        where = f"electronics map {str(path)!r}, line {number}"
        row = _row(fields, where)
        if (address := row[:4]) in rows:
            raise ConfigError(f"{where}: channel {address} stands in line {line_of[address]} already; expected each channel once")
        rows[address] = row
        line_of[address] = number
    table = np.array([rows[address] for address in sorted(rows)], np.int16)
    names = [column.name for column in Electronics.table("channels").columns]
    return Electronics(n_events=len(table), columns={"channels": {name: table[:, k].copy() for k, name in enumerate(names)}})


def _row(fields: list[str], where: str) -> tuple[int, ...]:
    """CoBo, AsAd, AGET, channel, set, number."""
    if len(fields) not in (5, 6):
        raise ConfigError(f"{where}: found {len(fields)} columns, expected 5 (address, pad) or 6 (address, detector, number)")
    keyword = fields[4].strip() if len(fields) == 6 else "pad"
    if keyword not in DETECTORS:
        raise ConfigError(f"{where}: detector {keyword!r} is unknown; expected one of {', '.join(DETECTORS)}.{nearest(keyword, DETECTORS)}")
    texts = dict(zip((*ADDRESS, "number"), [*fields[:4], fields[-1]], strict=True))
    values = {name: _number(name, text.strip(), where) for name, text in texts.items()}
    return (*(values[name] for name in ADDRESS), DETECTORS[keyword], values["number"])


def _number(name: str, text: str, where: str) -> int:
    if not text.isdecimal() or int(text) > BOUNDS[name]:
        raise ConfigError(f"{where}: found {text!r} for {name}, expected a whole number of 0 to {BOUNDS[name]}")
    return int(text)
