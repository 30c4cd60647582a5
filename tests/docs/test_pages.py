"""The documentation does what it says: every page is run from top to bottom in a folder of its own.

Lines of ``console`` blocks that begin with ``$`` are commands; what stands below them must stand in their output, numbers
and keys aside. ``python`` blocks are executed; a block with a ``title`` is written to the file of that name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(console|python|toml)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGING = re.compile(r"\b[a-z2-7]{32}\b|\b[a-z2-7]{10}\b|\d+(\.\d+)?|[-─]{3,}|\s+")
EXPERIMENT = """[experiment]
name = "e20009"
instrument = "attpc"
raw = "raw"

[resources]
executor = "inline"
"""


LONG = {
    "tutorial/first-evening.md",
    "tutorial/extend.md",
    "operations/upgrade-and-backup.md",
    "operations/gpu.md",
    *(
        f"how-to/{name}.md"
        for name in (
            "calibrate",
            "coming-from-spyral",
            "compare-runs",
            "daq-files",
            "dask-cluster",
            "draw-a-gate",
            "find-lost-tracks",
            "fit-tracks",
            "own-pad-maps",
            "spyral-phases",
            "tune-a-parameter",
        )
    ),
}
"""Pages whose commands take ten seconds and more; `make test-slow` runs them."""
NEED_SERVER = ("how-to/prefect-ui.md",)
"""Pages whose commands talk to a Prefect server; tests/flows/test_process.py runs them."""


@dataclass
class Command:
    """One command as a page shows it."""

    line: str
    shown: list[str] = field(default_factory=list)
    code: int = 0


def pages() -> list[str]:
    return sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md") if BLOCK.search(p.read_text()))


def commands(text: str) -> Iterator[Command]:
    current: Command | None = None
    for line in text.splitlines():
        if line.startswith("$ "):
            if current is not None:
                yield current
            current = Command(line[2:])
        elif current is not None and line.startswith("# exit code "):
            current.code = int(line.removeprefix("# exit code "))
        elif current is not None and line.strip() not in ("", "..."):
            current.shown.append(line)
    if current is not None:
        yield current


def plain(text: str) -> str:
    """Text without what changes from one time to the next: keys, numbers, width of columns."""
    return CHANGING.sub(" # ", text)


def squeezed(text: str) -> str:
    return re.sub(r"[ #]+", " ", plain(text)).strip()


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every page but the tutorial begins: an experiment with the runs 94 to 96, none of them processed."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "raw").mkdir()
    for run in (94, 95, 96):
        write_run(folder / "raw", TpcSimulation(seed=11, downscale_probability=0.0), run, 6, compression="gzip")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    return folder


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    if request.node.callspec.params["page"].startswith("tutorial/"):
        return tmp_path
    return Path(shutil.copytree(request.getfixturevalue("experiment"), tmp_path / "here"))


def run(command: Command, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {
        "PATH": path,
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-c", command.line],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == command.code, f"$ {command.line}\n{done.stdout}"
    lines = {squeezed(line) for line in done.stdout.splitlines()}
    absent = [line for line in command.shown if squeezed(line) not in lines]
    assert not absent, f"$ {command.line}\n{done.stdout}"


def write(path: Path, text: str) -> None:
    """A whole file, or a section that is added to experiment.toml."""
    added = path.suffix == ".toml" and path.exists() and not text.startswith("[experiment]")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{path.read_text()}\n{text}" if added else text)


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.slow] if page in LONG else []) for page in pages()])
def test_a_page_does_what_it_says(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page in NEED_SERVER:
        pytest.skip("needs a Prefect server")
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for kind, title, text in BLOCK.findall((DOCS / page).read_text()):
        if title:
            write(folder / title, text)
        elif kind == "console":
            for command in commands(text):
                run(command, folder)
        elif kind == "python":
            exec(compile(text, page, "exec"), names)


@pytest.mark.parametrize(
    "command",
    [Command("echo 3 tracks", ["3 clusters"]), Command("false"), Command("true", code=1)],
    ids=["other output", "fails", "does not fail"],
)
def test_a_page_that_promises_something_else_is_found_out(command: Command, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run(command, tmp_path)
