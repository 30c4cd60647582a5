"""penstock leads detector runs, recorded or live, through the stages that make sense of them.

In a notebook::

    import penstock
    exp = penstock.open("experiment.toml")
    exp.run("94-110")
    exp.table("tpc.estimates", runs="94-110").to_pandas()
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.notebook import OpenExperiment

__all__ = ["__version__", "open"]

__version__ = "0.1.0"


def open(path: Path | str = "experiment.toml", *, preset: str | None = None) -> OpenExperiment:  # noqa: A001  it reads as penstock.open
    """Open an experiment: `path` is an experiment.toml or the folder that holds one."""
    from penstock.notebook import OpenExperiment

    return OpenExperiment(path, preset=preset)
