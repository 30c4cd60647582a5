"""Signs by which a single message tells its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.errors import BadEvent
from penstock.stream._json_message import read_object
from penstock.stream.models import Frame

__all__ = ["protocols_that_fit"]

_SARDANA_TYPES = ("DataDescription", "RecordData", "RecordEnd")
_SARDANA_ROUTES = ("data_desc", "record_data", "record_end", "custom_data")
_HEADER_LINES = (b"arm_time:", b"missed:", b"process:", b"format: ASCII", b"fields:")
_PICKLE = b"\x80"


def protocols_that_fit(message: Sequence[Frame]) -> frozenset[str]:
    """Names of the protocols that can have sent it; none where it shows no sign."""
    if not message:
        return frozenset()
    beginning = bytes(message[0][:256])
    if beginning.lstrip().startswith(b"{"):
        return frozenset(_of_json(message))
    if beginning.startswith(_PICKLE):
        return frozenset({"contrast"} if len(message) == 1 and b"status" in bytes(message[0]) else ())
    if len(message) == 2 and beginning.decode(errors="replace").rstrip("/").rpartition("/")[2] in _SARDANA_ROUTES:
        return frozenset({"sardana"})
    if any(line in beginning for line in _HEADER_LINES):
        return frozenset({"positioncap"})
    return frozenset()


def _of_json(message: Sequence[Frame]) -> set[str]:
    try:
        fields = read_object(message[0], "capture")
    except BadEvent:
        return set()
    if isinstance(fields.get("htype"), str):
        return _of_htype(fields, len(message))
    if fields.get("message_type") in ("series-start", "data", "series-end"):
        return _of_series(fields)
    return {"sardana"} if fields.get("type") in _SARDANA_TYPES else set()


def _of_htype(fields: dict[str, Any], parts: int) -> set[str]:
    htype = fields["htype"]
    if htype.startswith(("dheader-", "dimage-", "dseries_end-")):
        return {"eiger"}
    if htype in ("msg", "traces"):
        return {"lecroy"}
    if htype not in ("header", "image", "series_end"):
        return set()
    if "msg_number" in fields or (htype == "image" and parts == 2):
        return {"stins"}
    if "overwritable" in fields or "exptime" in fields or (htype == "image" and parts == 3):
        return {"xspress3"}
    return {"stins", "xspress3"}


def _of_series(fields: dict[str, Any]) -> set[str]:
    if "arm_time" in fields or any(isinstance(value, list) for value in fields.values()):
        return {"pcap"}
    if "acquisition_timestamp" in fields or "detector_specific" in fields:
        return {"albaem"}
    return {"pcap", "albaem"}
