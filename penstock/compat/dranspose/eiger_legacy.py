"""``dranspose.data.eiger_legacy`` and ``dranspose.middlewares.eiger_legacy``: the stream of Eiger detectors."""

from __future__ import annotations

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import eiger
from penstock.stream.eiger import EigerPacket as EigerLegacy

__all__ = ["EigerLegacy", "EigerLegacyEnd", "EigerLegacyHeader", "EigerLegacyImage", "EigerLegacyPacket", "parse"]


class EigerLegacyHeader(Model, eiger.EigerStart):
    """A series begins: `info` is the configuration, `appendix` what the user attached."""


class EigerLegacyImage(Model, eiger.EigerImage):
    """An image: `data` describes it and holds the blob under ``buffer``, `config` its times; `image()` decodes it."""


class EigerLegacyEnd(Model, eiger.EigerEnd):
    """A series is over."""


EigerLegacyPacket = Adapter(
    "Eiger", "htype", {"dheader-1.0": EigerLegacyHeader, "dimage-1.0": EigerLegacyImage, "dseries_end-1.0": EigerLegacyEnd}
)
parse = rename(eiger.parse, EigerLegacyHeader, EigerLegacyImage, EigerLegacyEnd)
