"""The tasks of the TPC family, by name.

Each does one stage on one run. Their tags bound them: ``prefect concurrency-limit create lane:tpc 4`` lets four run at
a time, over all flow runs of a server; within a flow run the flow keeps two a worker thread.
"""

from __future__ import annotations

from penstock.tpc.stages import STAGES
from penstock_tasks._adapter import task_of

__all__ = ["baselines", "clusters", "estimates", "fits", "kinematics", "merge", "mesh", "points", "readout", "scalers"]

_TASKS = {stage.name: task_of(stage) for stage in STAGES}

readout = _TASKS["tpc.readout"]
scalers = _TASKS["tpc.scalers"]
merge = _TASKS["tpc.merge"]
baselines = _TASKS["tpc.baselines"]
points = _TASKS["tpc.points"]
clusters = _TASKS["tpc.clusters"]
estimates = _TASKS["tpc.estimates"]
mesh = _TASKS["tpc.mesh"]
fits = _TASKS["tpc.fits"]
kinematics = _TASKS["tpc.kinematics"]
