"""Print what a package needs with some extras, one requirement a line: ``requirements.py pyproject.toml tpc,s3``."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def requirements(project: dict[str, Any], extras: list[str]) -> Iterator[str]:
    """The dependencies of a project with `extras`; an extra that names others of the same project stands for these.

    Raises
    ------
    SystemExit
        An extra is not known.
    """
    known = project["optional-dependencies"]
    yield from project["dependencies"]
    queue = list(extras)
    for extra in queue:
        if extra not in known:
            raise SystemExit(f"extra {extra!r} is not known. Known are {', '.join(sorted(known))}.")
        for requirement in known[extra]:
            itself = re.fullmatch(rf"{project['name']}\[([\w,-]+)\]", requirement)
            if itself is None:
                yield requirement
            else:
                queue += [name for name in itself[1].split(",") if name not in queue]


if __name__ == "__main__":
    found = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    sys.stdout.write("".join(f"{line}\n" for line in sorted(set(requirements(found, [name for name in sys.argv[2].split(",") if name])))))
