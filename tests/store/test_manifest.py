from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from toybench import make_hits, make_manifest

from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact, StoreError
from penstock.store import Counts, DataFile, Manifest

MANIFEST = make_manifest(
    Key("k" * 32),
    make_hits(5),
    files=(DataFile("a/data.h5", 10, "aa", "toy.hits", 0, 5),),
    rejections=((3, "noise burst", False), (4, "down-scale", True)),
    counts=Counts(5, 3, {"noise burst": 1}, {"down-scale": 1}, {"hits": 7}),
)


def write(folder: Path, **changes: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(MANIFEST.dumps()) | changes))
    return path


def test_a_manifest_reads_back_as_what_was_written(tmp_path: Path) -> None:
    assert Manifest.read(write(tmp_path)) == MANIFEST


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, format=2)

    with pytest.raises(StoreError, match=f"^{re.escape(f'{path}: manifest format 2, this penstock reads up to 1. Upgrade penstock.')}$"):
        Manifest.read(path)


def test_a_manifest_that_is_cut_off_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text()[:50])

    with pytest.raises(DamagedArtifact, match=r"manifest\.json: not a manifest .*Run: penstock store verify"):
        Manifest.read(path)


def test_a_manifest_with_an_unknown_field_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"a field is missing or unknown .*colour"):
        Manifest.read(write(tmp_path, colour="red"))


@pytest.mark.parametrize("name", ["/tmp/a.h5", "../a.h5", "a/../../b.h5", "a//b.h5", "", "a\\..\\b.h5", 7])
def test_a_manifest_that_names_a_file_elsewhere_is_damage(tmp_path: Path, name: object) -> None:
    files = [json.loads(MANIFEST.dumps())["files"][0] | {"name": name}]

    with pytest.raises(DamagedArtifact, match=r"names the file .*, which lies outside of the artifact\. Run: penstock store verify"):
        Manifest.read(write(tmp_path, files=files))


def test_the_size_of_an_artifact_is_that_of_its_files() -> None:
    assert MANIFEST.size == 10
