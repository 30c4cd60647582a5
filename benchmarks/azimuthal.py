"""What azimuthal integration costs, in CPU milliseconds a frame of one thread, beside pyFAI on the same frames, and whether both agree.

azint is measured too, where it is installed. The last line printed is JSON. `--check` runs the agreement alone.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    from machine import THREADS_OFF

    os.environ |= THREADS_OFF

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from figures import Goal, Row, format_table, json_line
from machine import describe_machine
from numpy.typing import NDArray

from penstock.kernels.azimuthal import AzimuthalIntegrator, Splitting
from penstock.kernels.geometry import Detector, Geometry

__all__ = ["main"]

BINS = 1000
PIXEL_M = 75e-6
DISTANCE_M = 0.1
WAVELENGTH_M = 1e-10
POLARIZATION = 0.99
MASKED = 0.02
INVALID = 1e-3
FRAMES = 8
"""Different frames in turn, so that none is in the cache of the frame before it by accident."""
GOALS = {1024: Goal(0.6, side="most"), 2048: Goal(2.5, side="most")}
"""Without splitting, by pixels along a side: CPU milliseconds."""

Frame = NDArray[Any]
Integrate = Callable[[Frame], Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Integrate frames both ways, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048], help="pixels along a side of the frames")
    parser.add_argument("--repetitions", type=int, default=25)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--check", action="store_true", help="compare with pyFAI, measure nothing")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    print(describe_machine(None if options.no_peer else _peers()))
    rows: list[Row] = []
    for side in options.sides:
        bench = _Bench(side, options.repetitions, peer=not options.no_peer)
        if not options.check:
            rows += bench.costs(GOALS.get(side))
        if not options.no_peer:
            rows += bench.agreement()
    print(format_table(f"azimuthal integration to {BINS} bins, one core; median (peer: pyFAI unless named)", rows))
    print(json_line(rows))


class _Bench:
    """Frames of one size, and integrators for them."""

    def __init__(self, side: int, repetitions: int, *, peer: bool) -> None:
        self.name = f"{side}²"
        self.side = side
        self.repetitions = repetitions
        self.peer = _make_peer(side) if peer else None
        rng = np.random.default_rng(side)
        poni = PIXEL_M * (side / 2 + 0.3), PIXEL_M * (side / 2 - 0.4)
        self.geometry = Geometry(Detector(PIXEL_M, PIXEL_M, (side, side)), DISTANCE_M, *poni, wavelength_m=WAVELENGTH_M)
        self.mask = rng.random((side, side)) < MASKED
        q = self.geometry.coordinates("q_nm^-1")[0]
        mean = 10 + 20 * (1 + np.cos(40 * q / q.max() * np.pi))
        self.frames = [rng.poisson(mean).astype(np.uint16) for _ in range(FRAMES)]
        self.marked = [np.where(rng.random((side, side)) < INVALID, 65535, frame).astype(np.uint16) for frame in self.frames]

    def costs(self, goal: Goal | None) -> list[Row]:
        """CPU time of a frame by splitting, the measurements of all tools taken in turns."""
        kinds: dict[str, tuple[Integrate, list[Frame]]] = {
            "no splitting": (self._ours("none"), self.frames),
            "no splitting, 0.1 % invalid": (self._ours("none"), self.marked),
            "no splitting, float32": (self._ours("none"), [frame.astype(np.float32) for frame in self.frames]),
            "bbox": (self._ours("bbox"), self.frames),
            "2 × 2": (self._ours(2), self.frames),
        }
        peers: dict[str, tuple[Integrate, list[Frame]]] = {}
        if self.peer is not None:
            for kind, method in (("no splitting", "histogram"), ("bbox", "csr")):
                peers[kind] = self._pyfai(("no" if method == "histogram" else "bbox", method, "cython")), self.frames
        for n, kind in ((1, "azint, no splitting"), (2, "azint, 2 × 2")):
            if (found := self._azint(n)) is not None:
                kinds[kind], peers[kind] = (self._ours(n), self.frames), (found, self.frames)
        ours, theirs = _measure(kinds, self.repetitions), _measure(peers, max(self.repetitions // 5, 3))
        return [
            Row(f"{self.name}: {kind}", "ms", ours[kind], peer=theirs.get(kind), goal=goal if kind == "no splitting" else None)
            for kind in kinds
        ]

    def agreement(self) -> list[Row]:
        """How far map and sums without splitting are from pyFAI's."""
        assert self.peer is not None
        shape = (self.side, self.side)
        integrator = AzimuthalIntegrator(self.geometry, BINS, mask=self.mask, polarization=POLARIZATION)
        position = self.peer.center_array(shape, unit="q_nm^-1", scale=False)
        low, high = position.min(), position.max() * (1.0 + np.finfo(np.float32).eps)
        theirs = np.where(self.mask, -1, ((position - low) / ((high - low) / BINS)).astype(np.int64))
        profile, wanted = integrator.integrate(self.frames[0]), self._pyfai(("no", "histogram", "cython"))(self.frames[0])
        filled = wanted.count > 0
        sums = np.abs(profile.signal[filled] / wanted.sum_signal[filled] - 1).max()
        intensity = np.abs(profile.intensity[filled] / wanted.intensity[filled] - 1).max()
        apart = [
            ("pixels in another bin", np.mean(theirs != integrator.pixel_bins), 1e-5),
            ("sums, greatest relative difference", sums, 1e-6),
            ("intensity, greatest relative difference", intensity, 1e-6),
        ]
        return [Row(f"{self.name}: {name}", "", float(value), goal=Goal(bound, side="most")) for name, value, bound in apart]

    def _ours(self, splitting: Splitting) -> Integrate:
        return AzimuthalIntegrator(self.geometry, BINS, mask=self.mask, polarization=POLARIZATION, splitting=splitting).integrate

    def _pyfai(self, method: tuple[str, str, str]) -> Integrate:
        mask, peer = self.mask.astype(np.int8), self.peer
        assert peer is not None
        # "safe" repeats checks of the mask in every call; a patient user turns it off.
        options = {"unit": "q_nm^-1", "method": method, "mask": mask, "polarization_factor": POLARIZATION, "safe": False}
        return lambda frame: peer.integrate1d(frame, BINS, **options)

    def _azint(self, n: int) -> Integrate | None:
        try:
            import azint
        except ImportError:
            return None
        g = self.geometry
        detector = azint.detector.Detector(PIXEL_M, PIXEL_M, (self.side, self.side))
        poni = azint.Poni(detector, g.distance_m, g.poni1_m, g.poni2_m, 0.0, 0.0, 0.0, WAVELENGTH_M)
        mask = self.mask.astype(np.int8)
        integrate: Integrate = azint.AzimuthalIntegrator(poni, n, BINS, mask=mask, polarization_factor=POLARIZATION).integrate
        return integrate


def _make_peer(side: int) -> Any:
    try:
        from pyFAI.detectors import Detector as PeerDetector
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator as Peer
    except ImportError:
        sys.exit("pyFAI is not installed: pip install -c constraints.txt pyFAI, or say --no-peer.")
    detector = PeerDetector(PIXEL_M, PIXEL_M, max_shape=(side, side), orientation=3)
    poni1, poni2 = PIXEL_M * (side / 2 + 0.3), PIXEL_M * (side / 2 - 0.4)
    return Peer(DISTANCE_M, poni1, poni2, detector=detector, wavelength=WAVELENGTH_M)


def _peers() -> dict[str, str]:
    found = {}
    for name in ("pyFAI", "azint"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _measure(kinds: dict[str, tuple[Integrate, list[Frame]]], repetitions: int) -> dict[str, float]:
    """Median CPU time of a frame in ms, after a first round that compiles and fills caches."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repetition in range(repetitions + 1):
        for kind, (integrate, frames) in kinds.items():
            before = time.process_time()
            for frame in frames:
                integrate(frame)
            if repetition:
                times[kind].append((time.process_time() - before) / len(frames) * 1e3)
    return {kind: statistics.median(found) for kind, found in times.items()}


if __name__ == "__main__":
    main()
