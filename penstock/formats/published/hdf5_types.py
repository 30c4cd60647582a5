"""Types and shapes of standard arrays in the JSON notation of HDF5 services.

Notation: HDF5/JSON, https://hdf5-json.readthedocs.io, as HSDS and h5pyd use it. Enumerations carry their members twice, as ``mapping`` and as
``members``, since clients differ in which of the two they read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["describe_shape", "describe_type"]

_TEXT = {"class": "H5T_STRING", "charSet": "H5T_CSET_UTF8", "strPad": "H5T_STR_NULLTERM", "length": "H5T_VARIABLE"}
_TRUTH = {
    "class": "H5T_ENUM",
    "base": {"class": "H5T_INTEGER", "base": "H5T_STD_I8LE"},
    "mapping": {"FALSE": 0, "TRUE": 1},
    "members": [{"name": "FALSE", "value": 0}, {"name": "TRUE", "value": 1}],
}


def describe_type(dtype: np.dtype[Any]) -> dict[str, Any]:
    """The HDF5 type in which a standard array of this dtype is stored: truth values as h5py does, complex numbers as fields r and i."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"class": "H5T_ARRAY", "base": describe_type(base), "dims": list(shape)}
    if dtype.names is not None:
        assert dtype.fields is not None
        return _compound({name: describe_type(dtype.fields[name][0]) for name in dtype.names})
    order = "BE" if np.dtype(dtype).newbyteorder("=").newbyteorder(">") == dtype and dtype.itemsize > 1 else "LE"
    bits = 8 * dtype.itemsize
    match dtype.kind:
        case "b":
            return _TRUTH
        case "i" | "u":
            return {"class": "H5T_INTEGER", "base": f"H5T_STD_{dtype.kind.upper()}{bits}{order}"}
        case "f":
            return {"class": "H5T_FLOAT", "base": f"H5T_IEEE_F{bits}{order}"}
        case "c":
            part = {"class": "H5T_FLOAT", "base": f"H5T_IEEE_F{bits // 2}{order}"}
            return _compound({"r": part, "i": part})
        case "S":
            return {"class": "H5T_STRING", "charSet": "H5T_CSET_ASCII", "strPad": "H5T_STR_NULLPAD", "length": dtype.itemsize}
        case "O":
            return _TEXT
        case _:
            return {"class": "H5T_OPAQUE", "size": dtype.itemsize}


def describe_shape(shape: Sequence[int] | None) -> dict[str, Any]:
    """The HDF5 dataspace of this shape; of None, which holds no value, the null space."""
    if shape is None:
        return {"class": "H5S_NULL"}
    return {"class": "H5S_SIMPLE", "dims": list(shape)} if len(shape) else {"class": "H5S_SCALAR"}


def _compound(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"class": "H5T_COMPOUND", "fields": [{"name": name, "type": described} for name, described in fields.items()]}
