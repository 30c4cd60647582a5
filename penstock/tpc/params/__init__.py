"""Parameters of the TPC stages. Light: planning, the CLI and the UI import it."""

from __future__ import annotations

from penstock.tpc.params._daq import MergeParams, ReadoutParams, ScalerParams
from penstock.tpc.params._fits import FitParams, KinematicsParams, MeshParams, PointErrorParams
from penstock.tpc.params._tracks import (
    BaselineParams,
    ClusterParams,
    ContinuityParams,
    EstimateParams,
    HdbscanParams,
    IonChamberParams,
    OverlapParams,
    PointParams,
    PulseParams,
    TripclustParams,
)

__all__ = [
    "BaselineParams",
    "ClusterParams",
    "ContinuityParams",
    "EstimateParams",
    "FitParams",
    "HdbscanParams",
    "IonChamberParams",
    "KinematicsParams",
    "MergeParams",
    "MeshParams",
    "OverlapParams",
    "PointErrorParams",
    "PointParams",
    "PulseParams",
    "ReadoutParams",
    "ScalerParams",
    "TripclustParams",
]
