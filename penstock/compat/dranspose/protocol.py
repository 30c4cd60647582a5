"""``dranspose.protocol``: names of types in annotations, states, and workers in a trigger map."""

from __future__ import annotations

from typing import NewType

from penstock.events.workers import State
from penstock.stream.parameters import WorkParameter
from penstock.stream.trigger_map import VirtualWorker

__all__ = [
    "GENERIC_WORKER",
    "EventNumber",
    "HashDigest",
    "IngesterName",
    "MappingName",
    "ParameterName",
    "ReducerState",
    "StreamName",
    "VirtualConstraint",
    "VirtualWorker",
    "WorkParameter",
    "WorkerName",
    "WorkerState",
    "WorkerTag",
]

EventNumber = NewType("EventNumber", int)
HashDigest = NewType("HashDigest", str)
IngesterName = NewType("IngesterName", str)
MappingName = NewType("MappingName", str)
ParameterName = NewType("ParameterName", str)
StreamName = NewType("StreamName", str)
VirtualConstraint = NewType("VirtualConstraint", int)
WorkerName = NewType("WorkerName", str)
WorkerTag = NewType("WorkerTag", str)

GENERIC_WORKER = WorkerTag("generic")
WorkerState = ReducerState = State
