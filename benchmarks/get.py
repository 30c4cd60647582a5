"""What reading runs of the data acquisition costs: finding the frames, and decoding them, in MB of file a second of CPU.

Beside it, what the machine takes to read the same bytes into memory. The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from figures import Goal, Row, format_table, json_line
from machine import cpu_seconds, describe_machine

from penstock.formats.get._index import forget_headers
from penstock.formats.get.run import GetRun
from penstock.simulate.get_frames import Readout, encode_frame
from penstock.simulate.get_runs import FilesByBoard

__all__ = ["main"]

BOARDS = [(cobo, asad) for cobo in range(10) for asad in range(4)]
SIGNAL_CHANNELS = np.array([(aget, channel) for aget in range(4) for channel in range(68)])
FPN_ROWS = np.isin(SIGNAL_CHANNELS[:, 1], (11, 22, 45, 56))
EVENTS_AT_ONCE = 8
PULSE_THRESHOLD_ADC = 380
KINDS: dict[str, tuple[Readout, int, int | None]] = {
    "full readout": ("full", 272, None),
    "all channels, with addresses": ("partial", 272, None),
    "hit channels, whole traces": ("partial", 26, None),
    "hit channels, zero-suppressed": ("partial", 26, PULSE_THRESHOLD_ADC),
}
"""Readout, channels of a board besides those of noise, threshold."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Write runs of each kind, read them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300, help="size of each run")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--data", type=Path, help="folder for the runs; a temporary one by default")
    options = parser.parse_args(arguments)
    print(describe_machine())
    rows: list[Row] = []
    for kind, (readout, channels, threshold) in KINDS.items():
        with tempfile.TemporaryDirectory(dir=options.data) as folder:
            files = _write_run(Path(folder), options.megabytes * 10**6, readout, channels, threshold)
            rows += _measure(kind, files, options.repetitions)
    print(format_table("runs of the data acquisition, one core", rows, peer="memory"))
    print(json_line(rows))


def _write_run(folder: Path, size: int, readout: Readout, n_channels: int, threshold: int | None) -> list[Path]:
    """A run of that many bytes: one event again and again."""
    rng = np.random.default_rng(1)
    frames = {}
    for board in BOARDS:
        hit = np.sort(rng.choice(272, min(n_channels, 272), replace=False))
        rows = np.union1d(hit, np.flatnonzero(FPN_ROWS))
        samples = rng.normal(350, 4, (len(rows), 512))
        samples += 600 * np.exp(-(((np.arange(512) - rng.uniform(50, 450, (len(rows), 1))) / 8) ** 2))
        frames[board] = encode_frame(board, 0, 0, SIGNAL_CHANNELS[rows], samples.astype(np.int16), readout=readout, threshold=threshold)
    with FilesByBoard(folder, 10**9) as files:
        for event in range(max(size // sum(map(len, frames.values())), 2)):
            stamp = (1_000_000 * (event + 1)).to_bytes(6, "big") + event.to_bytes(4, "big")
            for board, frame in frames.items():
                files.write(board, frame[:16] + stamp + frame[26:])
    return sorted(folder.rglob("*.graw"))


def _measure(kind: str, files: list[Path], repetitions: int) -> list[Row]:
    size = sum(path.stat().st_size for path in files)
    with GetRun(*files) as run:
        n_events, n_frames = run.n_events, run.notes()["frames"]
        decode = _best(lambda: _read_events(run), repetitions)
    index = _best(lambda: _open_afresh(files), repetitions)
    memory = _best(lambda: _read_bytes(files), repetitions)
    goal = Goal(400) if kind == "full readout" else None
    return [
        Row(f"{kind}: decode", "MB/s", size / 1e6 / decode, peer=size / 1e6 / memory, more_is_better=True, goal=goal),
        Row(f"{kind}: find frames", "s/GB", index / size * 1e9),
        Row(f"{kind}: find frames", "µs/frame", index / n_frames * 1e6),
        Row(f"{kind}: decode", "ms/event", decode / n_events * 1e3),
    ]


def _read_events(run: GetRun) -> None:
    for start in range(0, run.n_events, EVENTS_AT_ONCE):
        run.read(start, min(start + EVENTS_AT_ONCE, run.n_events))


def _open_afresh(files: list[Path]) -> None:
    forget_headers()
    GetRun(*files).close()


def _read_bytes(files: list[Path]) -> None:
    buffer = bytearray(1 << 20)
    for path in files:
        with path.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def _best(action: Callable[[], None], repetitions: int) -> float:
    """Least CPU time of some repetitions after one that compiles and fills caches, in seconds."""
    action()
    times = []
    for _ in range(repetitions):
        before = cpu_seconds()
        action()
        times.append(cpu_seconds() - before)
    return min(times)


if __name__ == "__main__":
    main()
