from __future__ import annotations

import re
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.config import find_experiment, load_experiment
from penstock.core.errors import ConfigError


def refuse(toy: ToyExperiment, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        toy.load()
    assert str(caught.value).startswith(message), str(caught.value)


def test_an_experiment_is_read_with_paths_relative_to_its_file(toy: ToyExperiment) -> None:
    experiment = toy.load()

    assert experiment.name == "toys"
    assert experiment.raw == toy.folder.resolve() / "raw"
    assert experiment.store_path == toy.folder.resolve() / "store"
    assert [s.name for s in experiment.pipeline.stages] == ["toy.hits", "toy.groups", "toy.summary"]


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    message = f"{path}: no such file. Make one with: penstock init DIR --instrument attpc --raw RAWDIR"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_experiment(path)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("[resources]\nworkers = 0", "'resources.workers': Input should be greater than 0, found 0."),
        ("[resources]\nworker = 2", "'resources.worker' is not known. Did you mean 'workers'?"),
        ("[resourcs]\nworkers = 2", "'resourcs' is not known. Did you mean 'resources'?"),
        ('[[runs]]\nrange = "3"', "'runs.0.params' is missing."),
        ("[store]\npath = 3", "'store.path': Input should be a valid string, found 3."),
    ],
    ids=["bound", "field", "section", "missing", "kind"],
)
def test_a_wrong_field_is_named_with_what_was_found(toy: ToyExperiment, text: str, clause: str) -> None:
    toy.configure(text)

    refuse(toy, f"{toy.folder}/experiment.toml: {clause}")


def test_text_that_is_not_toml_is_refused_with_its_place(toy: ToyExperiment) -> None:
    toy.configure("[resources\n")

    refuse(toy, f"{toy.folder}/experiment.toml: not TOML: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"toy"', '"toi"', "instrument 'toi' is not known (known: attpc, attpc-get, captures, toy). Did you mean 'toy'?"),
        (
            'raw = "raw"',
            'raw = "raw"\npreset = "defualt"',
            "instrument 'toy' has no preset 'defualt' (it has default). Did you mean 'default'?",
        ),
        (
            'raw = "raw"',
            'raw = "raw"\npipeline = ["toy.hit"]',
            "stage 'toy.hit' is not known. Did you mean 'toy.hits'? List them with: penstock stages ls",
        ),
        ('raw = "raw"', 'raw = "raw"\npipeline = ["toy.groups"]', "stage 'toy.groups': slot 'hits' wants schema 'toy.hits/1'"),
    ],
    ids=["instrument", "preset", "stage", "pipeline"],
)
def test_an_unknown_name_is_refused_with_the_nearest(toy: ToyExperiment, old: str, new: str, message: str) -> None:
    path = toy.folder / "experiment.toml"
    path.write_text(path.read_text().replace(old, new))

    refuse(toy, message)


@pytest.mark.parametrize("text", ["all", "last:5", "3,all"])
def test_parameters_for_a_range_that_depends_on_what_lies_on_disk_are_refused(toy: ToyExperiment, text: str) -> None:
    toy.configure(f'[[runs]]\nrange = "{text}"\n[runs.params.toy.hits]\nthreshold = 0.3')

    refuse(toy, f"experiment.toml: [[runs]] range {text!r} must name run numbers, such as 94-110: the runs on disk change.")


def test_the_nearest_experiment_above_a_folder_is_found(toy: ToyExperiment) -> None:
    below = toy.folder / "raw" / "deep"
    below.mkdir()

    assert find_experiment(below) == toy.folder.resolve() / "experiment.toml"
    assert find_experiment(Path("/")) is None
