"""`penstock up`: a Prefect server, a Dask cluster and a worker as processes of this machine, watched by one that lasts as long as they do.

Light: nothing in here imports Prefect or Dask but the processes that need them.
"""

from __future__ import annotations

from penstock_flows.up._errors import PartFailed, PortTaken, UpRunning
from penstock_flows.up._home import Home, default_home
from penstock_flows.up._lanes import WorkerGroup, known_lanes, share_lanes
from penstock_flows.up._ports import choose_port, who_listens
from penstock_flows.up._site import Addresses, Wishes, choose_addresses, plan_parts
from penstock_flows.up._supervisor import Supervisor

__all__ = [
    "Addresses",
    "Home",
    "PartFailed",
    "PortTaken",
    "Supervisor",
    "UpRunning",
    "Wishes",
    "WorkerGroup",
    "choose_addresses",
    "choose_port",
    "default_home",
    "known_lanes",
    "plan_parts",
    "share_lanes",
    "who_listens",
]
