"""Simulated runs as the data acquisition writes them: .graw files by board, .evt files, the map of the electronics, the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from penstock.simulate.get_crate import begin_item, end_item, physics_item, register_words, scaler_item, sis3300_words
from penstock.simulate.get_frames import Readout, encode_frame
from penstock.simulate.tpc_auxiliary import scaler_words
from penstock.simulate.tpc_electronics import FPN_CHANNELS, N_SAMPLES, hardware_ids
from penstock.simulate.tpc_events import SimulatedEvent, TrackTruth, simulate_event
from penstock.simulate.tpc_runs import truth_path, truth_table
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.pads import N_PADS

__all__ = ["FilesByBoard", "encode_event", "simulated_boards", "write_electronics_csv", "write_get_run"]

START_S, DURATION_S, SECONDS_PER_RECORD = 1_700_000_000, 3600, 2
STAMP = "2023-11-14T22_13_20.000"
OTHER_BOARD = (10, 0)
"""The board whose clock is in step with the FRIB crate."""
OTHER_CLOCK_TICKS = 3
"""How far that clock is ahead."""
CRATE_TICKS = 100
"""Ticks of the GET clock in one of the crate's."""
FPN_PEDESTAL_ADC, FPN_NOISE_ADC = 270.0, 4.0

I2 = NDArray[np.int16]


def write_get_run(
    folder: Path,
    settings: TpcSimulation,
    run: int,
    n_events: int,
    *,
    readout: Readout = "partial",
    fpn: bool = True,
    largest_file_bytes: int = 1_000_000_000,
) -> Path:
    """Simulate a run into files of the data acquisition; the events are those of `penstock.simulate.tpc_runs.write_run`.

    Parameters
    ----------
    folder
        Gets ``run_0001/mm<c>/CoBo<c>_AsAd<a>_<time>_<nnnn>.graw``, ``run_0001/run-0001-00.evt``, the truth
        ``run_0001.truth.parquet`` and the map ``electronics.csv``.
    settings
        What to simulate; without auxiliary detectors there is no .evt file.
    run
        Run number.
    n_events
        Events, numbered from 0.
    readout
        Only pads with a signal, or all channels.
    fpn
        Whether the channels of fixed-pattern noise are read out.
    largest_file_bytes
        A .graw file that would get larger is continued in another.

    Returns
    -------
    Path
        The folder of the run.
    """
    home = Path(folder) / f"run_{run:04d}"
    home.mkdir(parents=True, exist_ok=True)
    truth: list[TrackTruth] = []
    items = [begin_item(run, START_S, f"run {run}")]
    with FilesByBoard(home, largest_file_bytes) as files:
        for number in range(n_events):
            event = simulate_event(settings, run, number)
            truth.extend(event.truth)
            for board, frame in encode_event(event, settings.seed, run, readout=readout, fpn=fpn):
                files.write(board, frame)
            if event.frib is not None:
                modules = register_words(event.register) + sis3300_words(event.frib)
                items.append(physics_item(number, event.timestamp // CRATE_TICKS, modules))
    if settings.auxiliary:
        for record in range(settings.scaler_records):
            start, stop = SECONDS_PER_RECORD * record, SECONDS_PER_RECORD * (record + 1)
            items.append(scaler_item(start, stop, START_S + stop, scaler_words(settings, run, record)))
        (home / f"run-{run:04d}-00.evt").write_bytes(b"".join([*items, end_item(run, START_S + DURATION_S, DURATION_S)]))
    write_electronics_csv(Path(folder) / "electronics.csv")
    parquet.write_table(truth_table(truth, settings), truth_path(Path(folder) / f"run_{run:04d}.h5"))
    return home


def simulated_boards() -> list[tuple[int, int]]:
    """CoBo and AsAd of all boards that simulated pads hang on, and the one that carries the crate's clock."""
    boards = np.unique(hardware_ids(np.arange(N_PADS))[:, :2], axis=0)
    return [*((int(cobo), int(asad)) for cobo, asad in boards), OTHER_BOARD]


def encode_event(
    event: SimulatedEvent, seed: int, run: int, *, readout: Readout = "partial", fpn: bool = True
) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Frames of all boards for one event, those without a signal too, by CoBo and AsAd."""
    rng = np.random.default_rng([seed, run, event.event, 2])
    noise_channels = np.array([(aget, channel) for aget in range(4) for channel in FPN_CHANNELS], np.int64)
    for board in simulated_boards():
        rows = np.flatnonzero((event.hardware[:, 0] == board[0]) & (event.hardware[:, 1] == board[1]))
        channels, samples = event.hardware[rows, 2:].astype(np.int64), event.samples[rows]
        time = event.timestamp + (OTHER_CLOCK_TICKS if board == OTHER_BOARD else 0)
        if fpn and board != OTHER_BOARD:
            noise = np.rint(rng.normal(FPN_PEDESTAL_ADC, FPN_NOISE_ADC, (len(noise_channels), N_SAMPLES)))
            channels, samples = np.concatenate([channels, noise_channels]), np.concatenate([samples, noise.astype(np.int16)])
        kind = "partial" if board == OTHER_BOARD else readout
        yield board, encode_frame(board, event.event, time, channels, samples, readout=kind, first_aget=event.event % 4)


def write_electronics_csv(path: Path) -> Path:
    """The map of the simulated electronics, in the format of the mergers: address, detector, number."""
    rows = hardware_ids(np.arange(N_PADS))
    lines = [f"{','.join(map(str, row))},pad,{pad}" for pad, row in enumerate(rows.tolist())]
    path.write_text("\n".join(["cobo,asad,aget,aget channel,det keyword,det channel", *lines]) + "\n", encoding="utf-8")
    return path


class FilesByBoard:
    """Writes frames into one file a board, ``mm<c>/CoBo<c>_AsAd<a>_<time>_<nnnn>.graw``, continued in others; a context manager."""

    def __init__(self, folder: Path, largest_bytes: int) -> None:
        self._folder = folder
        self._largest = largest_bytes
        self._open: dict[tuple[int, int], BinaryIO] = {}
        self._pieces: dict[tuple[int, int], int] = {}

    def __enter__(self) -> FilesByBoard:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def write(self, board: tuple[int, int], frame: bytes) -> None:
        """Append a frame to the file of its board."""
        file = self._open.get(board)
        if file is None or (file.tell() and file.tell() + len(frame) > self._largest):
            file = self._next(board)
        file.write(frame)

    def _next(self, board: tuple[int, int]) -> BinaryIO:
        if board in self._open:
            self._open[board].close()
        piece = self._pieces[board] = self._pieces.get(board, -1) + 1
        folder = self._folder / f"mm{board[0]}"
        folder.mkdir(exist_ok=True)
        self._open[board] = (folder / f"CoBo{board[0]}_AsAd{board[1]}_{STAMP}_{piece:04d}.graw").open("wb")
        return self._open[board]
