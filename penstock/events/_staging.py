"""Where a user's reducer may write while it runs as a stage: into one folder, whatever paths it names.

Relative paths lie in that folder because it is the working directory. Absolute ones are mapped below it without their
root: ``/data/visitors/xrd.h5`` becomes ``data/visitors/xrd.h5``. What is only read is found where it lies.
"""

from __future__ import annotations

import builtins
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["staged"]

_WRITING = frozenset("wax+")


@contextmanager
def staged(folder: Path, base: Path) -> Iterator[None]:
    """Map the paths of everything that Python or h5py opens for writing into `folder`; meant for a process of its own.

    Parameters
    ----------
    folder
        Becomes the working directory.
    base
        Where relative paths are looked up that are only read and not there.
    """
    import h5py

    places = _Places(folder.resolve(), base.resolve())
    before = Path.cwd()
    os.chdir(folder)
    changed: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, new: Callable[[Any], Any]) -> None:
        old = getattr(owner, name)
        changed.append((owner, name, old))
        setattr(owner, name, new(old))

    replace(builtins, "open", places.opening)
    replace(io, "open", places.opening)
    for name in ("stat", "lstat", "listdir", "scandir"):
        replace(os, name, places.reading)
    for name in ("mkdir", "remove", "unlink", "rmdir"):
        replace(os, name, places.writing)
    for name in ("rename", "replace"):
        replace(os, name, places.moving)
    replace(h5py.File, "__init__", places.opening_hdf5)
    try:
        yield
    finally:
        for owner, name, old in reversed(changed):
            setattr(owner, name, old)
        os.chdir(before)


class _Places:
    """Which path stands for which."""

    def __init__(self, folder: Path, base: Path) -> None:
        self._folder = str(folder)
        self._base = str(base)
        self._left_alone = tuple(f"{path}{os.sep}" for path in (self._folder, os.path.realpath(tempfile.gettempdir()), "/dev", "/proc"))

    def _below(self, path: str) -> str:
        return os.path.join(self._folder, path.lstrip(os.sep))  # noqa: PTH118  paths of the user's code, kept as text

    def for_writing(self, path: Any) -> Any:
        if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
            return path
        text = os.fspath(path)
        if not os.path.isabs(text) or f"{os.path.normpath(text)}{os.sep}".startswith(self._left_alone):  # noqa: PTH117
            return path
        return self._below(text)

    def for_reading(self, path: Any) -> Any:
        if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
            return path
        text = os.fspath(path)
        if not os.path.isabs(text):  # noqa: PTH117
            other = os.path.join(self._base, text)  # noqa: PTH118
            return path if _there(text) or not _there(other) else other
        mapped = self.for_writing(text)
        return mapped if mapped is not text and _there(mapped) else path

    def reading(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path=".", *args, **kwargs: function(self.for_reading(path), *args, **kwargs)

    def writing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *args, **kwargs: function(self._ready(path), *args, **kwargs)

    def moving(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda old, new, *args, **kwargs: function(self.for_reading(old), self._ready(new), *args, **kwargs)

    def opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            return function(self._ready(file) if _WRITING & set(mode) else self.for_reading(file), mode, *args, **kwargs)

        return opened

    def opening_hdf5(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, name: Any, mode: str = "r", *args: Any, **kwargs: Any) -> None:
            function(file, self.for_reading(name) if mode == "r" else self._ready(name), mode, *args, **kwargs)

        return opened

    def _ready(self, path: Any) -> Any:
        """The path to write to; where it was mapped, the folders above it are made."""
        mapped = self.for_writing(path)
        if mapped is not path:
            _make(os.path.dirname(mapped))  # noqa: PTH120
        return mapped


_stat, _mkdir = os.stat, os.mkdir


def _there(path: str) -> bool:
    try:
        _stat(path)
    except (OSError, ValueError):
        return False
    return True


def _make(folder: str) -> None:
    if not _there(folder):
        _make(os.path.dirname(folder))  # noqa: PTH120
        _mkdir(folder)
