"""Stage body of ``tpc.scalers``: what the crate counted during a run, all records of it."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np

from penstock.core.errors import ConfigError
from penstock.core.stage import RunSource
from penstock.formats.scalers import SCALER_WORDS, Scalers
from penstock.tpc.params import ScalerParams

__all__ = ["read_scalers_of_run", "total_counts"]


class ScalerReader(Protocol):
    """A reader of runs whose files hold scalers."""

    def scalers(self) -> Scalers:
        """All scaler records of the run, and what its files say of the run as a whole."""


def read_scalers_of_run(source: RunSource, params: ScalerParams) -> Scalers:
    """The scalers of a run, and what its files say of the run as a whole.

    Parameters
    ----------
    source
        The run; its reader has `ScalerReader.scalers`.
    params
        There is nothing to choose.

    Returns
    -------
    Scalers
        One event, the run.

    Raises
    ------
    ConfigError
        The instrument's reader knows of no scalers.
    """
    with source.reader() as reader:
        if not hasattr(reader, "scalers"):
            raise ConfigError(
                f"run {source.run}: stage 'tpc.scalers' wants a reader with scalers, {type(reader).__name__} has none. "
                "Take the stage out of the pipeline in experiment.toml."
            )
        return cast("ScalerReader", reader).scalers()


def total_counts(scalers: Scalers) -> dict[str, int]:
    """What each scaler counted in the whole run.

    Records that count since the record before are added up; where all count from the begin of the run, the last one is the
    total. Words that a record lacks count nothing.

    Parameters
    ----------
    scalers
        The scalers of one run.

    Returns
    -------
    dict
        Counts by name of `SCALER_WORDS`; 0 for a run without scalers.
    """
    table = scalers["scalers"]
    since_last = table["incremental"] != 0
    totals = {}
    for word in SCALER_WORDS:
        counts = np.maximum(table[word], 0)
        cumulative = counts[~since_last]
        totals[word] = int(counts[since_last].sum()) + int(cumulative[-1] if cumulative.size else 0)
    return totals
