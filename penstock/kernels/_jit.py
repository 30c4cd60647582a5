"""`jit`: numba's ``njit`` with a cache that is keyed by the sources of all our kernels, numba and the CPU.

Numba's own cache looks only at the file that holds the function, and so serves stale code when a helper in another
file changes. Here each state of the sources has a cache folder of its own; where nothing is writable there is none.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

import numba
from llvmlite import binding as llvm

__all__ = ["compile_once", "jit", "jit_cache_dir"]

_ROOMS = ("kernels", "formats", "tpc", "events", "area", "phasing", "simulate")
"""Rooms that hold kernels, and all that a kernel may call."""

P = ParamSpec("P")
R = TypeVar("R")
_lock = threading.Lock()


@cache
def jit_cache_dir() -> Path | None:
    """The folder of compiled kernels for these very sources, numba and CPU; None where no place is writable."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for source in sorted(p for room in _ROOMS for p in (package / room).rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode() + b"\0")
        digest.update(source.read_bytes())
    digest.update(f"{numba.__version__} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode())
    name = digest.hexdigest()[:20]
    candidates = [os.environ.get("PENSTOCK_JIT_CACHE"), os.environ.get("XDG_CACHE_HOME"), str(Path("~/.cache").expanduser())]
    for base in [*candidates, tempfile.gettempdir()]:
        if not base:
            continue
        folder = Path(base) / "penstock" / "jit" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        return folder
    return None


@overload
def jit(function: Callable[P, R]) -> Callable[P, R]: ...
@overload
def jit(*, parallel: bool = False, inline: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def jit(
    function: Callable[P, R] | None = None, *, parallel: bool = False, inline: bool = False
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a kernel with numba: no Python objects, no GIL, strict IEEE arithmetic, cached on disk.

    Strict arithmetic (no ``fastmath``) keeps the same bits for one event alone and in a block.
    """

    def compile_lazily(body: Callable[P, R]) -> Callable[P, R]:
        dispatcher = numba.njit(nogil=True, parallel=parallel, inline="always" if inline else "never")(body)
        folder = jit_cache_dir()
        if folder is not None:
            with _lock:
                settings: Any = numba.config
                before = settings.CACHE_DIR
                settings.CACHE_DIR = str(folder)
                try:
                    dispatcher.enable_caching()
                finally:
                    settings.CACHE_DIR = before
        compiled: Callable[P, R] = dispatcher
        return compiled

    return compile_lazily if function is None else compile_lazily(function)


@contextmanager
def compile_once(name: str) -> Iterator[None]:
    """Let one process of this host compile the kernels of `name` (first use within the block); the others wait and load them.

    The lock is the kernel's own, so a killed process leaves none behind.
    """
    folder = jit_cache_dir()
    if folder is None or (folder / f"{name}.compiled").exists():
        yield
        return
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        (folder / f"{name}.compiled").touch()
