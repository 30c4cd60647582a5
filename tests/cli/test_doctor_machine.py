"""What the doctor says of this machine: the cache of compiled kernels, installed plug-ins."""

from __future__ import annotations

import importlib.metadata
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import penstock.kernels
from penstock.cli.doctor import _machine
from penstock.cli.doctor._machine import look_at_devices, look_at_machine, look_at_schedules


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


@pytest.mark.parametrize(
    ("prefect", "sqlalchemy", "states"),
    [
        ("3.8.8", "2.0.58", []),
        ("3.8.8", "2.1.0b2", ["problem"]),
        ("3.8.8", "2.1.3", ["problem"]),
        ("3.9.1", "2.1.3", []),
        (None, "2.1.3", []),
    ],
)
def test_schedules_that_never_fire_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, prefect: str | None, sqlalchemy: str, states: list[str]
) -> None:
    def version(name: str) -> str:
        known = {"prefect": prefect, "sqlalchemy": sqlalchemy}[name]
        if known is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return known

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = list(look_at_schedules())
    assert [f.state for f in found] == states
    assert all(f.detail.startswith(f"{sqlalchemy} beside Prefect 3.8.8: schedules never fire") for f in found)
    assert all("pip install 'sqlalchemy<2.1'" in f.advice for f in found)


@pytest.mark.parametrize(
    ("tool", "has_cupy", "state", "told"),
    [(None, False, "note", "none found"), ("nvidia-smi", False, "note", "CuPy is not installed"), ("nvidia-smi", True, "ok", "nvidia-smi")],
)
def test_a_device_without_cupy_is_told(tool: str | None, has_cupy: bool, state: str, told: str) -> None:
    found = look_at_devices(tool, has_cupy=has_cupy)
    assert found.state == state
    assert told in found.detail
