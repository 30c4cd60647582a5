"""A workspace of Spyral taken as an instrument: its files are the raw data, and each phase is taken over by a stage.

The results have the schemas of ours, so that a stage of ours can go on from any of them. Their stages are named after
Spyral, and their keys are made of the checksums of its files: none of them poses as computed here.
"""

from dataclasses import replace
from pathlib import Path

from penstock.core.stage import stage
from penstock.formats.spyral.events import SpyralEvents
from penstock.formats.spyral.layout import FITS, FOLDERS
from penstock.instruments.attpc import INSTRUMENT as ATTPC
from penstock.tpc.imported import ImportParams
from penstock.tpc.schemas import Clusters, Estimates, Fits, PointCloud

__all__ = ["INSTRUMENT", "STAGES", "clusters", "estimates", "fits", "points"]

_READ = {"workspace": SpyralEvents}

points = stage(
    "spyral.points",
    version=1,
    body="penstock.tpc.imported:take_points",
    params=ImportParams,
    reads=_READ,
    writes=PointCloud,
    lane="tpc",
    block=128,
    summary=("points",),
    modules=("penstock.formats.spyral.reader",),
)

clusters = stage(
    "spyral.clusters",
    version=1,
    body="penstock.tpc.imported:take_clusters",
    params=ImportParams,
    reads=_READ,
    writes=Clusters,
    lane="tpc",
    block=128,
    summary=("clusters",),
    modules=("penstock.formats.spyral.reader",),
)

estimates = stage(
    "spyral.estimates",
    version=1,
    body="penstock.tpc.imported:take_estimates",
    params=ImportParams,
    reads=_READ,
    writes=Estimates,
    lane="tpc",
    block=1024,
    summary=("estimates",),
    figure="penstock.views.tpc_run:draw_estimates",
    modules=("penstock.formats.spyral.reader",),
)

fits = stage(
    "spyral.fits",
    version=1,
    body="penstock.tpc.imported:take_fits",
    params=ImportParams,
    reads=_READ,
    writes=Fits,
    lane="tpc",
    block=1024,
    summary=("fits",),
    modules=("penstock.formats.spyral.reader",),
)

STAGES = (points, clusters, estimates, fits)

INSTRUMENT = replace(
    ATTPC,
    name="spyral",
    title="A workspace of Spyral: what its phases left of runs of the AT-TPC",
    raw=SpyralEvents,
    reader="penstock.formats.spyral.reader:SpyralRun",
    finder="penstock.formats.spyral.layout:find_runs",
    files={folder: f"{folder}/run_{{run:04d}}{'_1H' if folder == FITS else ''}.{suffix}" for folder, suffix in FOLDERS.items()},
    pipeline=("spyral.points", "spyral.clusters", "spyral.estimates"),
    presets=Path(__file__).parent / "presets",
    event_view="",
)
