"""``dranspose.data.xspress3`` and ``dranspose.middlewares.xspress``: spectra of an Xspress3."""

from __future__ import annotations

import pickle

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import xspress3
from penstock.stream.models import StreamData

__all__ = ["XspressBase", "XspressEnd", "XspressImage", "XspressPacket", "XspressStart", "parse"]


class XspressBase(Model):
    """What all messages have."""

    def to_stream_data(self) -> StreamData:
        """The message as a stream contributes it to an event."""
        fields = self.model_dump()
        frames = [self.model_dump_json(exclude={"data", "meta"}).encode()]
        if "data" in fields:
            frames.append(fields["data"].tobytes())
        if "meta" in fields:
            frames.append(pickle.dumps(list(fields["meta"].values())))
        return StreamData("xspress", list(frames))


class XspressStart(XspressBase, xspress3.XspressStart, htype="header"):
    """A series begins."""


class XspressImage(XspressBase, xspress3.XspressImage, htype="image", exptime=1, compression="none"):
    """The spectra of one exposure in `data`, and the scalers of its channels in `meta`."""


class XspressEnd(XspressBase, xspress3.XspressEnd, htype="series_end"):
    """A series is over."""


XspressPacket = Adapter("Xspress3", "htype", {"header": XspressStart, "image": XspressImage, "series_end": XspressEnd})
parse = rename(xspress3.parse, XspressStart, XspressImage, XspressEnd)
