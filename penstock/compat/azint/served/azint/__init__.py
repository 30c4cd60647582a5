"""Names of azint that workers import, served by penstock. See penstock.compat.azint."""

from typing import Any

from penstock.compat.azint.detector import detector_factory
from penstock.compat.azint.integrator import AzimuthalIntegrator, Poni

from . import detector

__all__ = ["AzimuthalIntegrator", "Poni", "detector", "detector_factory"]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise ImportError(f"azint.{name}: not served by penstock.compat.azint. Install azint, if you need its own code.", name="azint")
