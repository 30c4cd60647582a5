"""Devices: the array namespace that a stage of the lane ``gpu`` computes with, and what a result says of the worker that computed it."""

from __future__ import annotations

import importlib
import os
import socket
from functools import cache
from types import ModuleType

from penstock.core.errors import LaneMissing
from penstock.execute._environment import numerics_class
from penstock.execute._lanes import Device

__all__ = ["array_namespace", "is_of_device", "worker_environment"]

ARRAYS = "PENSTOCK_ARRAYS"
"""Environment variable of a worker that stands in for one with a device: ``numpy``."""


def array_namespace(device: Device) -> ModuleType:
    """NumPy for a CPU, CuPy for a device; NumPy too on a worker that says ``PENSTOCK_ARRAYS=numpy``.

    Raises
    ------
    LaneMissing
        This process offers the lane, but has no CuPy or no device.
    """
    return importlib.import_module("numpy" if _is_cpu(device) else _cupy()[0])


def worker_environment(device: Device, *, known: bool = True) -> dict[str, str]:
    """Device, numerics class and image of this process, for the manifest of what it computes on `device`.

    Parameters
    ----------
    known
        Whether the stage computes with our array namespace; of a stage that finds its device by itself we know nothing.

    Raises
    ------
    LaneMissing
        There is no such device.
    """
    image = os.environ.get("PENSTOCK_IMAGE")
    found = {"image": image} if image else {}
    if _is_cpu(device):
        return {"device": "cpu", "numerics": numerics_class(), **found}
    if not known:
        return {"device": device, "numerics": numerics_class("unknown"), **found}
    name, version, model = _cupy()
    return {"device": model, "numerics": numerics_class(f"{name}{version}-{model.replace(' ', '_')}"), **found}


def is_of_device(error: BaseException) -> bool:
    """Whether a device, its driver or its compiler failed, and not the data. CuPy's own errors are RuntimeErrors, and only exist where CuPy does."""
    return type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends")


def _is_cpu(device: Device) -> bool:
    return device == "cpu" or os.environ.get(ARRAYS) == "numpy"


@cache
def _cupy() -> tuple[str, str, str]:
    """Module, version and the model of the first device that this process sees, after a first sum on it."""
    try:
        cupy = importlib.import_module("cupy")
        # What it lacks for compiling kernels shows here, and not in the body of a stage.
        cupy.zeros(1) + 1
        model = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except ImportError as error:
        raise LaneMissing(_no_device(f"CuPy cannot be imported ({error})")) from error
    except Exception as error:
        if not is_of_device(error):
            raise
        raise LaneMissing(_no_device(f"CuPy cannot compute on a device ({error})")) from error
    return "cupy", str(cupy.__version__), model


def _no_device(why: str) -> str:
    return (
        f"{socket.gethostname()}:{os.getpid()} is to compute on a GPU, but {why}. Install penstock[gpu] on workers that offer the lane 'gpu', or allow CPUs "
        f"with --cpu-fallback (cpu_fallback = true under [resources]); {ARRAYS}=numpy makes a worker stand in for one with a device."
    )
