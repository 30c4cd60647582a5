"""The commands of ``penstock store`` on a store in a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from reals3 import S3Server
from toybench import ToyExperiment

from penstock.cli.store import store as commands
from penstock.store import Store


@pytest.fixture
def toy(make_toy: Callable[[str], ToyExperiment], s3_server: S3Server) -> ToyExperiment:
    """A run whose results lie in a bucket."""
    experiment = make_toy("toy")
    experiment.write_run(1, n_events=9)
    experiment.configure(f'[store]\npath = "{s3_server.new_address()}"')
    experiment.store.close()
    experiment.store = Store(experiment.load().store_path)
    experiment.run()
    return experiment


def test_every_command_of_the_store_works_on_an_address(toy: ToyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    notes = tmp_path / "notes.txt"
    notes.write_text("a calibration\n")

    def call(command: str, *words: str) -> Any:
        result = CliRunner().invoke(commands, [command, *words, "--store", toy.store.name], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    assert call("rebuild", "--json") == {"artifacts": 3}
    listed = call("ls", "--json")
    key = next(a["key"] for a in listed if a["stage"] == "toy.hits")
    shown = call("show", key[:10])
    found = call("path", key[:10], "--json")
    added = call("add", str(notes), "--schema", "toy.notes/1", "--json")
    exported = call("export", key, "--out", str(tmp_path / "out"), "--json")

    assert len(listed) == 3
    assert shown["key"] == key
    assert [(Path(found["path"]) / name).stat().st_size for name in found["files"]] == [f["size"] for f in shown["files"]]
    assert Path(exported["files"][0]).read_bytes() == (Path(found["path"]) / found["files"][0]).read_bytes()
    assert toy.store.has(added["key"])
    assert call("verify", "--json") == {"verified": 4, "damaged": []}
    assert call("gc", "--yes", "--empty-trash", "--json") == {"garbage": [], "moved": True, "removed": 0}
