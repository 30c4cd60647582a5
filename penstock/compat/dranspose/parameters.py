"""``dranspose.parameters``: the classes that describe parameters, and what makes them of dicts and JSON."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from penstock.stream import parameters
from penstock.stream.parameters import BinaryParameter, BoolParameter, FloatParameter, IntParameter, ParameterBase, StrParameter

__all__ = [
    "BinaryParameter",
    "BoolParameter",
    "FloatParameter",
    "IntParameter",
    "Parameter",
    "ParameterBase",
    "ParameterList",
    "ParameterType",
    "StrParameter",
]

ParameterType = StrParameter | BinaryParameter | IntParameter | FloatParameter | BoolParameter
Parameter: TypeAdapter[Any] = TypeAdapter(parameters.Parameter)
ParameterList: TypeAdapter[list[Any]] = TypeAdapter(list[parameters.Parameter])
