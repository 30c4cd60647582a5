"""The listings of dranspose's page "Getting Started - Analysis" run on penstock as they stand there."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dranspose_page as page
import h5py
import numpy as np
import pytest

from penstock.compat.dranspose import install
from penstock.events.job import ReplayJob
from penstock.events.reducing import ReducerFailed
from penstock.events.replay import Replay
from penstock.events.sources import Streamed
from penstock.events.user_code import load_class
from penstock.stream.models import EventData, ResultData, StreamData
from penstock.stream.parameters import WorkParameter

FIRST, PARSED = "DEBUG:src.worker:event is ", "DEBUG:src.worker:data is "
RESULT = "DEBUG:src.reducer:result is "
REPLAY = ("-w", "src.worker:TestWorker", "-r", "src.reducer:TestReducer", "-f", "data/dump_xrd.cbors")
DEFAULTS = [0, 9.25, 11.25, 11.75, 4.25, 2.25, 3, 4.75, 7.75, 10.75]
WITH_PARAMETERS = [0, 8.88889, 8.66667, 8.11111, 6, 6.66667, 8.22222, 10.6667, 12.4444, 14.3333]

Written = Callable[[str, str], tuple[str, str]]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Names of the classes of two listings, in a package of their own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    install()
    before = set(sys.modules)

    def write(worker: str, reducer: str) -> tuple[str, str]:
        package = tmp_path / f"page_{tmp_path.name}"
        package.mkdir()
        (package / "worker.py").write_text(page.listing(worker))
        (package / "reducer.py").write_text(page.listing(reducer))
        return f"{package.name}.worker:TestWorker", f"{package.name}.reducer:TestReducer"

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("page_"):
            del sys.modules[name]


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def series(filename: str = "output/xrd.h5") -> Iterator[EventData]:
    """A start event, three images of known means, an end event."""
    messages: list[tuple[dict[str, object], bytes | None]] = [({"htype": "header", "filename": filename}, None)]
    for frame in range(3):
        header = {"htype": "image", "frame": frame, "shape": [10, 10], "type": "uint16", "compression": "none"}
        messages.append((header, np.full(100, frame + 5, np.uint16).tobytes()))
    messages.append(({"htype": "series_end"}, None))
    for number, (header, pixels) in enumerate(messages):
        frames = [json.dumps({**header, "msg_number": number}).encode(), *([pixels] if pixels is not None else [])]
        yield EventData(number, {"xrd": StreamData("STINS", list(frames))})


def reduced(classes: tuple[str, str], folder: Path) -> Any:
    """The user's reducer after all events of the series."""
    replay = Replay(ReplayJob(*classes, folder, lambda: Streamed(series()), n_workers=1))
    replay.run()
    return replay.reducer.user


WORKERS = [t for t, (file, *_) in page.LISTINGS.items() if file == "worker" and "azint" not in t]
ALONE = [t for t, (file, *_) in page.LISTINGS.items() if file == "reducer" and t not in page.IMPORTS_BESIDE]


@pytest.mark.parametrize("worker", WORKERS)
def test_each_worker_of_the_page_takes_a_whole_series(worker: str, written: Written, tmp_path: Path) -> None:
    assert reduced(written(worker, "empty reducer"), tmp_path) is not None


@pytest.mark.parametrize("reducer", [t for t in ALONE if t not in page.MISTAKES])
def test_each_reducer_of_the_page_takes_results(reducer: str, written: Written, tmp_path: Path) -> None:
    assert reduced(written("worker with a region", reducer), tmp_path) is not None


@pytest.mark.parametrize("reducer", page.MISTAKES)
def test_a_listing_that_cannot_work_fails_with_the_event_and_the_reason(reducer: str, written: Written, tmp_path: Path) -> None:
    classes = written("worker with a region", reducer)

    with pytest.raises(ReducerFailed, match=r"event 1, reducer: TypeError: unsupported operand"):
        reduced(classes, tmp_path)


def test_deltas_of_the_reducer_with_dataclasses_are_those_of_the_series(written: Written, tmp_path: Path) -> None:
    assert reduced(written("worker with dataclasses", "reducer with dataclasses"), tmp_path).evolution == [0, 5.0, 1.0, 1.0]


@pytest.mark.parametrize("reducer", ["reducer with a file"])
def test_the_file_holds_the_means(reducer: str, written: Written, at_work: Path) -> None:
    reduced(written("worker with parameters", reducer), at_work)

    with h5py.File(at_work / "output/xrd_processed.h5") as file:
        assert file["reduced"][:].tolist() == [0, 5, 6, 7]


def test_events_print_as_in_the_page() -> None:
    lines = page.printed_lines(FIRST)

    assert [str(page.printed_event(line)) for line in lines] == [line.removeprefix(FIRST) for line in lines]
    assert len(lines) == 2


def test_parsed_messages_print_as_in_the_page(written: Written, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    worker, _ = written("worker that parses", "empty reducer")
    user = load_class(worker, tmp_path, "process_event")()
    events = [page.printed_event(line) for line in page.printed_lines(FIRST)]
    shown = page.page()[page.page().index(PARSED) :]
    expected = [text.removeprefix(PARSED) for text in re.findall(rf"{PARSED}.*(?:\n +\[.*)*", shown)]

    with caplog.at_level(logging.DEBUG):
        for event in events:
            user.process_event(event)

    said = [r.getMessage().removeprefix("acquisition is ") for r in caplog.records if r.name.startswith("page_")]
    assert said == expected


def test_results_print_as_in_the_page() -> None:
    line = page.printed_lines(RESULT)[0].removeprefix(RESULT)
    digest = line.split("parameters_hash='")[1].split("'")[0]

    assert str(ResultData(1, "development0", digest, 9.5)) == line


def test_a_parameter_prints_its_name_its_bytes_and_its_value() -> None:
    shown = repr(WorkParameter(name="till_x", data=b"3", value=3))

    assert shown.startswith("WorkParameter(name='till_x', data=b'3', value=3")


def replayed(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command of the page, with penstock in the place of dranspose."""
    command = [str(Path(sys.executable).parent / "penstock"), "replay", *REPLAY, *options]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_replay_of_the_page_gives_its_numbers(tmp_path: Path) -> None:
    folder = page.write_project(tmp_path, page.listing("worker with dataclasses"), page.listing("reducer with a file"))

    done = replayed(folder, LOG_LEVEL="INFO")

    assert done.returncode == 0, done.stderr
    assert "INFO:src.reducer:delta were [0, 9.25, 2.0, 0.5, -7.5, -2.0, 0.75, 1.75, 3.0, 3.0]" in re.sub(
        r"np\.float64\((.*?)\)", r"\1", done.stderr
    )
    with h5py.File(folder / "output/xrd_processed.h5") as file:
        assert file["reduced"][:].tolist() == DEFAULTS


def test_replay_of_the_page_takes_its_parameters(tmp_path: Path) -> None:
    folder = page.write_project(tmp_path, page.listing("worker with parameters"), page.reducer_with_parameters())
    (folder / "test_params.json").write_text(page.parameter_file())

    done = replayed(folder, "-p", "test_params.json")

    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "output/xrd_processed.h5") as file:
        np.testing.assert_allclose(file["reduced"][:], WITH_PARAMETERS, rtol=1e-5)
        assert (file["till_x"][()], file["from_y"][()]) == (3, 7)


def test_replay_of_the_last_listings_writes_diffractograms(tmp_path: Path) -> None:
    folder = page.write_project(tmp_path, page.listing("worker with azint"), page.listing("reducer with diffractograms"))

    done = replayed(folder)

    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "output/xrd_processed.h5") as file:
        np.testing.assert_allclose(file["I"][1], [15.178, 13.902, 6.877, 9.666, 9.301], atol=1e-3)
        np.testing.assert_allclose(file["radial_axis"][:], [0.2644, 0.4969, 0.7295, 0.9621, 1.1947], atol=1e-4)
        assert file["I"].shape == (10, 5)
        assert file["reduced"][:].tolist() == DEFAULTS


def test_log_lines_of_a_replay_look_as_in_the_page(tmp_path: Path) -> None:
    folder = page.write_project(tmp_path, page.listing("worker that prints events"), page.listing("empty reducer"))

    done = replayed(folder, "--nworkers", "1", LOG_LEVEL="DEBUG")

    lines = [line for line in done.stderr.splitlines() if line.startswith("DEBUG:src.worker:")]
    assert len(lines) == 11
    assert [line.split(" ")[2] for line in lines] == [f"event_number={n}" for n in range(11)]
    assert lines[0].endswith("""frames=[b'{"htype": "header", "filename": "output/xrd.h5", "msg_number": 0}'], length=1)}""")
