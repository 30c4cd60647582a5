"""The stages of the family keep the laws of stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.core.stage import RunSource
from penstock.events.params import MapReduceParams
from penstock.events.reader import CaptureRun
from penstock.events.stages import mapreduce
from penstock.testing import PartsContract

WORKER = "class Worker:\n    def process_event(self, event):\n        return len(event.streams['det'].frames[0]) + event.event_number\n"
REDUCER = (
    "class Reducer:\n    def __init__(self):\n        self.lines = []\n\n    def process_result(self, result):\n        self.lines.append(str(result))\n\n"
    "    def finish(self):\n        with open('lines.txt', 'w') as file:\n            file.write('\\n'.join(self.lines))\n"
)


class TestMapReduce(PartsContract):
    stage = mapreduce

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        from penstock.formats.captures import CaptureWriter
        from penstock.stream.models import EventData, StreamData

        self._base = tmp_path_factory.mktemp("user")
        (self._base / "mapping.py").write_text(WORKER)
        (self._base / "reducing.py").write_text(REDUCER)
        with CaptureWriter(self._base / "run_0001.cbors") as writer:
            for number in range(7):
                writer.write(EventData(number, {"det": StreamData("x", [b"." * number])}, None))

    def params(self) -> MapReduceParams:
        return MapReduceParams(worker="mapping:Worker", reducer="reducing:Reducer", nworkers=3, parameters={"a": 1})

    def source(self) -> RunSource:
        path: Path = self._base / "run_0001.cbors"
        return RunSource(1, {"events": path}, {}, lambda: CaptureRun(path), self._base)
