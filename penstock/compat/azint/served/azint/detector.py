"""Detectors, served by penstock. See penstock.compat.azint."""

from typing import Any

from penstock.compat.azint.detector import Detector, detector_factory

__all__ = ["Detector", "detector_factory"]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise ImportError(
        f"azint.detector.{name}: not served by penstock.compat.azint. Use detector_factory({name!r}), or install azint.",
        name="azint.detector",
    )
