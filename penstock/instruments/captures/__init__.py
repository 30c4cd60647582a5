"""Captured event streams: files that ingesters of a beamline recorded, one for each of them, of any detectors."""

from pathlib import Path

from penstock.core.instrument import Instrument
from penstock.events.schemas import CapturedEvents

__all__ = ["INSTRUMENT"]

INSTRUMENT = Instrument(
    name="captures",
    title="Captured event streams (.cbors), of any detectors",
    raw=CapturedEvents,
    reader="penstock.events.reader:CaptureRun",
    files={"events": "run_{run:04d}.cbors"},
    finder="penstock.formats.captures.folders:find_runs",
    pipeline=("events.mapreduce",),
    presets=Path(__file__).parent / "presets",
    event_view="penstock.views.events_event:draw_event",
)
