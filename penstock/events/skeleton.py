"""A worker and a reducer to begin with: source text that suits the streams of some captures."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.errors import BadEvent, ConfigError
from penstock.events._message_content import values_of
from penstock.events._skeleton_text import REDUCER, worker_text
from penstock.events.sources import open_files
from penstock.stream.protocols import PROTOCOLS, Parse, by_typ

__all__ = ["Skeleton", "make_skeleton", "write_skeleton"]

_LOOKED_AT = 200
"""Events at the beginning of a capture that are looked at."""
_MOST_VALUES = 12
"""Values of one message that are written out; there may be hundreds."""
_TYPS = {protocol.typ for protocol in PROTOCOLS.values()}


@dataclass(frozen=True, slots=True)
class _Form:
    """What is taken from the messages of a protocol.

    Attributes
    ----------
    wanted
        Class of the message that carries something at each trigger.
    lines
        Entries of a dict, with ``{n}`` for the stream's name; none where they follow from the fields of a message.
    reach
        How a field is reached, with ``{f}`` for its quoted name, where it is no attribute.
    """

    wanted: str
    lines: tuple[str, ...] = ()
    reach: str = ""


_FORMS = {
    "stins": _Form("StinsImage", ('"{n}_sum": float(acquired.data.sum(dtype=np.float64)),', '"{n}_columns": acquired.data.mean(axis=0),')),
    "eiger": _Form("EigerImage", ('"{n}_sum": float(acquired.image().sum(dtype=np.float64)),',)),
    "xspress3": _Form(
        "XspressImage",
        ('"{n}_counts": float(acquired.data.sum(dtype=np.float64)),', '"{n}_spectrum": acquired.data.sum(axis=0, dtype=np.float64),'),
    ),
    "lecroy": _Form(
        "LecroyTraces", ('**{{f"{n}_channel{{m.ch}}": float(s.mean()) for m, s in zip(acquired.meta, acquired.data, strict=True)}},',)
    ),
    "contrast": _Form("ContrastRunning"),
    "pcap": _Form("PcapValues", reach="acquired.fields[{f}]"),
    "positioncap": _Form("PositioncapValues", reach="acquired.fields[{f}].value"),
    "albaem": _Form("AlbaemValues"),
    "sardana": _Form("SardanaRecordData"),
}


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Source text of a worker and of a reducer, as modules of one folder.

    Attributes
    ----------
    streams
        Protocol of each stream that the worker reads, as captures call it, by its name.
    """

    worker: str
    reducer: str
    streams: Mapping[str, str]


def make_skeleton(paths: Sequence[Path]) -> Skeleton:
    """The source text that suits the streams of captures.

    Raises
    ------
    ConfigError
        None of the streams is of a protocol that can be parsed.
    BadRun
        A file cannot be read.
    """
    found = _streams(paths)
    known = {name: typ for name, (typ, _) in found.items() if typ in _TYPS}
    others = {name: typ for name, (typ, _) in found.items() if typ not in _TYPS}
    if not known:
        told = ", ".join(f"{name!r} of {typ!r}" for name, typ in others.items()) or "there are none"
        raise ConfigError(
            f"{paths[0]}: no stream is of a known protocol ({told}). Write the worker by hand, from event.streams[...].frames."
        )
    order = sorted(known, key=lambda name: [*_FORMS].index(by_typ(known[name]).name))
    taken: set[str] = set()
    blocks = []
    for name in order:
        protocol = by_typ(known[name]).name
        form, plain = _FORMS[protocol], _identifier(name, taken)
        lines = _pixels_missing(found[name][1], plain) or [line.format(n=plain) for line in form.lines]
        lines = lines or list(_lines(form, values_of(found[name][1]), plain, taken))
        blocks.append((name, plain, protocol, form.wanted, lines))
    return Skeleton(worker_text(blocks, others), REDUCER, known)


def write_skeleton(skeleton: Skeleton, folder: Path) -> tuple[Path, Path]:
    """Write ``worker.py`` and ``reducer.py`` into a folder, which is made where there is none.

    Raises
    ------
    ConfigError
        One of them is there already; then nothing is written.
    """
    worker, reducer = folder / "worker.py", folder / "reducer.py"
    for path in (worker, reducer):
        if path.exists():
            raise ConfigError(f"{path} is there already, and is not written over. Name another folder with --out.")
    folder.mkdir(parents=True, exist_ok=True)
    worker.write_text(skeleton.worker)
    reducer.write_text(skeleton.reducer)
    return worker, reducer


def _streams(paths: Sequence[Path]) -> dict[str, tuple[str, Any]]:
    """Protocol of each stream, and its first message that carries something at a trigger, by name."""
    found: dict[str, tuple[str, Any]] = {}
    parsers: dict[str, Parse] = {}
    with open_files(paths) as source:
        for position in range(min(len(source), _LOOKED_AT)):
            for name, data in source.event(position).streams.items():
                typ, example = found.setdefault(name, (data.typ, None))
                if example is not None or typ not in _TYPS:
                    continue
                if name not in parsers:
                    parsers[name] = by_typ(typ).new_parse()
                try:
                    message = parsers[name](data)
                except BadEvent:
                    continue  # one good message is enough; penstock inspect counts the others
                if type(message).__name__ == _FORMS[by_typ(typ).name].wanted:
                    found[name] = typ, message
    return found


def _pixels_missing(example: Any, stream: str) -> list[str]:
    """Entries for images that cannot be decoded; none where they can."""
    kind = type(example).__name__
    reason = ""
    if kind == "StinsImage" and not hasattr(example, "data"):
        reason = f"compression {example.compression!r} is not known"
    elif kind == "EigerImage":
        try:
            example.image()
        except BadEvent as error:
            reason = str(error)
    return [f"# No pixels: {reason}", f'"{stream}_frame": float(acquired.frame),'] if reason else []


def _identifier(name: str, taken: set[str]) -> str:
    """A name of its own that Python accepts."""
    plain = re.sub(r"\W+", "_", name.lower()).strip("_") or "stream"
    plain = f"stream_{plain}" if plain[0].isdigit() or keyword.iskeyword(plain) else plain
    while plain in taken:
        plain += "_"
    taken.add(plain)
    return plain


def _lines(form: _Form, values: Mapping[str, Any], stream: str, taken: set[str]) -> Iterator[str]:
    """An entry for each number in a message, and for the mean of each array."""
    for count, (path, reached, value) in enumerate(_numbers(form, values)):
        if count == _MOST_VALUES:
            return
        label = path.replace("/", "_")
        label = f"{stream}_{label}" if label in taken else label
        taken.add(label)
        yield f'"{label}": float({f"np.mean({reached})" if isinstance(value, np.ndarray) else reached}),'


def _numbers(form: _Form, values: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name, expression and value of what is a number or an array of numbers, one level deep."""
    for name, value in values.items():
        quoted = _quoted(name)
        reached = (
            form.reach.format(f=quoted) if form.reach else f"acquired.{name}" if name.isidentifier() else f"getattr(acquired, {quoted})"
        )
        inner: Iterator[tuple[str, str, Any]]
        if isinstance(value, Mapping):
            inner = ((f"{name}_{key}", f"{reached}[{_quoted(key)}]", v) for key, v in value.items() if isinstance(key, str))
        else:
            inner = iter([(name, reached, value)])
        yield from (item for item in inner if _is_number(item[2]))


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf" and value.size > 0
    return isinstance(value, bool | int | float | np.number)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
