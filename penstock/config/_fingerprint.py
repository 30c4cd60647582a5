"""Fingerprints of code: what a stage's body is made of, in a normal form without comments, docstrings and layout.

Sources are read as text; nothing is imported. The normal form is equal on all supported versions of Python.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from penstock.core.errors import ConfigError
from penstock.core.stage import Stage

__all__ = ["code_modules", "fingerprint", "is_release", "normal_form"]

_ROOMS = ("kernels", "formats", "stream", "tpc", "events", "area", "phasing", "compat")
"""Rooms of penstock whose modules belong to a stage's code; core, store and execute are held by formats and tests."""


def fingerprint(stage: Stage) -> str:
    """20 hexadecimal characters that change when the code of the stage's body does."""
    digest = hashlib.sha256(repr((stage.body, stage.block, stage.unit, stage.on_error)).encode())
    module = stage.body.partition(":")[0]
    others = [dotted for dotted in (stage.finish, stage.complete) if dotted]
    digest.update("".join(others).encode())
    for name in sorted(code_modules(module, *stage.modules, *(dotted.partition(":")[0] for dotted in others))):
        digest.update(f"{name}\0{_normal_form(_file_of(name))}\0".encode())
    folder = _file_of(module).parent
    for data in sorted(stage.data_files):
        digest.update(data.encode() + b"\0" + (folder / data).read_bytes())
    return digest.hexdigest()[:20]


@cache
def is_release(package: str = "penstock") -> bool:
    """Whether `package` is an installed release rather than an editable checkout."""
    return any(part in ("site-packages", "dist-packages") for part in _root_of(package).parts)


def code_modules(module: str, *others: str) -> set[str]:
    """All modules that belong to the code of a body: its own, `others`, and what these import, as far as it counts."""
    seen: set[str] = set()
    queue = [module, *others]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        queue += [found for found in _imports(name) if found not in seen and _counts(found, module)]
    return seen


def _counts(name: str, of: str) -> bool:
    parts = name.split(".")
    if parts[0] == "penstock":
        return len(parts) > 1 and parts[1] in _ROOMS
    return parts[0] == of.split(".")[0]


@cache
def _imports(name: str) -> tuple[str, ...]:
    path = _file_of(name)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [m for alias in node.names for m in _modules(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            found += _modules(base)
            found += [f"{base}.{alias.name}" for alias in node.names if _exists(f"{base}.{alias.name}")]
    return tuple(dict.fromkeys(found))


def _modules(name: str) -> list[str]:
    return [name] if _exists(name) else []


@cache
def _exists(name: str) -> bool:
    if not name or name.split(".")[0] in ("numpy", "numba", "scipy", "h5py", "pyarrow", "pydantic"):
        return False
    try:
        _file_of(name)
    except ConfigError:
        return False
    return True


@cache
def _root_of(package: str) -> Path:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"package {package!r} cannot be found ({error}).") from error
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        raise ConfigError(f"package {package!r} has no Python source.")
    return Path(found.origin)


@cache
def _file_of(name: str) -> Path:
    package, *rest = name.split(".")
    root = _root_of(package)
    if not rest:
        return root
    base = root.parent.joinpath(*rest)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if root.name == "__init__.py" and candidate.is_file():
            return candidate
    raise ConfigError(f"module {name!r} has no Python source.")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _normal_form(path: Path) -> str:
    return normal_form(_tree(path))


def normal_form(tree: ast.Module) -> str:
    """A module without comments, docstrings and layout, equal on all supported versions of Python."""
    return "".join(_dump(tree))


def _dump(node: ast.AST) -> Iterator[str]:
    yield type(node).__name__
    yield "("
    for name, value in ast.iter_fields(node):
        if value is None or value == [] or name in ("ctx", "kind", "type_comment", "type_ignores"):
            continue
        yield f"{name}="
        if isinstance(value, list):
            for item in _without_docstrings(value) if name == "body" else value:
                yield from _dump(item) if isinstance(item, ast.AST) else repr(item)
                yield ","
        else:
            yield from _dump(value) if isinstance(value, ast.AST) else repr(value)
        yield ";"
    yield ")"


def _without_docstrings(body: list[ast.AST]) -> list[ast.AST]:
    return [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))]
