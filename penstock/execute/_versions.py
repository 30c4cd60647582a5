"""Version skew: what scheduler and workers run on, compared with this process before anything is submitted, and by workers for each batch.

What breaks Dask's protocol or changes results is refused; what only changes bytes of files is one warning.
"""

from __future__ import annotations

import importlib.metadata
import os
import socket
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from penstock.config import PluginSource, load_registry, stage_code
from penstock.core.errors import CodeMismatch
from penstock.core.stage import Stage

__all__ = ["Skew", "codes_of", "compare", "pinned", "question", "refuse", "require"]

Answer = Mapping[str, Any]

_PROTOCOL = ("dask", "distributed", "msgpack")
"""What must agree everywhere, the scheduler included."""
_FAMILIES = {"tpc": ("numpy", "scipy", "numba", "pycatima"), "events": ("numpy", "numba")}
"""What changes results of a family."""
_OTHERS = ("numpy",)
"""What changes results of stages of any other family, beside the package that declares them."""
_BYTES = ("h5py", "hdf5", "pyarrow", "pydantic")
"""What changes bytes of files, not values."""
_PARTS = {"python": 2, "msgpack": 1}
"""So many parts of a version matter; of all others the whole."""

_QUESTION = """{
    "host": __import__("socket").gethostname(),
    "python": __import__("platform").python_version(),
    "packages": {
        name: next((d.version for d in __import__("importlib.metadata").metadata.Distribution.discover(name=name)), "")
        for name in NAMES
    } | {"hdf5": getattr(__import__("sys").modules.get("h5py.version"), "hdf5_version", "")},
    "sources": SOURCES,
}"""
_SOURCES = """(lambda spec: spec and __import__("hashlib").sha256(b"".join(
    p.read_bytes() for p in sorted(__import__("pathlib").Path(spec.submodule_search_locations[0]).rglob("*.py"))
)).hexdigest())(__import__("importlib.util").util.find_spec("penstock"))"""


def question(stages: Sequence[Stage]) -> str:
    """What to ask every process that `stages` concern, and with none of them the scheduler: an expression for `eval`.

    As text it reaches a worker of any Python, with any penstock or none; a function would not. It imports nothing heavy,
    so HDF5 is only named by processes that use it already.
    """
    names = {*_PROTOCOL, *_BYTES, "penstock", *(name for stage in stages for name in _needed(stage))} - {"hdf5"}
    return _QUESTION.replace("NAMES", repr(sorted(names))).replace("SOURCES", _SOURCES if stages else "None")


def pinned(stage: Stage) -> dict[str, str]:
    """Versions, here, of the packages that change results of `stage`; they go with each batch."""
    return {name: version for name in _needed(stage) if (version := _version(name))}


def require(versions: Mapping[str, str]) -> None:
    """Compare this process with the versions that came with a batch.

    Raises
    ------
    CodeMismatch
        With all differences.
    """
    found = [
        Skew(f"{socket.gethostname()}:{os.getpid()}", name, _version(name), v, True) for name, v in versions.items() if _version(name) != v
    ]
    refuse(found)


@dataclass(frozen=True, slots=True)
class Skew:
    """A package whose version elsewhere is not the one here; `strict` where that is refused."""

    place: str
    package: str
    theirs: str
    ours: str
    strict: bool

    def __str__(self) -> str:
        return f"{self.place} has {self.package} {self.theirs or 'not at all'}, this process {self.ours}"


def compare(scheduler: Answer | None, workers: Mapping[str, Answer], ours: Answer, stages: Mapping[str, Sequence[Stage]]) -> list[Skew]:
    """The differences between this process and others.

    Parameters
    ----------
    scheduler, workers, ours
        Answers to the `question`; those of workers by address.
    stages
        By worker, the stages that it may get; a worker that gets none is left out.
    """
    found: list[Skew] = []
    if scheduler is not None:
        found += _differences(f"scheduler ({scheduler['host']})", scheduler, ours, _PROTOCOL, ("python",))
    for address, answer in sorted(workers.items()):
        wanted = stages.get(address, ())
        if wanted:
            strict = ("python", *_PROTOCOL, "penstock", *dict.fromkeys(name for stage in wanted for name in _needed(stage)))
            found += _differences(f"worker {address} ({answer['host']})", answer, ours, strict, _BYTES)
    return found


def refuse(found: Sequence[Skew]) -> None:
    """Refuse what breaks the protocol or changes results; tell the rest as one warning.

    Raises
    ------
    CodeMismatch
        With all differences.
    """
    text = "; ".join(str(skew) for skew in found)
    if any(skew.strict for skew in found):
        raise CodeMismatch(
            f"versions differ: {text}. Install the same versions (constraints.txt) or use one image, and restart the workers."
        )
    if found:
        warnings.warn(f"versions differ, which changes no value: {text}.", UserWarning, stacklevel=3)


def codes_of(plugins: tuple[PluginSource, ...], names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Version and fingerprint of stages in this process; called on workers whose sources are not ours."""
    registry = load_registry(plugins)
    found = {name: registry.stages[name] for name in names if name in registry.stages}
    return {name: (stage.version, stage_code(stage).fingerprint) for name, stage in found.items()}


def _differences(place: str, theirs: Answer, ours: Answer, strict: Iterable[str], loose: Iterable[str]) -> list[Skew]:
    """A loose package that one of both lacks, or has not loaded, is no difference."""
    here, there = ({"python": answer["python"], **answer["packages"]} for answer in (ours, theirs))
    found = [Skew(place, name, there[name], here[name], True) for name in strict if here[name] and not _same(name, there[name], here[name])]
    found += [
        Skew(place, name, there[name], here[name], False)
        for name in loose
        if here[name] and there[name] and not _same(name, there[name], here[name])
    ]
    return found


def _same(name: str, one: str, other: str) -> bool:
    parts = _PARTS.get(name)
    return one.split(".")[:parts] == other.split(".")[:parts]


def _needed(stage: Stage) -> tuple[str, ...]:
    package = stage.body.partition(":")[0].partition(".")[0]
    return (*_FAMILIES.get(stage.name.partition(".")[0], _OTHERS), *(() if package == "penstock" else (package,)))


@cache
def _version(name: str) -> str:
    return next((found.version for found in importlib.metadata.Distribution.discover(name=name)), "")
