"""``penstock replay`` as a process: what it prints, writes, serves, and its exit codes."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5pyd
import httpx
import numpy as np
import pytest

from penstock.formats.captures import CaptureFile
from penstock.simulate.streams import write_stream_run
from penstock.simulate.streams_settings import StreamSimulation

POINTS = 9
XRD = "run_0001.xrd.cbors"
MEANS = ("-w", "workers.roi:Named", "-r", "workers.roi:Means")
PROCESSED = Path("output") / "run_0001_xrd_processed.h5"
LOGGING = """
import logging

logger = logging.getLogger(__name__)


class Worker:
    def process_event(self, event):
        logger.debug("details of %d", event.event_number)
        logger.info("event %d", event.event_number)
        return event.event_number


class Reducer:
    def __init__(self):
        self.publish = {"version": 1, "events": 0}

    def process_result(self, result):
        self.publish["events"] += 1

    def finish(self):
        logger.warning("version %d, %d results", self.publish["version"], self.publish["events"])
"""

Replayed = subprocess.CompletedProcess[str]


def command(*options: object) -> list[str]:
    return [sys.executable, "-m", "penstock.cli", "replay", *map(str, options)]


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_") and k not in ("LOG_LEVEL", "PENSTOCK_TOKEN")}
    return kept | {"PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"} | extra


def replay(folder: Path, *options: object, **extra: str) -> Replayed:
    return subprocess.run(command(*options), cwd=folder, env=environment(**extra), capture_output=True, text=True, timeout=200, check=False)


class Running:
    """A replay that goes on, and the lines that it printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def await_line(self, pattern: str, count: int = 1) -> str:
        """The line that matches for the `count`-th time, once it is there."""
        until = time.monotonic() + 100.0
        while time.monotonic() < until:
            found = [line for line in self.lines if re.search(pattern, line)]
            if len(found) >= count:
                return found[count - 1]
            if self.process.poll() is not None and not self._reading.is_alive():
                break
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} was not printed {count} times:\n" + "\n".join(self.lines))

    def interrupt(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self._reading.join(10)
        return code


@contextmanager
def running(folder: Path, *options: object) -> Iterator[Running]:
    with subprocess.Popen(command(*options), cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a simulated run, small workers, and one that logs."""
    write_stream_run(tmp_path, StreamSimulation(shape=(10, 10)), 1, POINTS)
    shutil.copytree(Path(__file__).parents[1] / "events" / "workers", tmp_path / "workers")
    (tmp_path / "logs.py").write_text(LOGGING)
    return tmp_path


def parameters(folder: Path, **values: object) -> Path:
    path = folder / "params.json"
    path.write_text(json.dumps([{"name": name, "data": str(value)} for name, value in values.items()]))
    return path


@pytest.mark.parametrize("processes", [1, 2])
def test_log_lines_come_in_the_order_of_events_from_any_number_of_processes(folder: Path, processes: int) -> None:
    done = replay(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-f", XRD, "--processes", processes)

    lines = done.stderr.splitlines()
    assert done.returncode == 0, done.stderr
    expected = ["INFO:logs:event 0"] * 2 + [f"INFO:logs:event {n}" for n in range(1, POINTS + 2)]
    assert [line for line in lines if line.startswith("INFO:logs")] == expected
    assert lines[-2:] == ["WARNING:logs:version 1, 12 results", "11 events, 12 results"]


@pytest.mark.parametrize("level, shown", [("DEBUG", ["DEBUG", "INFO", "WARNING"]), ("error", [])])
def test_the_level_of_the_log_comes_from_the_environment(folder: Path, level: str, shown: list[str]) -> None:
    done = replay(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-f", XRD, LOG_LEVEL=level)

    assert sorted({line.partition(":")[0] for line in done.stderr.splitlines() if ":logs:" in line}) == shown


def test_a_level_that_is_none_is_told(folder: Path) -> None:
    done = replay(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-f", XRD, LOG_LEVEL="LOUD")

    assert done.returncode == 2
    assert "LOG_LEVEL='LOUD' in the environment is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL." in done.stderr


def test_a_failing_event_is_saved_and_fails_alone_in_the_same_way(folder: Path) -> None:
    options = ("-w", "workers.failing:Fails", "-r", "workers.failing:Collects")
    first = replay(folder, *options, "-f", XRD, "run_0001.contrast.cbors", "--processes", 2)
    again = replay(folder, *options, "-f", "failed-event-3.cbors")

    assert (first.returncode, again.returncode) == (1, 1)
    assert 'raise ZeroDivisionError(f"no light in event {event.event_number}")' in first.stderr
    assert "Error: event 3, replay-worker-0: ZeroDivisionError: no light in event 3" in first.stderr
    assert "Error: event 3, replay-worker-0: ZeroDivisionError: no light in event 3" in again.stderr
    with CaptureFile(folder / "failed-event-3.cbors") as saved:
        assert saved.numbers.tolist() == [3]
        assert sorted(saved.stream_names) == ["contrast", "xrd"]


@pytest.mark.parametrize(
    "worker, reducer, code, message",
    [
        (
            "workers.failing:Locked",
            "workers.failing:Collects",
            1,
            "event 0, replay-worker-0: the result, a builtins.dict, cannot be pickled",
        ),
        ("workers.failing:FailsToEnd", "workers.failing:Collects", 1, "replay-worker-0, finish: OSError: no room"),
        ("logs:Worker", "workers.failing:CollectsUntil", 1, "event 5, reducer: KeyError: 'x'"),
        ("logs:Worker", "workers.failing:CannotFinish", 1, "reducer, finish: OSError: no room"),
        ("workers.failing:NoMethod", "workers.failing:Collects", 2, "class 'workers.failing:NoMethod' has no method 'process_event'."),
        ("workers.failing:NotDescribed", "workers.failing:Collects", 2, "lists 'till_x', which is no parameter"),
    ],
    ids=["not picklable", "finish of the worker", "reducer", "finish of the reducer", "no method", "no parameter"],
)
def test_what_goes_wrong_is_named_with_its_event(folder: Path, worker: str, reducer: str, code: int, message: str) -> None:
    done = replay(folder, "-w", worker, "-r", reducer, "-f", XRD)

    assert done.returncode == code, done.stderr
    assert message in done.stderr


def test_a_parameter_of_the_wrong_type_is_refused_before_anything_runs(folder: Path) -> None:
    done = replay(folder, *MEANS, "-f", XRD, "-p", parameters(folder, till_x="three"))

    assert done.returncode == 2
    assert "parameter 'till_x': 'three' is not" in done.stderr
    assert not (folder / "output").exists()


def test_files_or_a_source_are_needed_and_not_both(folder: Path) -> None:
    for options in ((), ("-f", XRD, "-s", "workers.recorded:Source")):
        done = replay(folder, *MEANS, *options)

        assert done.returncode == 2
        assert "give captures with -f, or a class that makes events with -s." in done.stderr


def test_json_tells_events_results_and_what_is_missing(folder: Path) -> None:
    contrast = folder / "run_0001.contrast.cbors"
    (folder / "short.cbors").write_bytes(contrast.read_bytes()[: contrast.stat().st_size * 2 // 3])

    done = replay(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-f", XRD, "short.cbors", "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (told["events"], told["results"], told["rejected"]) == (POINTS + 2, POINTS + 3, {})
    reasons = list(told["problems"])
    assert "events without stream 'contrast', before its first or after its last" in reasons
    assert any(reason.startswith("short.cbors: ") for reason in reasons)


def test_a_profile_says_the_time_of_an_event_and_the_rate(folder: Path) -> None:
    done = replay(folder, *MEANS, "-f", XRD, "--profile", "--nworkers", 3)

    assert re.search(
        r"process_event takes [\d.,]+ us on average \(13 calls\); 1 worker keeps up with [\d,]+ events/s, 3 with [\d,]+", done.stderr
    )


def test_events_of_a_users_source_are_joined(folder: Path) -> None:
    done = replay(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-s", "workers.recorded:Source")

    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "11 events, 12 results"


def test_the_same_bytes_come_from_any_number_of_processes_a_gzip_file_and_the_store(folder: Path) -> None:
    given = parameters(folder, till_x=3, from_y=7)
    (folder / "packed.cbors.gz").write_bytes(gzip.compress((folder / XRD).read_bytes()))
    common = (*MEANS, "--nworkers", 4, "-p", given)

    def written(*options: object) -> bytes:
        done = replay(folder, *common, *options)
        assert done.returncode == 0, done.stderr
        content = (folder / PROCESSED).read_bytes()
        (folder / PROCESSED).unlink()
        return content

    first = written("-f", XRD)

    assert written("-f", XRD, "--processes", 2) == first
    assert written("-f", "packed.cbors.gz", "--processes", 4) == first
    assert written("-f", XRD, "--store", "store", "--output", ".", "--executor", "inline") == first


def test_a_replay_in_a_store_is_current_the_second_time_and_copied_out_again(folder: Path) -> None:
    options = (*MEANS, "-f", XRD, "--store", "store", "--output", "copies", "--executor", "inline", "--json")
    first = replay(folder, *options)
    shutil.rmtree(folder / "copies")
    second = replay(folder, *options)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [json.loads(done.stdout)["runs"][0]["stages"][0]["state"] for done in (first, second)] == ["computed", "current"]
    assert (folder / "copies" / PROCESSED).is_file()
    assert f"wrote copies/{PROCESSED}" in second.stderr
    assert not (folder / "output").exists()


def test_options_that_cannot_go_with_a_store_are_refused(folder: Path) -> None:
    with_store = replay(folder, *MEANS, "-f", XRD, "--store", "store", "--profile", "--port", 0)
    without = replay(folder, *MEANS, "-f", XRD, "--output", "here")

    assert (with_store.returncode, without.returncode) == (2, 2)
    assert "--port, --profile cannot go with --store." in with_store.stderr
    assert "--output and --executor go with --store" in without.stderr


@pytest.mark.server
def test_what_is_published_can_be_read_and_parameters_set_until_ctrl_c(folder: Path) -> None:
    options = ("-w", "workers.published:Profiles", "-r", "workers.published:Published", "-f", XRD)
    with running(folder, *options, "--port", 0, "--keep-alive") as server:
        address = server.await_line(r"^serving on ").removeprefix("serving on ").rstrip("/")
        server.await_line(r"^all events are reduced")
        with h5pyd.File("/", "r", endpoint=address) as file:
            sums = file["profiles/sum"][:]
            unit = file["profiles/sum"].attrs["unit"]
            last = file["last event"][()]
        assert server.interrupt() == 0

    assert (sums.shape, unit, int(last)) == ((POINTS, 10), "counts", POINTS)
    assert "stopped" in server.lines


@pytest.mark.server
def test_parameters_are_read_and_set_over_http_while_it_is_kept_alive(folder: Path) -> None:
    with running(folder, *MEANS, "-f", XRD, "--port", 0, "--keep-alive") as server:
        address = server.await_line(r"^serving on ").removeprefix("serving on ").rstrip("/")
        server.await_line(r"^all events are reduced")
        place = f"{address}/api/v1/parameter/till_x"
        before = httpx.get(place, timeout=20).content
        answers = [httpx.post(place, content=content, timeout=20).status_code for content in (b"5", b"five")]
        after = httpx.get(place, timeout=20).content
        missing = httpx.get(f"{address}/api/v1/parameter/till_z", timeout=20).status_code
        assert server.interrupt() == 0

    assert (before, answers[0], after, missing) == (b"2", 200, b"5", 404)
    assert 400 <= answers[1] < 500


def test_another_address_needs_a_token(folder: Path) -> None:
    done = replay(folder, *MEANS, "-f", XRD, "--port", 0, "--host", "0.0.0.0")

    assert done.returncode == 2
    assert "token" in done.stderr


def test_watch_replays_when_a_module_is_saved(folder: Path) -> None:
    with running(folder, "-w", "logs:Worker", "-r", "logs:Reducer", "-f", XRD, "--watch") as watching:
        watching.await_line("waiting for a change of the modules")
        (folder / "logs.py").write_text(LOGGING.replace('"version": 1', '"version": 22'))
        watching.await_line("waiting for a change of the modules", 2)
        code = watching.interrupt()

    assert [line for line in watching.lines if "version" in line] == [
        "WARNING:logs:version 1, 12 results",
        "WARNING:logs:version 22, 12 results",
    ]
    assert code == 0


def test_a_snapshot_holds_what_is_published(folder: Path) -> None:
    import h5py

    done = replay(folder, "-w", "workers.published:Profiles", "-r", "workers.published:Published", "-f", XRD, "--snapshot", "seen.h5")

    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "seen.h5") as file:
        assert file["profiles/sum"].shape == (POINTS, 10)
        assert np.asarray(file["last event"]) == POINTS
