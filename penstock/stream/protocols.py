"""The wire protocols by name: how their messages are parsed, and how events are assembled from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Any

from penstock.core.errors import BadEvent, ConfigError, nearest
from penstock.core.stage import load_dotted
from penstock.stream._signs import protocols_that_fit
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Assembler

__all__ = ["PROTOCOLS", "Parse", "Protocol", "by_name", "by_typ", "parse", "sniff"]

Parse = Callable[[StreamData], Any]
_LOOKED_AT = 64
"""Messages after which `sniff` decides."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A wire protocol.

    Attributes
    ----------
    name
        What commands and code call it.
    typ
        What captures call it.
    parse, assembler
        Dotted names of the function and of the class; their modules are imported when first used.
    title, doc
        Its name for people, and what it carries.
    parser
        Dotted name of a class whose `parse` knows what came before, where lines make no sense alone.
    """

    name: str
    typ: str
    parse: str
    assembler: str
    title: str
    doc: str
    parser: str | None = None

    def new_parse(self) -> Parse:
        """What parses the messages of one stream, in their order; another stream needs another."""
        parse: Parse = load_dotted(self.parse) if self.parser is None else load_dotted(self.parser)().parse
        return parse

    def new_assembler(self) -> Assembler:
        """What assembles the messages of one stream."""
        assembler: Assembler = load_dotted(self.assembler)()
        return assembler


def _protocol(name: str, typ: str, prefix: str, title: str, doc: str, parser: str | None = None) -> Protocol:
    module = f"penstock.stream.{name}"
    return Protocol(name, typ, f"{module}:parse", f"{module}:{prefix}Assembler", title, doc, parser and f"{module}:{parser}")


_ALL = (
    _protocol("stins", "STINS", "Stins", "STINS", "Images of an area detector: a JSON header and pixels, plain or compressed."),
    _protocol("eiger", "EIGER_LEGACY", "Eiger", "Dectris Eiger (stream v1)", "Images with their configuration, compressed with bitshuffle and LZ4."),
    _protocol("xspress3", "xspress", "Xspress", "Xspress3", "Fluorescence spectra of several channels, with their scalers."),
    _protocol("contrast", "contrast", "Contrast", "Contrast", "Points of a scan as its scan program publishes them, pickled."),
    _protocol("pcap", "PCAP", "Pcap", "PandABox PCAP (ZMQ)", "Captured positions and counters, several triggers in a message."),
    _protocol(
        "positioncap", "PCAP_RAW", "Positioncap", "PandABox data port (TCP)", "Captured positions and counters, a line of text a trigger.",
        parser="PositioncapParser",
    ),
    _protocol("albaem", "albaem", "Albaem", "AlbaEM", "Currents of an electrometer."),
    _protocol("lecroy", "lecroy_9fwdWp6Rq7", "Lecroy", "LeCroy oscilloscope", "Traces of several channels, continuous or in sequences."),
    _protocol("sardana", "sardana", "Sardana", "Sardana", "Points of a scan as its scan program posts them over HTTP."),
)  # fmt: skip

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})
"""The protocols by name."""
_BY_TYP = {protocol.typ: protocol for protocol in _ALL}


def by_name(name: str) -> Protocol:
    """The protocol of this name.

    Raises
    ------
    ConfigError
        There is none.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise ConfigError(f"there is no protocol {name!r}, only {', '.join(PROTOCOLS)}.{nearest(name, PROTOCOLS)}") from None


def by_typ(typ: str) -> Protocol:
    """The protocol that captures call `typ`.

    Raises
    ------
    ConfigError
        There is none.
    """
    try:
        return _BY_TYP[typ]
    except KeyError:
        raise ConfigError(f"no protocol has typ {typ!r}, only {', '.join(map(repr, _BY_TYP))} are known.{nearest(typ, _BY_TYP)}") from None


@cache
def _parse_of(typ: str) -> Parse:
    try:
        return load_dotted(by_typ(typ).parse)  # type: ignore[no-any-return]
    except ConfigError as error:
        raise BadEvent(str(error)) from None


def parse(data: StreamData) -> Any:
    """The message that a stream contributed to an event, whichever protocol it is of.

    Each message is parsed alone. Where it needs those before it (`Protocol.parser`), use `Protocol.new_parse`.

    Raises
    ------
    BadEvent
        It is damaged, or of an unknown protocol.
    """
    return _parse_of(data.typ)(data)


def sniff(messages: Iterable[Sequence[Frame]]) -> str | None:
    """The name of the protocol that the first messages of a raw capture are in; None where they look like none that is known.

    Raises
    ------
    ConfigError
        They fit several protocols, or each another one.
    """
    fits: frozenset[str] = frozenset()
    for number, message in enumerate(islice(messages, _LOOKED_AT)):
        found = protocols_that_fit(message)
        if fits and found and not fits & found:
            raise ConfigError(
                f"message {number} of the capture is of {_choice(found)}, those before it of {_choice(fits)}. Name the protocol, or split the capture."
            )
        fits = (fits & found or found) if found else fits
    if len(fits) > 1:
        raise ConfigError(f"the first messages of the capture fit {_choice(fits)} alike. Name the protocol.")
    return next(iter(fits), None)


def _choice(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))
