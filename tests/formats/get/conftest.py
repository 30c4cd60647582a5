"""A small data acquisition: frames and items of few channels, written where a test wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.formats.get.run import GetRun
from penstock.simulate.get_frames import Readout, encode_frame


class Daq:
    """Writes .graw files of a run; each frame holds two channels, whose samples its board and event determine."""

    channels = np.array([(0, 4), (2, 11)])

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.paths: list[Path] = []

    def samples(self, board: tuple[int, int], event: int, time: int) -> NDArray[np.int16]:
        rng = np.random.default_rng([*board, event, time])
        return rng.integers(1, 4096, (2, 512)).astype(np.int16)

    def frame(self, board: tuple[int, int], event: int, time: int | None = None, *, readout: Readout = "partial") -> bytes:
        time = 1_000_000 * (event + 1) if time is None else time
        return encode_frame(board, event, time, self.channels, self.samples(board, event, time), readout=readout)

    def write(self, name: str, *parts: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(b"".join(parts))
        self.paths.append(path)
        return path

    def open(self) -> GetRun:
        return GetRun(*self.paths)


@pytest.fixture
def daq(tmp_path: Path) -> Daq:
    """An acquisition whose run has the number 5."""
    return Daq(tmp_path / "run_0005")
