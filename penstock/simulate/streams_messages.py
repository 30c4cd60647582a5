"""Messages of simulated streams, as their senders write them: STINS, Contrast and PandABox PCAP."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.simulate.streams_rings import Point

__all__ = [
    "contrast_frames",
    "contrast_point",
    "pcap_arm_time",
    "pcap_batch",
    "pcap_frames",
    "pcap_values",
    "stins_end",
    "stins_image",
    "stins_start",
]

_BLOCK_ITEMS = 4096


def stins_start(filename: str) -> list[bytes]:
    """The message that opens a series of images."""
    return [_json({"htype": "header", "filename": filename, "msg_number": 0})]


def stins_image(image: NDArray[Any], frame: int, compression: str) -> list[bytes]:
    """The message of one image; bslz4 as HDF5's filter of that name writes its chunks."""
    header = {
        "htype": "image",
        "frame": frame,
        "shape": list(image.shape),
        "type": str(image.dtype),
        "compression": compression,
        "msg_number": frame + 1,
    }
    return [_json(header), image.tobytes() if compression == "none" else _bslz4(image)]


def stins_end(images: int) -> list[bytes]:
    """The message that closes a series."""
    return [_json({"htype": "series_end", "msg_number": images + 1})]


def _bslz4(image: NDArray[Any]) -> bytes:
    import bitshuffle

    head = struct.pack(">QI", image.nbytes, _BLOCK_ITEMS * image.itemsize)
    return head + bytes(bitshuffle.compress_lz4(np.ascontiguousarray(image).reshape(-1), _BLOCK_ITEMS))


def contrast_frames(status: str, fields: Mapping[str, Any]) -> list[bytes]:
    """A pickled dict, as the scan program sends it; its arrays are pickled by numpy."""
    return [pickle.dumps({**fields, "status": status}, protocol=4)]


def contrast_point(point: Point, seconds: float) -> dict[str, Any]:
    """The fields of a point of the scan."""
    return {
        "sx": point.sx_mm,
        "sy": point.sy_mm,
        "pseudo": {"x": np.array([point.sx_mm]), "y": np.array([point.sy_mm])},
        "diode": {"i0": np.array([point.i0])},
        "dt": round(seconds, 6),
    }


def pcap_frames(kind: str, message: int, **fields: Any) -> list[bytes]:
    """A message of the PandABox: ``series-start``, ``data`` or ``series-end``."""
    return [_json({"message_id": message, "message_type": kind, "version": 1, **fields})]


def pcap_arm_time(seconds: float) -> str:
    """The time of arming, from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pcap_values(point: Point, energy_ev: float) -> dict[str, float]:
    """What is captured at a point."""
    return {"energy": energy_ev, "INENC1.VAL.Mean": point.sx_mm, "INENC2.VAL.Mean": point.sy_mm, "COUNTER1.OUT.Diff": point.i0}


def pcap_batch(triggers: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, Any]:
    """Several consecutive triggers in one message: a list a field, and the number of the first."""
    return {"frame_number": triggers[0][0], **{name: [values[name] for _, values in triggers] for name in triggers[0][1]}}


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode()
