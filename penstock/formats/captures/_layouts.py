"""What the two kinds of captures are made of: how their items are walked over, and found again after damage."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from penstock.formats.captures._scan import Scan, scan_events, scan_messages
from penstock.formats.captures._source import Source

__all__ = ["EVENT", "EVENTS", "MESSAGE", "MESSAGES", "SELF_DESCRIBED", "Layout"]

SELF_DESCRIBED = b"\xd9\xd9\xf7"
"""Head of tag 55799, which says "this is CBOR"."""
EVENT = b"\xd9\xa7\x7d"
"""Head of tag 42877, which says "this is an event"."""
MESSAGE = re.compile(rb"(?:[\x80-\x97\x9f]|\x98.|\x99..|\x9a.{4}|\x9b.{8})[\x40-\x5b\x5f]", re.DOTALL)
"""How a message may begin: an array whose first item is a byte string."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the kinds of captures.

    Attributes
    ----------
    scan
        Walks over items in plain Python; its name is that of the compiled form too.
    numbered
        Whether items have event numbers.
    candidates
        Places from an offset on that look like the beginning of an item, in ascending order.
    chain
        Good items in a row (or up to the end of the file) that make such a place trustworthy.
    """

    name: str
    scan: Scan
    numbered: bool
    candidates: Callable[[Source, int], Iterator[int]]
    chain: int


def _tags(source: Source, begin: int) -> Iterator[int]:
    at = source.data.find(EVENT, begin)
    while at >= 0:
        outer = at - len(SELF_DESCRIBED)
        yield outer if outer >= begin and source.data[outer:at] == SELF_DESCRIBED else at
        at = source.data.find(EVENT, at + 1)


def _arrays(source: Source, begin: int) -> Iterator[int]:
    return (match.start() for match in MESSAGE.finditer(source.data, begin))


EVENTS = Layout("dump", scan_events, numbered=True, candidates=_tags, chain=1)
MESSAGES = Layout("raw", scan_messages, numbered=False, candidates=_arrays, chain=8)
