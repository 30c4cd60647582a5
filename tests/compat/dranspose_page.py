"""Listings and printed lines of dranspose's page "Getting Started - Analysis", cut out of it.

The page is not part of this repository; who needs it looks for it beside it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from penstock.stream.models import EventData, StreamData

SHARED = Path(__file__).parents[2].parent / "shared"
CAPTURE = SHARED / "data/events/dumps/dump_xrd.cbors"

LISTINGS: dict[str, tuple[str, str, str]] = {
    "empty worker": ("worker", "# src/worker.py", "The reducer is similar"),
    "empty reducer": ("reducer", "# src/reducer.py", "Replaying captured data"),
    "worker that prints events": ("worker", "import logging", "The output then contains:"),
    "worker that parses": ("worker", "import logging", "The debug output then shows"),
    "worker with a region": ("worker", "import logging", "Which outputs"),
    "reducer that prints results": ("reducer", "import logging", "This outputs"),
    "reducer with deltas": ("reducer", "import logging", "is\n\nINFO:src.reducer"),
    "worker with dicts": ("worker", "import logging", "The reducer then has to check"),
    "worker with dataclasses": ("worker", "import logging", "The reducer is then able"),
    "reducer with dataclasses": ("reducer", "import logging", "This explicitly writes"),
    "reducer with a file": ("reducer", "import logging", "The file contains all"),
    "worker with parameters": ("worker", "import logging", "These parameters are managed"),
    "worker with azint": ("worker", "import logging", "Poni file sources"),
    "reducer with diffractograms": ("reducer", "import logging", "\0"),
}
"""By title, in the order of the page: the file that it is, how it begins, and what follows it."""

MISTAKES = {
    "reducer with deltas": "subtracts a list from a number, and reads an attribute that a number does not have",
}
"""Listings that cannot work, and why."""

IMPORTS_BESIDE = ("reducer with dataclasses", "reducer with a file", "reducer with diffractograms")
"""Listings that import from the worker beside them."""


def page() -> str:
    found = sorted((SHARED / "seeds").glob("003_*.txt"))
    if not found:
        pytest.skip("the page 'Getting Started - Analysis' is not in shared/seeds beside the repository")
    return found[0].read_text(encoding="utf-8") + "\n\0"


def between(text: str, begin: str, end: str) -> str:
    start = text.index(begin)
    return text[start : text.index(end, start)]


def listing(title: str) -> str:
    """The listing as it stands in the page."""
    text, at = page(), 0
    for name, (_, begin, end) in LISTINGS.items():
        start = text.index(begin, at)
        at = text.index(end, start)
        if name == title:
            return text[start:at]
    raise KeyError(title)


def parameter_file() -> str:
    """The parameters that the page gives to a replay."""
    return between(page(), '[{"name": "till_x"', "\n\nTo provide the parameter file")


def reducer_with_parameters() -> str:
    """The reducer that writes a file, with the lines that the page adds for the parameters."""
    lines = between(page(), "                self._fh = h5py.File(dest_filename, 'w')\n", "\nTo result in a self")
    added = page()
    added = added[added.index("The parameters defined in the worker are also available") :]
    lines = between(added, "                self._fh = h5py.File(dest_filename, 'w')\n", "\n\nTo result in")
    opened = between(lines, "                self._fh = ", "                self._fh.create_dataset")
    whole = listing("reducer with a file")
    assert opened in whole
    return whole.replace(opened, f"{lines}\n")


def printed_lines(begin: str) -> list[str]:
    """Lines of the page that begin so."""
    return [line for line in page().splitlines() if line.startswith(begin)]


def printed_event(line: str) -> EventData:
    """The event that a printed line shows."""
    number = int(line.split("event_number=")[1].split()[0])
    frames = ast.literal_eval(line[line.index("frames=") + len("frames=") : line.rindex(", length=")])
    return EventData(number, {"xrd": StreamData("STINS", frames)})


def write_project(folder: Path, worker: str, reducer: str) -> Path:
    """A folder as the page has it: the sources in `src`, the capture in `data`."""
    (folder / "src").mkdir(parents=True)
    (folder / "src/worker.py").write_text(worker)
    (folder / "src/reducer.py").write_text(reducer)
    (folder / "data").mkdir()
    if not CAPTURE.exists():
        pytest.skip("the capture dump_xrd.cbors is not in shared/data/events beside the repository")
    (folder / "data/dump_xrd.cbors").write_bytes(CAPTURE.read_bytes())
    return folder
