"""Workers of a family import only what their image installs; tried with everything else made impossible to import."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from penstock.config import load_registry

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
PROGRAM = """
import importlib.abc, sys
forbidden = set(sys.argv[1].split(","))
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import penstock.execute._batch
from penstock.config import load_registry
for name in sys.argv[2:]:
    load_registry().stage(name).load_body()
"""


def modules_of(requirements: list[str]) -> set[str]:
    """Top-level modules of requirements that are installed here."""
    names = {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements}
    wanted = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    found = importlib.metadata.packages_distributions()
    return {m for m, distributions in found.items() if wanted & {re.sub(r"[-_.]+", "-", d).lower() for d in distributions}}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tpc", "events"])
def test_the_stages_of_a_family_need_no_other_extra(family: str) -> None:
    others = [r for extra, found in PROJECT["optional-dependencies"].items() if extra not in (family, "all") for r in found]
    forbidden = modules_of(others) - modules_of(PROJECT["optional-dependencies"][family] + PROJECT["dependencies"])
    stages = [name for name in load_registry().stages if name.startswith(f"{family}.")]

    assert {"prefect", "matplotlib"} <= forbidden
    assert len(stages) > 2
    done = subprocess.run([sys.executable, "-c", PROGRAM, ",".join(forbidden), *stages], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
