"""The pages on event streams show the very numbers that the commands print, sizes in kB and times aside."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli import cli

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZE = re.compile(r"[\d.,]+ kB")
SHOWN_EXACTLY = ("simulate events", "inspect", "new-worker")


def told(text: str) -> list[str]:
    return [" ".join(SIZE.sub("kB", line).split()) for line in text.splitlines()]


def arguments(command: str) -> list[str]:
    """The words after ``penstock``, with patterns of files resolved."""
    words = shlex.split(command)[1:]
    return [name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


@pytest.mark.parametrize("page", ["tutorial/event-streams.md", "how-to/replay-captures.md"])
def test_a_page_shows_the_numbers_that_come_out(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    called = 0
    for block in CONSOLE.findall((DOCS / page).read_text()):
        for command, *shown in (part.splitlines() for part in block.split("$ ")[1:]):
            if not command.startswith(tuple(f"penstock {name}" for name in SHOWN_EXACTLY)):
                continue
            called += 1
            result = CliRunner().invoke(cli, arguments(command))
            assert result.exit_code == 0, result.output
            printed = told(result.output)
            assert [line for line in told("\n".join(shown)) if line not in ("...", "") and line not in printed] == []
    assert called > 2
