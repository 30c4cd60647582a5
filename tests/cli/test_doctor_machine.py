"""What the doctor says of this machine: the cache of compiled kernels, installed plug-ins."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import penstock.kernels
from penstock.cli.doctor import _machine
from penstock.cli.doctor._machine import look_at_machine


def test_compiled_kernels_that_everybody_may_write_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(penstock.kernels, "jit_cache_dir", lambda: tmp_path)
    (found,) = (f for f in look_at_machine() if f.what == "compiled kernels")
    assert (found.state, found.detail) == ("problem", f"{tmp_path} can be written by everybody, whose code then runs as you")


def test_an_installed_plug_in_that_everybody_may_write_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("trial_plugin")
    module.__file__ = str(tmp_path / "trial_plugin.py")
    Path(module.__file__).touch(mode=0o666)
    tmp_path.chmod(0o777)
    monkeypatch.setitem(sys.modules, "trial_plugin", module)
    point = EntryPoint("trial", "trial_plugin:trial", "penstock.commands")
    monkeypatch.setattr(_machine, "entry_points", lambda group: [point] if group == "penstock.commands" else [])
    (found,) = (f for f in look_at_machine() if f.what == "plug-in trial_plugin:trial")
    assert (found.state, found.detail) == ("problem", f"{tmp_path} can be written by everybody, whose code then runs as you")
    assert found.advice == f"Take that right away: chmod -R o-w {tmp_path}"
