"""Simulated event streams hold what their truth says, in the protocols of their senders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from penstock.events.sources import open_files, problems_of
from penstock.formats.poni import read_poni
from penstock.kernels.azimuthal import AzimuthalIntegrator
from penstock.simulate.streams import capture_path, geometry_path, truth_path, write_stream_run
from penstock.simulate.streams_settings import StreamSimulation
from penstock.stream.contrast import ContrastFinished, ContrastRunning, ContrastStarted
from penstock.stream.pcap import PcapValues
from penstock.stream.protocols import parse
from penstock.stream.stins import StinsEnd, StinsImage, StinsStart

POINTS = 12


def messages(folder: Path, run: int = 1, streams: tuple[str, ...] = ("xrd", "contrast", "pcap")) -> dict[int, dict[str, Any]]:
    """Parsed messages by event and stream."""
    with open_files([capture_path(folder, run, stream) for stream in streams]) as source:
        events = [source.event(position) for position in range(len(source))]
        return {e.event_number: {name: parse(data) for name, data in e.streams.items()} for e in events}


def truth(folder: Path, run: int = 1) -> dict[str, Any]:
    with h5py.File(truth_path(folder, run)) as file:
        return {
            name: file[name][()] for name in ("event", "sx_mm", "sy_mm", "i0", "q", "counts", "dead_pixels", "lost/xrd", "lost/contrast")
        }


def test_a_scan_has_a_start_an_event_for_each_point_and_an_end(tmp_path: Path) -> None:
    write_stream_run(tmp_path, StreamSimulation(), 1, POINTS)

    found = messages(tmp_path)

    assert sorted(found) == list(range(POINTS + 2))
    assert [type(found[n]["xrd"]) for n in (0, 1, POINTS + 1)] == [StinsStart, StinsImage, StinsEnd]
    assert [type(found[n]["contrast"]) for n in (0, 1, POINTS + 1)] == [ContrastStarted, ContrastRunning, ContrastFinished]
    assert found[0]["contrast"].description == "mesh sx -1 1 2 sy -1 1 3 0.1"
    assert [found[n]["xrd"].frame for n in range(1, POINTS + 1)] == list(range(POINTS))


def test_positions_and_monitor_are_those_of_the_truth(tmp_path: Path) -> None:
    write_stream_run(tmp_path, StreamSimulation(seed=4), 1, POINTS)

    found, true = messages(tmp_path), truth(tmp_path)

    points = [found[n]["contrast"] for n in true["event"]]
    np.testing.assert_array_equal([p.sx for p in points], true["sx_mm"])
    np.testing.assert_array_equal([p.pseudo["y"][0] for p in points], true["sy_mm"])
    np.testing.assert_array_equal([p.diode["i0"][0] for p in points], true["i0"])


def test_the_slow_device_has_values_at_every_fourth_point(tmp_path: Path) -> None:
    write_stream_run(tmp_path, StreamSimulation(), 1, POINTS)

    found, true = messages(tmp_path), truth(tmp_path)

    having = [n for n, event in found.items() if isinstance(event.get("pcap"), PcapValues)]
    assert having == [1, 5, 9]
    assert [found[n]["pcap"].fields["INENC1.VAL.Mean"] for n in having] == [true["sx_mm"][n - 1] for n in having]


def test_rings_lie_where_the_truth_says_once_integrated_with_the_geometry_beside(tmp_path: Path) -> None:
    write_stream_run(tmp_path, StreamSimulation(seed=2, ring_counts=(400.0,), grain=10.0), 1, POINTS)
    found, true = messages(tmp_path), truth(tmp_path)
    integrator = AzimuthalIntegrator(
        read_poni(geometry_path(tmp_path)), 60, unit="q_A^-1", radial_range=(1.2, 1.8), splitting=8, solid_angle=False
    )

    for number, q in zip(true["event"], true["q"][:, 0], strict=True):
        profile = np.nan_to_num(integrator.integrate(found[number]["xrd"].data).intensity)
        above = np.clip(profile - 0.2 * profile.max(), 0.0, None)
        assert np.average(integrator.radial, weights=above) == pytest.approx(q, abs=0.004)


def test_counts_follow_poissons_law_about_the_expected_ones(tmp_path: Path) -> None:
    from penstock.simulate.streams_rings import RingDetector, scan_points

    settings = StreamSimulation(seed=9)
    detector = RingDetector(settings)
    (point, *_) = scan_points(settings, 1, POINTS)
    expected = detector.expected(point)
    image = detector.image(point, 1, 0).astype(float)
    alive = np.ones(image.size, bool)
    alive[detector.dead] = False

    pulls = ((image - expected) / np.sqrt(expected)).reshape(-1)[alive]

    assert pulls.mean() == pytest.approx(0.0, abs=0.06)
    assert pulls.std() == pytest.approx(1.0, abs=0.04)
    assert (image.reshape(-1)[detector.dead] == 65535).all()


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> list[bytes]:
        folder = tmp_path / name
        folder.mkdir()
        return [path.read_bytes() for path in write_stream_run(folder, StreamSimulation(seed=seed), 1, 5).values()]

    first = written("first", 1)

    assert written("again", 1) == first
    assert all(a != b for a, b in zip(written("other", 2), first, strict=True))


def test_a_lost_image_leaves_its_event_without_it_and_shifts_nothing(tmp_path: Path) -> None:
    whole, holed = tmp_path / "whole", tmp_path / "holed"
    for folder, lost in ((whole, 0.0), (holed, 0.3)):
        folder.mkdir()
        write_stream_run(folder, StreamSimulation(seed=3, lost_images=lost), 1, POINTS)

    found, full, missing = messages(holed), messages(whole), truth(holed)["lost/xrd"]

    assert 0 < missing.sum() < POINTS
    assert [n for n in range(1, POINTS + 1) if "xrd" not in found[n]] == (np.flatnonzero(missing) + 1).tolist()
    for n in np.flatnonzero(~missing) + 1:
        np.testing.assert_array_equal(found[n]["xrd"].data, full[n]["xrd"].data)


def test_compressed_images_hold_the_same_pixels(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder, compression in ((plain, "none"), (packed, "bslz4")):
        folder.mkdir()
        write_stream_run(folder, StreamSimulation(compression=compression, shape=(70, 101)), 1, 3)

    assert capture_path(packed, 1, "xrd").stat().st_size < 0.6 * capture_path(plain, 1, "xrd").stat().st_size
    for n, event in messages(packed).items():
        if isinstance(event["xrd"], StinsImage):
            np.testing.assert_array_equal(event["xrd"].data, messages(plain)[n]["xrd"].data)


@pytest.mark.parametrize("slow_every", [1, 4], ids=["several triggers in a message", "one trigger in a message"])
def test_raw_messages_are_built_into_the_same_events(tmp_path: Path, slow_every: int) -> None:
    dump, raw = tmp_path / "dump", tmp_path / "raw"
    for folder, layout in ((dump, "events"), (raw, "raw")):
        folder.mkdir()
        write_stream_run(folder, StreamSimulation(layout=layout, slow_every=slow_every, lost_images=0.2), 1, POINTS)

    built, recorded = messages(raw), messages(dump)

    assert built.keys() == recorded.keys()
    for number, event in recorded.items():
        assert built[number].keys() == event.keys()
        assert repr(built[number]["xrd"] if "xrd" in event else 0) == repr(event.get("xrd", 0))
        fields = getattr(event.get("pcap"), "fields", None)
        assert getattr(built[number].get("pcap"), "fields", None) == fields


def test_what_is_lost_is_reported_by_the_source(tmp_path: Path) -> None:
    paths = write_stream_run(tmp_path, StreamSimulation(seed=3, lost_images=0.3), 1, POINTS)

    with open_files([paths["xrd"], paths["contrast"]]) as source:
        problems = problems_of(source)

    assert problems == {"events without stream 'xrd', between others that have it": int(truth(tmp_path)["lost/xrd"].sum())}


def test_a_ring_too_many_is_refused() -> None:
    with pytest.raises(ValidationError, match="ring_counts"):
        StreamSimulation(ring_counts=(1.0, 2.0, 3.0, 4.0, 5.0))
