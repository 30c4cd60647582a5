"""What is done with the files of the data acquisition before the chain begins: read-out, scalers, channels."""

from __future__ import annotations

from typing import Literal

from penstock.core.params import Params

__all__ = [
    "MergeParams",
    "ReadoutParams",
    "ScalerParams",
]


class MergeParams(Params):
    """What is done with the channels of the GET electronics before anything else."""

    fixed_pattern_noise: Literal["keep", "mean", "median"] = "keep"
    """Subtract what the noise channels of an AGET chip share, bucket by bucket: their mean or median, each less its own mean."""

    unmapped: Literal["drop", "keep"] = "drop"
    """Channels that the map of the electronics does not know, noise channels among them: drop them, or keep them as pad -1."""


class ReadoutParams(Params):
    """How closely the files of the data acquisition are looked at."""

    decode: bool = True
    """Decode all events, which tells samples without a place and damaged items of the crate; else only headers are read."""


class ScalerParams(Params):
    """Scalers are read as they are: there is nothing to choose."""
