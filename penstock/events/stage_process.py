"""The process in which a user's code runs as a stage: ``python -m penstock.events.stage_process JOB.json TOLD.json``."""

from __future__ import annotations

import base64
import heapq
import json
import logging
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.errors import PenstockError
from penstock.core.selection import EventSelection
from penstock.events._staging import staged
from penstock.events.board import ParameterBoard
from penstock.events.reducing import ReducerFailed, UserReducer
from penstock.events.selected import choose_events
from penstock.events.sources import EventSource, open_files
from penstock.events.user_code import described_parameters, load_class
from penstock.events.workers import Mapper, WorkerFailed, worker_name

__all__ = ["main"]

logger = logging.getLogger("penstock.replay")

INDEX = np.dtype([("position", "<i8"), ("number", "<i8"), ("worker", "<i8"), ("length", "<i8")])
"""A row a result: where its event stands, and bytes of the pickled result, which lie one after the other in another file."""


def main(arguments: Sequence[str]) -> None:
    """Do the job in the first file and tell the outcome in the second."""
    asked, told = (Path(text) for text in arguments)
    job = json.loads(asked.read_text())
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO").upper(), format="%(levelname)s:%(name)s:%(message)s")
    try:
        answer = {"map": _map, "reduce": _reduce}[job["what"]](job)
    except (WorkerFailed, ReducerFailed) as error:
        answer = {"error": str(error), "traceback": error.text}
    except PenstockError as error:
        answer = {"error": str(error), "traceback": ""}
    told.write_text(json.dumps(answer))


def _board(job: Mapping[str, Any], classes: Sequence[type]) -> ParameterBoard:
    given = {name: base64.b64decode(text) for name, text in job["parameters"].items()}
    return ParameterBoard(described_parameters(classes), given)


def _classes(job: Mapping[str, Any]) -> tuple[type, type]:
    base = Path(job["base"])
    return load_class(job["worker"], base, "process_event"), load_class(job["reducer"], base, "process_result")


def _open(job: Mapping[str, Any]) -> EventSource:
    """The events that are asked for."""
    return choose_events(open_files([Path(p) for p in job["files"]]), EventSelection.parse(job["events"]))


def _map(job: Mapping[str, Any]) -> dict[str, Any]:
    """One virtual worker over its events; results and rejections into the folder ``out``."""
    worker, reducer = _classes(job)
    mapper = Mapper(worker, (job["index"],), job["n_workers"], _board(job, (worker, reducer)).values, job["on_error"])
    out = Path(job["out"])
    rows: list[tuple[int, int, int, int]] = []
    rejected: list[tuple[int, str]] = []
    with _open(job) as source, (out / "results.bin").open("wb") as sink:
        for mapped in mapper.run(source):
            if mapped.failure is not None:
                if not rejected:
                    logger.warning("%s; the first of its kind, further ones are only counted:\n%s", mapped.failure, mapped.failure.text)
                rejected.append((mapped.position, str(mapped.failure).partition(": ")[2]))
            elif mapped.blob is not None:
                sink.write(mapped.blob)
                rows.append((mapped.position, mapped.number, mapped.worker, len(mapped.blob)))
        events = len(source)
    mapper.finish(job["index"])
    np.save(out / "index.npy", np.array(rows, INDEX))
    (out / "rejected.json").write_text(json.dumps({"events": events, "rejected": rejected}))
    return {}


def _reduce(job: Mapping[str, Any]) -> dict[str, Any]:
    """All results to the reducer, in the order of events; what it writes lies in the folder ``out``."""
    from penstock.formats.published.snapshot import write_snapshot

    worker, reducer = _classes(job)
    base, out = Path(job["base"]), Path(job["out"])
    parts = [Path(p) for p in job["parts"]]
    rejected: dict[int, str] = {}
    events = 0
    for part in parts:
        told = json.loads((part / "rejected.json").read_text())
        events = told["events"]
        for position, reason in told["rejected"]:
            rejected.setdefault(position, reason)
    with _open(job) as source:
        times = [None if at == np.iinfo(np.int64).min else at for at in source.created_at.tolist()]
    with staged(out, base):
        reducer_run = UserReducer(reducer, _board(job, (worker, reducer)).values)
        heard = 0
        for position, number, index, payload in heapq.merge(*(_results(part) for part in parts), key=lambda r: (r[0], r[2])):
            while heard <= position:
                reducer_run.tell_time(times[heard])
                heard += 1
            reducer_run.take(number, worker_name(index), payload)
        for at in times[heard:]:
            reducer_run.tell_time(at)
        reducer_run.finish()
        if reducer_run.publish:
            write_snapshot(reducer_run.publish, Path("published.h5"))
        reducer_run.close()
    return {"events": events, "rejected": sorted(rejected.items())}


def _results(part: Path) -> Iterator[tuple[int, int, int, Any]]:
    """Results of one virtual worker: position, event number, worker, payload."""
    with (part / "results.bin").open("rb") as blobs:
        for position, number, index, length in np.load(part / "index.npy", allow_pickle=False).tolist():
            yield position, number, index, pickle.loads(blobs.read(length))  # noqa: S301  our own part wrote it, under its checksum


if __name__ == "__main__":
    main(sys.argv[1:])
