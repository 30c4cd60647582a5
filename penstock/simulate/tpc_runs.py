"""Simulated runs on disk: the run file and, beside it, the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pyarrow as pa
from pyarrow import parquet

from penstock.formats.attpc_write import Compression, Layout, RawEvent, ScalerRecord, write_run_file
from penstock.simulate.tpc_auxiliary import scaler_words
from penstock.simulate.tpc_events import ReactionTruth, TrackTruth, simulate_event
from penstock.simulate.tpc_settings import TpcSimulation

__all__ = ["truth_path", "truth_table", "write_run"]

SECONDS_PER_RECORD = 2
START_S = 1_700_000_000
UNITS = {
    "ke": "MeV",
    "polar": "rad",
    "azimuthal": "rad",
    "brho": "T·m",
    "vertex_x": "mm",
    "vertex_y": "mm",
    "vertex_z": "mm",
    "path_mm": "mm",
    "ic_amplitude": "ADC",
    "ic_centroid": "sample",
    "ex": "MeV",
    "theta_cm": "rad",
    "beam_ke": "MeV",
}
ARROW_TYPES = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def write_run(
    path: Path,
    settings: TpcSimulation,
    run: int,
    n_events: int,
    *,
    layout: Layout = "merger-1.0",
    compression: Compression = "none",
) -> Path:
    """Simulate a run into a file and write the truth as Parquet beside it.

    Parameters
    ----------
    path
        The run file, or a folder, in which the file gets the name ``run_0001.h5`` of its number.
    settings
        What to simulate.
    run
        Run number.
    n_events
        Events, numbered from 0.
    layout, compression
        How the run file is written.

    Returns
    -------
    Path
        The run file; its truth lies at `truth_path` of it.
    """
    path = Path(path)
    if path.suffix != ".h5":
        path = path / f"run_{run:04d}.h5"
    truth: list[TrackTruth] = []
    scalers = [_scaler_record(settings, run, i) for i in range(settings.scaler_records)]
    write_run_file(path, run, _events(settings, run, n_events, truth), scalers=scalers, layout=layout, compression=compression)
    target = truth_path(path)
    temporary = target.with_name(f".{target.name}.part")
    parquet.write_table(truth_table(truth, settings), temporary)
    temporary.replace(target)
    return path


def truth_path(path: Path) -> Path:
    """Where the truth of a simulated run file lies: ``run_0001.truth.parquet`` beside ``run_0001.h5``."""
    return path.with_suffix(".truth.parquet")


def truth_table(rows: list[TrackTruth], settings: TpcSimulation) -> pa.Table:
    """The truth as an Arrow table, a row a track; units in the fields' metadata, settings as JSON in the table's."""
    columns = get_type_hints(ReactionTruth if settings.reaction else TrackTruth)
    fields = [pa.field(name, ARROW_TYPES[kind], metadata={"unit": UNITS.get(name, "")}) for name, kind in columns.items()]
    schema = pa.schema(fields, metadata={"settings": settings.model_dump_json()})
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def _events(settings: TpcSimulation, run: int, n_events: int, truth: list[TrackTruth]) -> Iterator[RawEvent]:
    """Raw events in order; their truth is appended to `truth`."""
    for number in range(n_events):
        event = simulate_event(settings, run, number)
        truth.extend(event.truth)
        register = event.register if settings.auxiliary else None
        yield RawEvent(number, event.timestamp, event.trace_matrix(), event.frib, register, orig_run=run, orig_event=number)


def _scaler_record(settings: TpcSimulation, run: int, record: int) -> ScalerRecord:
    start, stop = SECONDS_PER_RECORD * record, SECONDS_PER_RECORD * (record + 1)
    return ScalerRecord(scaler_words(settings, run, record), start, stop, START_S + stop)
