"""The tasks of the family of event streams, by name.

Each does one stage on one run. Their tags bound them: ``prefect concurrency-limit create lane:events 4`` lets four run at
a time, over all flow runs of a server; within a flow run the flow keeps two a worker thread.
"""

from __future__ import annotations

from penstock.events.stages import STAGES
from penstock_tasks._adapter import task_of

__all__ = ["extremes", "histogram", "mapreduce", "mean", "motor_map", "profile", "stack", "sums", "timeseries"]

_TASKS = {stage.name: task_of(stage) for stage in STAGES}

mapreduce = _TASKS["events.mapreduce"]
sums = _TASKS["events.sum"]
mean = _TASKS["events.mean"]
extremes = _TASKS["events.extremes"]
histogram = _TASKS["events.histogram"]
stack = _TASKS["events.stack"]
timeseries = _TASKS["events.timeseries"]
motor_map = _TASKS["events.map"]
profile = _TASKS["events.profile"]
