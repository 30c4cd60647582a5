"""The workers that a step waits for: whether there are any, and which events they die of."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from penstock.core.errors import LaneMissing
from penstock.core.stage import Stage
from penstock.execute._batch import BatchFailure, SchedulerLost, WorkerLost, begun_blocks
from penstock.execute._executor import Executor

__all__ = ["Crew"]

LOOK_S = 5.0
"""How often a step that hears nothing looks whether there are workers, in seconds."""
PATIENCE_S = 60.0
"""How long a lane may be without workers, in seconds."""
DEATHS = 1
"""A block may kill its worker so often and is tried again; once more is a recorded failure."""
LOSSES = 4
"""So often is a batch tried again whose worker died before it began."""


class Crew:
    """The workers of a stage, as one step knows them.

    Parameters
    ----------
    stage
        With the lane that it runs on.
    """

    def __init__(self, executor: Executor, stage: Stage) -> None:
        self._executor = executor
        self._stage = stage
        self._next_look = time.monotonic() + LOOK_S
        self._alone_since: float | None = None
        self._losses: Counter[int] = Counter()

    def look(self) -> None:
        """Fail where the last worker of the lane went and none came back; Dask would wait without a word.

        Raises
        ------
        LaneMissing
            Nobody has offered the lane for a minute, or the scheduler has gone.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        try:
            self._executor.preflight([self._stage])
        except SchedulerLost:
            raise
        except LaneMissing:
            self._alone_since = self._alone_since or now
            if now - self._alone_since > PATIENCE_S:
                raise
        else:
            self._alone_since = None

    def blame(self, folder: Path, blocks: tuple[int, ...], lost: WorkerLost) -> BatchFailure | None:
        """The failure where a block killed its worker twice, else None: try again. A batch that only waited there is no culprit, but has a limit too.

        Parameters
        ----------
        folder
            Of the blocks.
        """
        begun = begun_blocks(folder, blocks)
        self._losses.update(blocks)
        culprit = next((b for b in blocks if begun.get(b, 0) > DEATHS), None)
        if culprit is None and self._losses[blocks[0]] <= LOSSES:
            return None
        size = self._stage.block
        first, last = (culprit, culprit) if culprit is not None else (blocks[0], blocks[-1])
        times = begun[culprit] if culprit is not None else self._losses[blocks[0]]
        error = f"{lost} ({times} times in these events). Give the workers more memory, or try the events alone with --executor inline."
        return BatchFailure(error, f"{first * size}:{(last + 1) * size}", "", content=False)
