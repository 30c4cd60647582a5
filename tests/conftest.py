"""Fixtures that many tests share: the toy instrument, a plug-in outside penstock whose raw data can misbehave."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "toy"))

from toybench import ToyExperiment

from penstock.store import Store

# A shell that starts the tests in the background ignores Ctrl-C for them and for all that they start; the tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


_TOGETHER = ("flows", "docs", "cli")
"""Folders whose tests share a server, or runs that are processed once: they go to one process each, and first, because they take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share out the tests among processes (``-n 2``) by folder or file, so that what they have in common is made once."""
    tests = Path(__file__).parent
    order: dict[pytest.Item, int] = {}
    for item in items:
        parts = item.path.relative_to(tests).parts if item.path.is_relative_to(tests) else item.path.parts
        together = parts[0] in _TOGETHER
        item.add_marker(pytest.mark.xdist_group(parts[0] if together else "/".join(parts)))
        order[item] = _TOGETHER.index(parts[0]) if together else len(_TOGETHER)
    items.sort(key=order.__getitem__)


@pytest.fixture
def make_toy(tmp_path: Path) -> Iterator[Callable[[str], ToyExperiment]]:
    """Makes toy experiments, each in a folder of its own."""
    made: list[ToyExperiment] = []

    def make(name: str) -> ToyExperiment:
        folder = tmp_path / name
        (folder / "raw").mkdir(parents=True)
        experiment = ToyExperiment(folder, Store(folder / "store"))
        experiment.configure()
        made.append(experiment)
        return experiment

    yield make
    for experiment in made:
        experiment.store.close()


@pytest.fixture
def toy(make_toy: Callable[[str], ToyExperiment]) -> ToyExperiment:
    """A toy experiment without runs."""
    return make_toy("toy")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own, which can be filled and made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "store") as empty:
        yield empty
