"""What the doctor says of limits of the system: open files, shared memory, disks, clocks, connections of the index."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from penstock.cli.doctor import _limits, _storage
from penstock.cli.doctor._limits import judge_open_files, look_at_limits, look_at_shared_memory
from penstock.cli.doctor._storage import judge_clock, judge_encryption, look_at_disk


@pytest.mark.parametrize(
    ("soft", "hard", "state", "advice"),
    [
        (1024, 4096, "ok", ""),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, "ok", ""),
        (256, 4096, "problem", "Before the command: ulimit -n 1024"),
        (256, resource.RLIM_INFINITY, "problem", "Before the command: ulimit -n 1024"),
        (256, 512, "problem", "Before the command: ulimit -n 512"),
        (256, 256, "problem", "Let the administrator raise it (limits.conf, LimitNOFILE) to 1024."),
    ],
)
def test_few_open_files_are_a_problem(soft: int, hard: int, state: str, advice: str) -> None:
    found = judge_open_files(soft, hard)
    assert (found.state, found.advice) == (state, advice)


def test_limits_of_this_process_are_looked_at() -> None:
    assert [f.what for f in look_at_limits()] == ["open files", "shared memory"]


def test_shared_memory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    found = look_at_shared_memory(tmp_path / "shm")
    assert found.state == "problem"
    assert found.detail == f"{tmp_path / 'shm'} is not there or cannot be written: processes can share neither memory nor locks"


def test_little_shared_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=10_000_000)))
    found = look_at_shared_memory(tmp_path)
    assert (found.state, found.detail) == ("note", f"10 MB free in {tmp_path}: phases that share arrays end with a bus error")


def test_a_disk_with_space_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storage, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=5e9, total=9e9)))
    assert (found := look_at_disk("disk here", tmp_path)).state == "ok"
    assert found.detail == f"5.0 GB of 9 GB free in {tmp_path}"


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storage, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=1e9, total=9e9)))
    assert look_at_disk("disk here", tmp_path).state == "problem"


def test_a_disk_that_takes_no_more_files_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storage, "shutil", SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=5e9, total=9e9)))
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_files=1_000_000, f_favail=12))
    found = look_at_disk("disk here", tmp_path)
    assert found.state == "problem"
    assert "only 12 more files can be made" in found.detail


@pytest.mark.parametrize(
    ("ahead_s", "state", "side"), [(3.0, "ok", ""), (40.0, "problem", "40 s ahead of"), (-40.0, "problem", "40 s behind")]
)
def test_clocks_that_differ_are_a_problem(ahead_s: float, state: str, side: str) -> None:
    found = judge_clock("the database", ahead_s)
    assert found.state == state
    assert side in found.detail


@pytest.mark.parametrize(
    ("host", "sslmode", "state"),
    [
        ("/run/postgresql", "prefer", "ok"),
        ("127.0.0.1", "prefer", "ok"),
        ("head", "verify-full", "ok"),
        ("head", "verify-ca", "ok"),
        ("head", "require", "problem"),
        ("head", "prefer", "problem"),
        ("192.0.2.7", "disable", "problem"),
    ],
)
def test_a_database_of_another_machine_wants_its_server_verified(host: str, sslmode: str, state: str) -> None:
    found = judge_encryption(host, sslmode)
    assert found.state == state
    assert ("verify-full" in found.advice) == (state == "problem")
