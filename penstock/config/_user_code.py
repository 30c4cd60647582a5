"""Fingerprints of a user's modules that parameters name, found from the folder of experiment.toml.

Unlike the code of stages they may change while a process lives, so nothing is remembered here.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from penstock.config._fingerprint import normal_form
from penstock.core.errors import ConfigError

__all__ = ["fingerprint_modules"]


def fingerprint_modules(names: Sequence[str], folder: Path) -> str:
    """20 hexadecimal characters that change when the code of these modules does, or of what they import beside them.

    Parameters
    ----------
    names
        Dotted names of modules in `folder` or, failing that, of an installed package.
    folder
        Where a user's modules lie.

    Raises
    ------
    ConfigError
        A module is not there, or is not Python.
    """
    files: dict[str, Path] = {}
    queue = list(dict.fromkeys(names))
    tops = {name.partition(".")[0] for name in names}
    for name in names:
        if _find(name, folder, tops) is None:
            raise ConfigError(
                f"module {name!r} is neither in {folder} nor installed. Name it from the folder of experiment.toml, as 'src.worker'."
            )
    while queue:
        name = queue.pop()
        path = None if name in files else _find(name, folder, tops)
        if path is not None:
            files[name] = path
            queue += _imports(name, path)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{normal_form(_parse(files[name]))}\0".encode())
    return digest.hexdigest()[:20]


def _find(name: str, folder: Path, tops: set[str]) -> Path | None:
    parts = name.split(".")
    bases = [folder.joinpath(*parts)]
    if parts[0] in tops and not any(_exists(folder / parts[0])):
        found = importlib.util.find_spec(parts[0])
        if found is not None and found.origin is not None and found.origin.endswith(".py"):
            origin = Path(found.origin)
            bases.append(origin.parent.joinpath(*parts[1:]) if origin.name == "__init__.py" else origin.with_suffix(""))
    return next((path for base in bases for path in _exists(base)), None)


def _exists(base: Path) -> Iterator[Path]:
    yield from (path for path in (base.with_name(f"{base.name}.py"), base / "__init__.py") if path.is_file())


def _imports(name: str, path: Path) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{path}: not Python: {error}") from error
