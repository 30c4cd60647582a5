"""Simulated event streams on disk: a capture a stream and, beside them, the truth and the geometry of the detector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.formats.captures import CaptureWriter, RawWriter
from penstock.formats.poni import format_poni
from penstock.simulate import streams_messages as messages
from penstock.simulate.streams_rings import Point, RingDetector, scan_points
from penstock.simulate.streams_settings import StreamSimulation
from penstock.stream.models import EventData, StreamData

__all__ = ["STREAMS", "capture_path", "geometry_path", "truth_path", "write_stream_run"]

STREAMS = {"xrd": "STINS", "contrast": "contrast", "pcap": "PCAP"}
"""Protocol of each stream, by its name: images, positions, and a slow device."""
BATCH = 8
"""Triggers that a message of the PandABox holds on the wire, where it has one for every point."""
START_S = 1_700_000_000
_ENERGY_EV_ANGSTROM = 12398.42
_LOSSES, _OFFSETS_S = 2, {"xrd": 0.0, "contrast": 0.002, "pcap": 0.004}


class _Sent(NamedTuple):
    """A message, the event that it belongs to, and when it arrived, in s since 1970."""

    event: int
    frames: list[bytes]
    at: float


def capture_path(folder: Path, run: int, stream: str) -> Path:
    """Where the capture of a stream lies: ``run_0001.xrd.cbors``."""
    return folder / f"run_{run:04d}.{stream}.cbors"


def truth_path(folder: Path, run: int) -> Path:
    """Where the truth of a run lies: ``run_0001.truth.h5``."""
    return folder / f"run_{run:04d}.truth.h5"


def geometry_path(folder: Path) -> Path:
    """Where the geometry of the detector lies, a PONI file."""
    return folder / "xrd.poni"


def write_stream_run(folder: Path, settings: StreamSimulation, run: int, n_points: int) -> dict[str, Path]:
    """Simulate a scan into one capture a stream, with its truth as HDF5 and the geometry as a PONI file beside them.

    Event 0 holds the start messages, event k + 1 point k, and the last one the end messages. A message that is lost leaves its event
    without that stream.

    Parameters
    ----------
    folder
        Where the files go; those of the same names are replaced.
    n_points
        Points of the scan.

    Returns
    -------
    dict of Path
        The captures by name of the stream.
    """
    detector = RingDetector(settings)
    points = scan_points(settings, run, n_points)
    lost = {
        "xrd": _lost(settings, run, "xrd", n_points, settings.lost_images),
        "contrast": _lost(settings, run, "contrast", n_points, settings.lost_positions),
    }
    sent = {
        "xrd": _images(settings, detector, run, points, lost["xrd"]),
        "contrast": _positions(settings, run, points, lost["contrast"]),
        "pcap": _values(settings, run, points),
    }
    paths = {}
    for stream, items in sent.items():
        paths[stream] = capture_path(folder, run, stream)
        part = paths[stream].with_name(f".{paths[stream].name}.part")
        part.unlink(missing_ok=True)
        _write(part, stream, items, settings.layout)
        part.replace(paths[stream])
    geometry_path(folder).write_text(format_poni(detector.geometry))
    _write_truth(truth_path(folder, run), settings, detector, points, lost)
    return paths


def _write(path: Path, stream: str, items: Iterator[_Sent], layout: str) -> None:
    with ExitStack() as stack:
        if layout == "raw":
            raw = stack.enter_context(RawWriter(path))
            for item in items:
                raw.write(item.frames)
            return
        dump = stack.enter_context(CaptureWriter(path))
        for item in items:
            dump.write(EventData(item.event, {stream: StreamData(STREAMS[stream], [*item.frames])}, round(item.at * 1e9)))


def _times(settings: StreamSimulation, run: int, stream: str, n_points: int) -> list[float]:
    """When the messages of a stream arrive, from the start to the end message."""
    began = START_S + 3600 * run + _OFFSETS_S[stream]
    return [began + settings.exposure_s * k for k in range(n_points + 2)]


def _lost(settings: StreamSimulation, run: int, stream: str, n_points: int, part: float) -> NDArray[np.bool_]:
    """(points,) whether the stream's message is lost."""
    rng = np.random.default_rng([settings.seed, run, [*STREAMS].index(stream), _LOSSES])
    return np.asarray(rng.random(n_points) < part)


def _images(settings: StreamSimulation, detector: RingDetector, run: int, points: list[Point], lost: NDArray[np.bool_]) -> Iterator[_Sent]:
    times = _times(settings, run, "xrd", len(points))
    yield _Sent(0, messages.stins_start(f"output/run_{run:04d}_xrd.h5"), times[0])
    for k, point in enumerate(points):
        if not lost[k]:
            yield _Sent(k + 1, messages.stins_image(detector.image(point, run, k), k, settings.compression), times[k + 1])
    yield _Sent(len(points) + 1, messages.stins_end(len(points)), times[-1])


def _positions(settings: StreamSimulation, run: int, points: list[Point], lost: NDArray[np.bool_]) -> Iterator[_Sent]:
    columns, limit = settings.mesh_columns(len(points)), settings.range_mm
    rows = -(-len(points) // columns)
    scan = {
        "scannr": run,
        "path": "output",
        "description": f"mesh sx {-limit:g} {limit:g} {columns - 1} sy {-limit:g} {limit:g} {rows - 1} {settings.exposure_s:g}",
        "snapshot": {"sx": 0.0, "sy": 0.0, "energy": _energy(settings)},
    }
    times = _times(settings, run, "contrast", len(points))
    yield _Sent(0, messages.contrast_frames("started", scan), times[0])
    for k, point in enumerate(points):
        if not lost[k]:
            fields = messages.contrast_point(point, settings.exposure_s * (k + 1))
            yield _Sent(k + 1, messages.contrast_frames("running", fields), times[k + 1])
    yield _Sent(len(points) + 1, messages.contrast_frames("finished", scan), times[-1])


def _values(settings: StreamSimulation, run: int, points: list[Point]) -> Iterator[_Sent]:
    times = _times(settings, run, "pcap", len(points))
    batch = BATCH if settings.layout == "raw" and settings.slow_every == 1 else 1
    energy = _energy(settings)
    numbers = range(0, len(points), settings.slow_every)
    yield _Sent(0, messages.pcap_frames("series-start", 1, arm_time=messages.pcap_arm_time(times[0])), times[0])
    for count, start in enumerate(range(0, len(numbers), batch)):
        triggers = [(k, messages.pcap_values(points[k], energy)) for k in numbers[start : start + batch]]
        first, values = triggers[0]
        fields = messages.pcap_batch(triggers) if batch > 1 else {"frame_number": first, **values}
        yield _Sent(first + 1, messages.pcap_frames("data", count + 2, **fields), times[triggers[-1][0] + 1])
    yield _Sent(len(points) + 1, messages.pcap_frames("series-end", len(numbers) + 2), times[-1])


def _energy(settings: StreamSimulation) -> float:
    """Energy of the photons, in eV."""
    return _ENERGY_EV_ANGSTROM / settings.wavelength_angstrom


def _write_truth(
    path: Path, settings: StreamSimulation, detector: RingDetector, points: list[Point], lost: dict[str, NDArray[np.bool_]]
) -> None:
    import h5py

    part = path.with_name(f".{path.name}.part")
    with h5py.File(part, "w", track_order=True) as file:
        file.attrs["settings"] = settings.model_dump_json()
        file["event"] = np.arange(1, len(points) + 1)
        for name, unit in (("sx_mm", "mm"), ("sy_mm", "mm"), ("i0", "counts"), ("powder", "1"), ("lattice_angstrom", "angstrom")):
            file[name] = np.array([getattr(point, name) for point in points])
            file[name].attrs["units"] = unit
        for name, unit in (("q", "1/angstrom"), ("counts", "counts")):
            file[name] = np.array([getattr(point, name) for point in points])
            file[name].attrs["units"] = unit
        file["dead_pixels"] = detector.dead
        for stream, missing in lost.items():
            file[f"lost/{stream}"] = missing
    part.replace(path)
