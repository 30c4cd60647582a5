"""The text that a PandABox sends, cut into headers and lines; what the lines say is `penstock.stream.positioncap`'s concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from penstock.core.errors import BadEvent
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Packet

__all__ = ["HEADER", "NAME", "TYP", "PositioncapAssembler", "count_of", "split_header"]

TYP = "PCAP_RAW"
"""Name of the protocol in captures."""
NAME = "positioncap"
HEADER = b"arm_time:"
_LONGEST = 1 << 18
"""Bytes of a line or a header beyond which it is not text of a PandABox."""


def count_of(word: str) -> int | None:
    """The whole number; None where the word is none."""
    return int(word) if word.isdecimal() and len(word) < 20 else None


def split_header(content: bytes) -> tuple[dict[str, str], list[str]]:
    """What the header tells by name, and the lines of columns, which are indented."""
    lines = [line for line in content.decode(errors="replace").splitlines() if line.strip()]
    told = [line.partition(":") for line in lines if not line[0].isspace()]
    return {name: value.strip() for name, _, value in told}, [line for line in lines if line[0].isspace()]


class PositioncapAssembler:
    """A packet for the header, each line, and the end; fed with bytes as they come from the connection, cut anywhere.

    Lines are numbered from the number of triggers that the header says were missed.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._header = bytearray()
        self._next: int | None = None
        self._lines = 0
        self._too_long = False
        self._left_out: Counter[str] = Counter()

    def feed(self, message: Sequence[Frame]) -> Iterator[Packet]:
        """The packets that these bytes complete: none, one, or several.

        Raises
        ------
        BadEvent
            After all packets: the PandABox refused the connection, or sends what is not text in lines.
        """
        error: BadEvent | None = None
        for chunk in message:
            *lines, self._rest = (self._rest + bytes(chunk)).split(b"\n")
            for line in lines:
                try:
                    packet = self._take(line + b"\n")
                except BadEvent as bad:
                    error = error or bad
                else:
                    if packet is not None:
                        yield packet
        if len(self._rest) > _LONGEST:
            self._rest, self._too_long = b"", True
            self._left_out["line too long"] += 1
            error = error or BadEvent(f"{NAME}: a line has more than {_LONGEST} bytes, expected text. Connect with format ASCII.")
        if error is not None:
            raise error

    def _take(self, line: bytes) -> Packet | None:
        if self._too_long:
            self._too_long = False
            self._number()
            return None
        if line.startswith(HEADER):
            self._left_out["series without end"] += bool(self._header) or self._next is not None
            self._header, self._next = bytearray(line), None
        elif self._header:
            return self._take_header(line)
        elif self._next is None:
            self._take_outside(line)
        elif line.startswith(b"END"):
            self._finish(line)
            return Packet("end", StreamData(TYP, [line]))
        elif line.strip():
            return Packet("data", StreamData(TYP, [line]), self._number())
        return None

    def _number(self) -> int | None:
        """The number of this line; None outside of a series."""
        number = self._next
        if number is not None:
            self._next = number + 1
            self._lines += 1
        return number

    def _take_header(self, line: bytes) -> Packet | None:
        self._header += line
        if not line.strip():
            header, self._header = bytes(self._header), bytearray()
            self._next, self._lines = count_of(split_header(header)[0].get("missed", "")) or 0, 0
            return Packet("start", StreamData(TYP, [header]))
        if len(self._header) > _LONGEST:
            self._header = bytearray()
            self._left_out["header without end"] += 1
            raise BadEvent(f"{NAME}: a header has more than {_LONGEST} bytes, expected an empty line after it.")
        return None

    def _take_outside(self, line: bytes) -> None:
        if line.startswith(b"ERR"):
            self._left_out["connection refused"] += 1
            raise BadEvent(f"{NAME}: the PandABox refused the connection: {line.decode(errors='replace').strip()!r}, expected 'OK'.")
        if line.strip() not in (b"", b"OK"):
            self._left_out["line outside of a series"] += 1

    def _finish(self, line: bytes) -> None:
        sent = line.decode(errors="replace").split()[1:2]
        told = count_of(sent[0]) if sent else None
        self._left_out["line lost"] += max(0, (told or 0) - self._lines)
        self._next = None

    def close(self) -> Mapping[str, int]:
        """What was left over or left out so far, counted by reason."""
        left = Counter(self._left_out)
        left["incomplete line"] += bool(self._rest)
        left["series without end"] += bool(self._header) or self._next is not None
        return {reason: count for reason, count in left.items() if count}
