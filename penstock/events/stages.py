"""The stages of the family ``events``."""

from __future__ import annotations

from penstock.core.params import Params
from penstock.core.stage import Stage, stage
from penstock.events.params import MapReduceParams
from penstock.events.reduction_params import (
    ExtremesParams,
    HistogramParams,
    MapParams,
    MeanParams,
    ProfileParams,
    StackParams,
    SumParams,
    TimeSeriesParams,
)
from penstock.events.schemas import CapturedEvents, Reduced, ReducedStreams

__all__ = ["STAGES", "extremes", "histogram", "mapreduce", "mean", "motor_map", "profile", "stack", "sums", "timeseries"]

mapreduce = stage(
    "events.mapreduce",
    version=1,
    body="penstock.events.mapreduce:map_part",
    finish="penstock.events.mapreduce:reduce_parts",
    count="penstock.events.mapreduce:count_workers",
    complete="penstock.events.mapreduce:complete_params",
    params=MapReduceParams,
    reads={"events": CapturedEvents},
    writes=Reduced,
    lane="events",
    block=1,
    unit="parts",
    modules=("penstock.events.stage_process",),
)


def _reduction(name: str, module: str, params: type[Params], complete: str = "") -> Stage:
    """A ready reduction; its block of events is `penstock.events.reductions.blocks.BLOCK`."""
    dotted = f"penstock.events.reductions.{module}"
    return stage(
        name,
        version=1,
        body=f"{dotted}:blocks.reduce",
        count=f"{dotted}:blocks.count",
        finish=f"{dotted}:blocks.finish",
        complete=complete and f"{dotted}:{complete}",
        params=params,
        reads={"events": CapturedEvents},
        writes=ReducedStreams,
        lane="events",
        block=1,
        unit="parts",
        figure="penstock.views.events_reduced:draw_reduced",
    )


sums = _reduction("events.sum", "sums", SumParams)
mean = _reduction("events.mean", "moments", MeanParams)
extremes = _reduction("events.extremes", "extremes", ExtremesParams)
histogram = _reduction("events.histogram", "histogram", HistogramParams)
stack = _reduction("events.stack", "stack", StackParams)
timeseries = _reduction("events.timeseries", "timeseries", TimeSeriesParams)
motor_map = _reduction("events.map", "motor_map", MapParams)
profile = _reduction("events.profile", "profile", ProfileParams, complete="complete_params")

STAGES = (mapreduce, sums, mean, extremes, histogram, stack, timeseries, motor_map, profile)
