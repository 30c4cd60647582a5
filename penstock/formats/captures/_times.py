"""Times of recording: ns since 1970 UTC, as CBOR tags 0 (text) and 1 (number) hold them: RFC 8949, section 3.4."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from penstock.formats.captures._scan import ODD, TEXT, UINT, Bytes, read_head

__all__ = ["UNKNOWN", "datetime_ns", "read_times", "text_of"]

UNKNOWN = int(np.iinfo(np.int64).min)
"""Stands for a time that the capture does not say."""
TEXTS = re.compile(rb"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1700, 2200
"""Years that int64 nanoseconds reach with room to spare."""
FLOATS = {0xF9: ">e", 0xFA: ">f", 0xFB: ">d"}
SHAPE = np.frombuffer(b"0000-00-00T00:00:00.000000Z", np.uint8)
"""Times as recorders write them, with 0 for any digit."""
USUAL = len(SHAPE)


def datetime_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of a time; without a zone it is UTC."""
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def text_of(created_at: int) -> str:
    """The ISO text of a time: microseconds where there are any, nanoseconds where those do not do."""
    seconds, rest = divmod(created_at, 1_000_000_000)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}" if rest % 1000 else f".{rest // 1000:06d}" if rest else ""
    return f"{text}{fraction}Z"


def read_times(data: Bytes, pixels: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times of all items.

    Parameters
    ----------
    data, pixels
        The capture, as bytes and as an array of them.
    offsets
        (items,): where the tag of each time begins; 0 where there is none.

    Returns
    -------
    NDArray[np.int64]
        (items,) ns since 1970 UTC; `UNKNOWN` where there is none, or none that can be read.
    """
    times = np.full(len(offsets), UNKNOWN, np.int64)
    usual = offsets > 0
    usual[usual] = (pixels[offsets[usual]] == 0xC0) & (pixels[offsets[usual] + 1] == 0x78) & (pixels[offsets[usual] + 2] == USUAL)
    rows = np.flatnonzero(usual)
    texts = pixels[(offsets[rows] + 3)[:, None] + np.arange(USUAL)]
    digits = np.equal(SHAPE, ord("0"))
    plain = (texts[:, ~digits] == SHAPE[~digits]).all(axis=1) & (texts[:, digits] - SHAPE[digits] < 10).all(axis=1)
    times[rows[plain]], known = _usual_times(texts[plain])
    usual[rows[~plain]] = False
    usual[rows[plain][~known]] = False
    for row in np.flatnonzero((offsets > 0) & ~usual).tolist():
        times[row] = _read_time(data, int(offsets[row]), len(pixels))
    return times


def _usual_times(texts: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times that such texts name, and whether there is such a day and time.

    NumPy's own reading of texts is not used: it kills the process where one of more than 500 names no time (NumPy 2.4).
    """

    def number(first: int, last: int) -> NDArray[np.int64]:
        return (texts[:, first:last] - np.uint8(ord("0"))) @ 10 ** np.arange(last - first - 1, -1, -1)

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    months = (year - 1970) * 12 + month - 1
    first, after = ((months + k).astype("M8[M]").astype("M8[D]").astype(np.int64) for k in (0, 1))
    known = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= after - first)
    known &= (hour < 24) & (minute < 60) & (second < 60)
    seconds = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    return np.where(known, seconds * 1_000_000_000 + number(20, 26) * 1000, UNKNOWN), known


def _read_time(data: Bytes, at: int, end: int) -> int:
    if data[at] == 0xC0:
        length, at = read_head(data, at + 1, end, TEXT)
        return _parse(bytes(data[k] for k in range(at, at + length)))
    if data[at] == 0xC1 and (form := FLOATS.get(data[at + 1])):
        (seconds,) = struct.unpack(form, bytes(data[at + 2 + k] for k in range(struct.calcsize(form))))
        in_range = abs(seconds) < 9e9
        return round(seconds * 1e6) * 1000 if in_range else UNKNOWN
    value, _ = read_head(data, at + 1, end, UINT)
    return value * 1_000_000_000 if data[at] == 0xC1 and ODD < value < 9_000_000_000 else UNKNOWN


def _parse(text: bytes) -> int:
    match = TEXTS.fullmatch(text)
    if match is None:
        return UNKNOWN
    whole, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(whole.decode().upper().replace(" ", "T")).replace(tzinfo=UTC)
    except ValueError:
        return UNKNOWN
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return UNKNOWN
    offset = 0 if sign is None else (int(hours) * 60 + int(minutes)) * (-60 if sign == b"-" else 60)
    return datetime_ns(moment) - offset * 1_000_000_000 + int((fraction or b"0")[:9].ljust(9, b"0"))
