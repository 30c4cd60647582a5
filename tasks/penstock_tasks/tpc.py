"""The tasks of the TPC family, by name.

Each does one stage on one run. Their tags bound them: ``prefect concurrency-limit create lane:tpc 4`` lets four run at
a time, over all flow runs of a server; within a flow run the flow keeps two a worker thread.
"""

from __future__ import annotations

from penstock.tpc.stages import STAGES
from penstock_tasks._adapter import task_of

__all__ = ["clusters", "estimates", "points"]

_TASKS = {stage.name: task_of(stage) for stage in STAGES}

points = _TASKS["tpc.points"]
clusters = _TASKS["tpc.clusters"]
estimates = _TASKS["tpc.estimates"]
