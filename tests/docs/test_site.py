"""The site: pages that are made from the code, links, and the build."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from penstock.config import load_registry
from penstock.core.params import field_paths

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mark_of_every_page_is_filled(hooks) -> None:
    filled = "".join(hooks.fill(path.read_text()) for path in PAGES)
    assert "<!-- made:" not in filled


def test_the_reference_shows_every_parameter_with_its_bounds(hooks) -> None:
    text = hooks.fill((ROOT / "docs/reference/stages.md").read_text())
    assert "| `hdbscan.min_points` | `3` |  | > 0 | Fewest neighbours that make a point a core point. |" in text
    assert "| `magnetic_field_t` | `2.85` | T | > 0 | Magnetic field along the axis. |" in text


def test_the_reference_shows_every_command(hooks) -> None:
    text = hooks.fill((ROOT / "docs/reference/cli.md").read_text())
    assert all(f"## `penstock {name}`" in text for name in ("run", "plan", "store verify", "stages show", "simulate tpc", "doctor"))


def test_every_parameter_that_a_page_names_is_one() -> None:
    known = {f"{s.name}.{path}" for s in load_registry().stages.values() for path in field_paths(s.params)}
    named = {name for path in PAGES for name in re.findall(r"`(tpc\.[a-z]+\.[a-z_.]+)`", path.read_text())}
    assert len(named) > 10
    assert named - known == set()


@pytest.mark.parametrize("path", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
def test_links_of_a_page_lead_somewhere(path: Path) -> None:
    targets = [path.parent / link for link in LINK.findall(path.read_text())]
    assert [t for t in targets if not t.exists()] == []


def test_the_site_is_built_without_a_warning(tmp_path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        build, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_site_asks_no_other_host_for_anything(tmp_path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)], cwd=ROOT, capture_output=True, check=True
    )
    asked = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', (tmp_path / "index.html").read_text())
    assert asked == []
