"""Captures of event streams: concatenated CBOR, of events as replays read them, or of messages as they came from the wire."""

from penstock.formats.captures._source import Damage, Frame
from penstock.formats.captures._times import UNKNOWN
from penstock.formats.captures.dump import CaptureFile
from penstock.formats.captures.kinds import Kind, kind_of
from penstock.formats.captures.raw import RawCapture
from penstock.formats.captures.writing import CaptureWriter, Contributed, RawWriter, Recorded, write_event

__all__ = [
    "UNKNOWN",
    "CaptureFile",
    "CaptureWriter",
    "Contributed",
    "Damage",
    "Frame",
    "Kind",
    "RawCapture",
    "RawWriter",
    "Recorded",
    "kind_of",
    "write_event",
]
