"""The text of skeletons: a worker with a method a stream, and a reducer that keeps what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["REDUCER", "Block", "worker_text"]

Block = tuple[str, str, str, str, Sequence[str]]
"""Stream, its name as an identifier, its protocol, the class of message that is wanted, and entries of the dict of values."""

_WORKER = '''"""What is taken from each event. Change what you like, and replay."""

from __future__ import annotations

import logging
from dataclasses import dataclass

{imports}

logger = logging.getLogger(__name__)


@dataclass
class Point:
    """What one event comes to: numbers and arrays, by name."""

    values: dict


class Worker:
    """Gets every event that its virtual worker is sent, in ascending order."""
{constructor}
    def process_event(self, event, parameters=None):
        """The values of all streams that the event has; None, for no result, where there are none."""
        values = {{}}
{calls}{others}
        if not values:
            return None
        logger.debug("event %d: %s", event.event_number, ", ".join(values))
        return Point(values)
{methods}'''

REDUCER = '''"""What becomes of the results of all events: columns in an HDF5 file, published while they come in."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from penstock.stream.parameters import StrParameter


class Reducer:
    """Gets every result, in the order of events."""

    def __init__(self, parameters=None):
        self.events = []
        self.found = {}
        self.publish = {"_attrs": {"NX_class": "NXroot", "default": "points"}, "points": self.columns()}

    @staticmethod
    def describe_parameters():
        """Parameters that can be set by file, and while it runs."""
        return [StrParameter(name="output", default="output/reduced.h5", description="File for the values.")]

    def process_result(self, result, parameters=None):
        """Keep the values of an event."""
        place = len(self.events)
        self.events.append(result.event_number)
        for name, value in result.payload.values.items():
            self.found.setdefault(name, {})[place] = value

    def timer(self, parameters=None):
        """Publish what there is; again in 1 s."""
        self.publish["points"] = self.columns()
        return 1.0

    def finish(self, parameters=None):
        """Write the file."""
        self.timer()
        path = Path(parameters["output"].value)
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs.update(self.publish["_attrs"])
            group = file.create_group("points")
            for name, value in self.publish["points"].items():
                if name == "_attrs":
                    group.attrs.update(value)
                else:
                    group[name] = value

    def columns(self):
        """A row an event; NaN where it lacks a value. The first value is what viewers plot."""
        columns = {"event_number": np.array(self.events, np.int64)}
        for name, found in self.found.items():
            column = np.full((len(self.events), *np.shape(next(iter(found.values())))), np.nan)
            for place, value in found.items():
                column[place] = value
            columns[name] = column
        if self.found:
            columns["_attrs"] = {"NX_class": "NXdata", "signal": next(iter(self.found)), "axes": ["event_number"]}
        return columns
'''


def worker_text(blocks: Sequence[Block], others: Mapping[str, str]) -> str:
    """The worker of these streams; `others` are streams of unknown protocols, by name."""
    parsers = [f"        self.{plain}_parser = PositioncapParser()" for _, plain, protocol, _, _ in blocks if protocol == "positioncap"]
    constructor = "\n    def __init__(self):\n" + "\n".join(parsers) + "\n" if parsers else ""
    calls = "\n".join(
        f'        if "{name}" in event.streams:\n            values |= self.read_{plain}(event.streams["{name}"])'
        for name, plain, *_ in blocks
    )
    unknown = "".join(f'\n        # event.streams["{name}"].frames: protocol {typ!r} is not known.' for name, typ in others.items())
    methods = "".join(map(_method, blocks))
    imports = ["import numpy as np\n"] * ("np." in methods) + sorted(_imports(blocks))
    return _WORKER.format(imports="\n".join(imports), constructor=constructor, calls=calls, others=unknown, methods=methods)


def _imports(blocks: Sequence[Block]) -> set[str]:
    lines = set()
    for _, _, protocol, wanted, _ in blocks:
        parser = "PositioncapParser, " if protocol == "positioncap" else ""
        parse = "" if parser else f", parse as parse_{protocol}"
        lines.add(f"from penstock.stream.{protocol} import {parser}{wanted}{parse}")
    return lines


def _method(block: Block) -> str:
    name, plain, protocol, wanted, lines = block
    parse = f"self.{plain}_parser.parse" if protocol == "positioncap" else f"parse_{protocol}"
    values = "".join(f"            {line}\n" for line in lines) or "            # The capture had no message with values.\n"
    return f'''
    def read_{plain}(self, data):
        """Values of stream {name!r}."""
        acquired = {parse}(data)
        if not isinstance(acquired, {wanted}):
            return {{}}
        return {{
{values}        }}
'''
