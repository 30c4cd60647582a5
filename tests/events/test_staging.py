"""Where a reducer's files go while it runs as a stage."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CODE = """
import io, os, sys
from pathlib import Path

from penstock.events._staging import staged

folder, base, outside = (Path(a) for a in sys.argv[1:4])
with staged(folder, base):
    {body}
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The staging folder, the folder of experiment.toml, and a place elsewhere that exists and is not temporary."""
    for name in ("staging", "base", "elsewhere"):
        (tmp_path / name).mkdir()
    return tmp_path / "staging", tmp_path / "base", tmp_path / "elsewhere"


def run(body: str, places: tuple[Path, Path, Path]) -> str:
    """Run some lines in a process of its own, in which nothing counts as a temporary folder; what it printed."""
    code = CODE.format(body=textwrap.indent(textwrap.dedent(body), "    ").strip())
    environment = {**os.environ, "TMPDIR": "/dev/shm"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, places)], capture_output=True, text=True, check=False, env=environment, cwd=places[1]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_relative_and_absolute_paths_are_written_below_the_folder(places: tuple[Path, Path, Path]) -> None:
    run(
        """
        import h5py
        import numpy as np
        Path("a.txt").write_text("a")
        os.makedirs(outside / "deep" / "er", exist_ok=True)
        with open(outside / "deep" / "er" / "b.txt", "w") as file:
            file.write("b")
        np.save(outside / "c.npy", np.arange(3))
        h5py.File(str(outside / "d.h5"), "w").close()
        (outside / "e.txt").write_text("e")
        os.rename(outside / "e.txt", outside / "f.txt")
        """,
        places,
    )

    staging, _, outside = places
    below = staging / outside.relative_to("/")
    assert list(outside.iterdir()) == []
    assert sorted(p.relative_to(below).as_posix() for p in below.rglob("*") if p.is_file()) == ["c.npy", "d.h5", "deep/er/b.txt", "f.txt"]
    assert (staging / "a.txt").read_text() == "a"


def test_what_is_only_read_is_found_where_it_lies_and_what_was_written_before_it(places: tuple[Path, Path, Path]) -> None:
    _, base, outside = places
    (base / "mask.txt").write_text("mask")
    (outside / "flat.txt").write_text("flat")

    told = run(
        """
        print(open("mask.txt").read(), (outside / "flat.txt").read_text(), (outside / "new.txt").exists())
        (outside / "flat.txt").write_text("ours")
        print((outside / "flat.txt").read_text(), os.path.exists("nothing"), os.path.exists("mask.txt"))
        """,
        places,
    )

    assert told == "mask flat False\nours False True\n"
    assert (outside / "flat.txt").read_text() == "flat"


def test_temporary_files_and_devices_are_left_alone(places: tuple[Path, Path, Path]) -> None:
    told = run(
        """
        import tempfile
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "x").write_text("x")
            print((Path(scratch) / "x").read_text())
        open("/dev/null", "w").write("gone")
        """,
        places,
    )

    assert told == "x\n"
    assert list(places[0].iterdir()) == []
