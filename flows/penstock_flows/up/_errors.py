"""What can go wrong with the services of one machine."""

from __future__ import annotations

from penstock.core.errors import ConfigError, PenstockError

__all__ = ["PartFailed", "PortTaken", "UpRunning"]


class PortTaken(ConfigError):
    """Somebody listens on a port that was asked for."""


class UpRunning(ConfigError):
    """Another `penstock up` uses the same home."""


class PartFailed(PenstockError, RuntimeError):
    """A part did not start, or ended again and again."""
