from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from toyline import plugin

from penstock.config import fingerprint, is_release, load_registry, stage_code
from penstock.core.errors import ConfigError

BODY = '''"""A body."""
from lib_{name}.tools import double


def compute(hits, params):
    """Twice."""
    # a reason
    return double(hits)
'''
TOOLS = "def double(x):\n    return 2 * x\n"
CODE = """
import sys
from pathlib import Path
from penstock.config import fingerprint
from penstock.core.params import Params
from penstock.core.schema import Records
from penstock.core.stage import stage
sys.path.insert(0, sys.argv[1])
print(fingerprint(stage("a.b", version=1, body="lib_x.body:compute", params=Params, reads={}, writes=Records, lane="a", data_files=("table.csv",))))
"""


def fingerprint_of(folder: Path, body: str = BODY, tools: str = TOOLS, table: str = "1,2\n", other: str = "x = 1\n") -> str:
    """The fingerprint of a package with such files, as a new process sees it."""
    package = folder / "lib_x"
    package.mkdir(exist_ok=True)
    for name, text in (
        ("__init__.py", ""),
        ("body.py", body.format(name="x")),
        ("tools.py", tools),
        ("other.py", other),
        ("table.csv", table),
    ):
        (package / name).write_text(text)
    done = subprocess.run([sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    relaid = BODY.replace("    # a reason\n", "\n\n").replace('"""Twice."""', '"""Two times."""').replace("double(hits)", "double( hits )")

    assert fingerprint_of(tmp_path) == fingerprint_of(tmp_path, relaid)


@pytest.mark.parametrize(
    "changes",
    [{"body": BODY.replace("return double(hits)", "return double(double(hits))")}, {"tools": TOOLS.replace("2", "3")}, {"table": "1,3\n"}],
    ids=["body", "module that the body imports", "data file"],
)
def test_what_the_body_is_made_of_counts(tmp_path: Path, changes: dict[str, str]) -> None:
    assert fingerprint_of(tmp_path) != fingerprint_of(tmp_path, **changes)


def test_a_module_that_the_body_does_not_import_does_not_count(tmp_path: Path) -> None:
    assert fingerprint_of(tmp_path) == fingerprint_of(tmp_path, other="x = 2\n")


@pytest.mark.parametrize(
    "changes", [{"block": 7}, {"unit": "block"}, {"on_error": "reject"}, {"body": "toyline.bodies:find_groups"}], ids=str
)
def test_what_the_declaration_says_about_computing_counts(changes: dict[str, object]) -> None:
    assert fingerprint(plugin.hits) != fingerprint(dataclasses.replace(plugin.hits, **changes))  # type: ignore[arg-type]


def test_what_the_declaration_says_about_looking_does_not_count() -> None:
    assert fingerprint(plugin.hits) == fingerprint(dataclasses.replace(plugin.hits, figure="a:b", lane="other", tolerance=0.1))


def test_a_plug_in_is_never_locked() -> None:
    assert not stage_code(plugin.hits).locked


def test_kernels_and_formats_belong_to_the_code_of_our_stages() -> None:
    from penstock.config._fingerprint import code_modules

    modules = code_modules("penstock.tpc.points")

    assert {"penstock.kernels.peaks", "penstock.kernels.baseline", "penstock.formats.traces", "penstock.tpc.schemas"} <= modules
    assert not [m for m in modules if m.startswith(("penstock.core", "penstock.store", "penstock.execute", "numpy"))]


def test_every_registered_stage_has_a_fingerprint() -> None:
    prints = [fingerprint(stage) for stage in load_registry().stages.values()]

    assert all(len(p) == 20 for p in prints)


def test_a_body_without_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="package 'nothing_there' has no Python source"):
        fingerprint(dataclasses.replace(plugin.hits, body="nothing_there.bodies:find_hits"))


def test_a_checkout_is_no_release() -> None:
    assert is_release() == ("site-packages" in str(Path(sys.modules["penstock"].__file__ or "")))
