"""Builds the index of a capture in one pass that reads heads only, and goes round damage."""

from __future__ import annotations

import array
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadRun
from penstock.formats.captures._index import ELSEWHERE, I8, Index
from penstock.formats.captures._layouts import Layout
from penstock.formats.captures._repeats import find_repeats
from penstock.formats.captures._scan import ENTRY, FRAME, FULL, ITEM, ODD, TEXT, compile_scans, read_head
from penstock.formats.captures._source import Damage, Source
from penstock.formats.captures._times import read_times
from penstock.formats.captures._walk import PARTS, walk

if TYPE_CHECKING:
    from penstock.formats.captures._decoding import Item

__all__ = ["COMPILE_FROM", "build_index"]

BLOCK = 4096
"""Items that are walked over, or looked at for repeats, at once."""
FEW = 8
"""As many at first, and again after items that repeated."""
COMPILE_FROM = 200_000
"""Items still to be walked over from which loading the compiled scan pays."""
OWN_TAGS = 4
"""Bytes from which on a tag is not the item's own: its inner tag lies 3 bytes behind its outer one."""
CHAIN_BYTES = 32
"""Bytes up to the end of the file that make a place behind damage trustworthy where fewer items than a chain follow."""


def build_index(source: Source, layout: Layout, path: Path, compile_from: int = COMPILE_FROM) -> Index:
    """The index of a capture; compiled code builds it where about `compile_from` items are still to be walked over after the first ones.

    Raises
    ------
    BadRun
        There is no good item at all.
    """
    builder = _Builder(source, layout, compile_from)
    builder.run()
    if not builder.blocks:
        raise BadRun(f"{path}: no whole item of a {layout.name} capture in {source.size:,} bytes. First damage: {builder.damage[0]}.")
    return builder.finish()


class _Block(NamedTuple):
    """Rows of some items."""

    items: I8
    entries: I8
    frames: I8
    head: NDArray[np.int32]

    def without_last(self) -> _Block:
        entries = len(self.entries) - int(self.items[-1, 3])
        frames = len(self.frames) - int(self.entries[entries:, 2].sum())
        return _Block(self.items[:-1], self.entries[:entries], self.frames[:frames], self.head[:entries])


class _Builder:
    def __init__(self, source: Source, layout: Layout, compile_from: int) -> None:
        self.source = source
        self.pixels = np.frombuffer(source.data, np.uint8)
        self.layout = layout
        self.compile_from = compile_from
        self.blocks: list[_Block] = []
        self.damage: list[Damage] = []
        self.times: list[int] = []
        """Times of items that were decoded; -1, -2, ... stand for them where others have an offset."""
        self.heads: dict[tuple[str, str], int] = {}
        self.known: dict[bytes, int] = {}
        self.items_walked = 0
        self.compiled: dict[str, Any] = {}
        self.rooms = _rooms(FEW)

    def run(self) -> None:
        at = 0
        while at < self.source.size:
            at = self._take_usual(at)
            if at < self.source.size:
                at = self._take_unusual(at)
        if self.source.fault:
            self.damage.append(Damage(self.source.size, 0, self.source.fault, self._before()))

    def finish(self) -> Index:
        items, entries, frames, head = (np.concatenate(tables) for tables in zip(*self.blocks, strict=True))
        created_at = read_times(self.source.data, self.pixels, np.maximum(items[:, 4], 0))
        decoded = items[:, 4] < 0
        created_at[decoded] = np.array(self.times, np.int64)[-1 - items[decoded, 4]]
        return Index(
            spans=items[:, :2].copy(),
            numbers=items[:, 2].copy(),
            created_at=created_at,
            first_entry=_starts(items[:, 3]),
            heads=list(self.heads),
            head=head,
            first_frame=_starts(entries[:, 2]),
            frames=frames,
            damage=self.damage,
        )

    def _take_usual(self, at: int) -> int:
        """Note the items from `at` on that are written as usual, and say where they end."""
        few = 2 * BLOCK if self.compiled else FEW
        while True:
            if len(self.rooms[0]) != ITEM * few:
                self.rooms = _rooms(few)
            stop, items, entries, frames, why = self._scan(at)
            if items:
                self._note(items, entries, frames)
            if why != FULL or (not items and len(self.rooms[-1]) > FRAME * PARTS):
                return stop
            at = self._take_repeats(stop) if items else stop
            if at > stop:
                few = FEW
            elif few < BLOCK or not items:
                few *= 2
            if not self.compiled and self._pays_to_compile(at):
                self._compile()
                few = 2 * BLOCK

    def _pays_to_compile(self, at: int) -> bool:
        """Whether many items are still to be walked over, at the rate of those up to `at`."""
        return self.items_walked >= BLOCK and self.items_walked * (self.source.size - at) > self.compile_from * at

    def _take_repeats(self, at: int) -> int:
        """Note the items from `at` on that repeat the layout of the last one, where the last two were of one size, and say where they end."""
        most = FEW
        while not self.compiled and (found := self._repeats(most)) is not None:
            block = self.blocks[-1]
            heads = block.head[len(block.head) - int(block.items[-1, 3]) :]
            self.blocks.append(_Block(*found, np.tile(heads, len(found[0]))))
            at = int(found[0][-1, 1])
            if len(found[0]) < most:
                break
            most = min(4 * most, BLOCK)
        return at

    def _repeats(self, most: int) -> tuple[I8, I8, I8] | None:
        items, entries, frames, _ = self.blocks[-1]
        if len(items) > 1 and items[-1, 1] - items[-1, 0] != items[-2, 1] - items[-2, 0]:
            return None
        entries = entries[len(entries) - int(items[-1, 3]) :]
        frames = frames[len(frames) - int(entries[:, 2].sum()) :]
        return find_repeats(self.pixels, items[-1], entries, frames, most, numbered=self.layout.numbered)

    def _scan(self, at: int) -> tuple[int, int, int, int, int]:
        if not self.compiled:
            return self.layout.scan(self.source.data, at, self.source.size, *self.rooms)
        rooms = [np.frombuffer(room, np.int64) for room in self.rooms]
        stop, items, entries, frames, why = self.compiled[self.layout.scan.__name__](self.pixels, at, self.source.size, *rooms)
        return int(stop), int(items), int(entries), int(frames), int(why)

    def _compile(self) -> None:
        from penstock.kernels import compile_once

        self.compiled = _compiled()
        with compile_once("captures"):
            self._scan(self.source.size)
            self._match_heads(0)

    def _note(self, items: int, entries: int, frames: int) -> None:
        columns = ((ITEM, items), (ENTRY, entries), (FRAME, frames))
        tables = [np.array(room[: n * rows]).reshape(rows, n) for room, (n, rows) in zip(self.rooms, columns, strict=True)]
        head = self._match_heads(entries) if self.compiled else self._look_up_heads(entries)
        self.blocks.append(_Block(tables[0], tables[1], tables[2], head))
        self.items_walked += items

    def _look_up_heads(self, entries: int) -> NDArray[np.int32]:
        table, data, known = self.rooms[1], self.source.data, self.known
        numbers = []
        for k in range(0, ENTRY * entries, ENTRY):
            begin = table[k]
            head = data[begin : begin + table[k + 1]]
            numbers.append(known[head] if head in known else self._learn(head))
        return np.array(numbers, np.int32)

    def _match_heads(self, entries: int) -> NDArray[np.int32]:
        same, first = np.empty(entries, np.int64), np.empty(entries, np.int64)
        table = np.frombuffer(self.rooms[1], np.int64)
        heads = self.compiled["match_heads"](self.pixels, table, entries, same, first)
        spans = [table[ENTRY * k : ENTRY * k + 2].tolist() for k in first[:heads].tolist()]
        keys = [self.source.data[begin : begin + length] for begin, length in spans]
        return np.array([self.known[key] if key in self.known else self._learn(key) for key in keys], np.int32)[same]

    def _learn(self, head: bytes) -> int:
        """The number of a head that was not seen before. Bytes that are no UTF-8 are shown as escapes."""
        name = typ = ""
        if head:
            length, at = read_head(head, 0, len(head), TEXT)
            name = head[at : at + length].decode(errors="backslashreplace")
            length, at = read_head(head, at + length + 4, len(head), TEXT)
            typ = head[at : at + length].decode(errors="backslashreplace")
        self.known[head] = self.heads.setdefault((name, typ), len(self.heads))
        return self.known[head]

    def _take_unusual(self, at: int) -> int:
        """Note the item at `at` if it is a good one in other words, else go on behind the damage."""
        stop, item = self._decode(at)
        if isinstance(item, str):
            return self._go_round(at, item)
        frames = [[ELSEWHERE, len(frame)] for _, _, stream in item.streams for frame in stream]
        self.times.append(item.created_at)
        block = _Block(
            np.array([[at, stop, item.number, len(item.streams), -len(self.times)]], np.int64),
            np.array([[at, 0, len(stream)] for _, _, stream in item.streams], np.int64).reshape(-1, ENTRY),
            np.array(frames, np.int64).reshape(-1, FRAME),
            np.array([self.heads.setdefault((name, typ), len(self.heads)) for name, typ, _ in item.streams], np.int32),
        )
        self.blocks.append(block)
        self.items_walked += 1
        return stop

    def _decode(self, at: int) -> tuple[int, Item | str]:
        """Where an item ends, and what it holds or what is wrong with it."""
        stop, fault = walk(self.source.data, at, self.source.size)
        if fault:
            return stop, fault if stop == at else f"{fault} (at byte {stop:,})"
        from penstock.formats.captures import _decoding

        decode = _decoding.decode_event if self.layout.numbered else _decoding.decode_message
        try:
            return stop, decode(bytes(self.source.data[at:stop]))
        except _decoding.Unlike as unlike:
            return stop, str(unlike)

    def _go_round(self, at: int, reason: str) -> int:
        """Note damage, and say where the next good item begins.

        An item whose length is damaged ends within one that follows. So where the item just before holds good items itself, it
        is the damaged one.
        """
        begin, stop = at, 0
        if self.blocks and (last := self.blocks[-1].items[-1])[1] == at:
            inside = self._next_good(int(last[0]) + OWN_TAGS, at)
            if inside < at:
                begin, stop, reason = int(last[0]), inside, "an item whose lengths reach into those that follow"
                rest = self.blocks.pop().without_last()
                if len(rest.items):
                    self.blocks.append(rest)
        stop = stop or self._next_good(begin + 1, self.source.size)
        self.damage.append(Damage(begin, stop - begin, reason, self._before()))
        return stop

    def _next_good(self, begin: int, end: int) -> int:
        for at in self.layout.candidates(self.source, begin):
            if at >= end:
                break
            if self._is_good(at):
                return at
        return end

    def _is_good(self, begin: int) -> bool:
        """Whether as many items as make a chain follow one another, or all up to the end of the file."""
        at = begin
        for done in range(self.layout.chain):
            if at == self.source.size:
                return done > 0 and at - begin >= CHAIN_BYTES
            room = [array.array("q", bytes(8 * ITEM)), *self.rooms[1:]]
            stop, items, *_, why = self.layout.scan(self.source.data, at, self.source.size, *room)
            if items == 0 and why in (FULL, ODD):
                stop, item = self._decode(at)
                if isinstance(item, str):
                    return False
            at = stop
        return True

    def _before(self) -> int | None:
        return int(self.blocks[-1].items[-1, 2]) if self.blocks and self.layout.numbered else None


@cache
def _compiled() -> dict[str, Any]:
    from penstock.kernels import jit

    return compile_scans(jit)


def _rooms(items: int) -> list[array.array[int]]:
    """Tables for a scan of so many items, some with several entries and frames."""
    return [array.array("q", bytes(8 * n)) for n in (ITEM * items, ENTRY * 2 * items, FRAME * 4 * items)]


def _starts(counts: I8) -> I8:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
