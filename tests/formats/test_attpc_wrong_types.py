"""Values of another type or shape than they should have: the file or the event is bad, and a mistake of a program is not hidden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5s, h5t

from penstock.core.errors import BadRun
from penstock.formats.attpc import AttpcRun, _block
from penstock.formats.attpc_write import Layout
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

Spoil = Callable[[h5py.Group, str], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run file of each layout."""
    layouts: tuple[Layout, ...] = ("legacy", "merger-2.0")
    return {layout: write_run(tmp_path_factory.mktemp(layout), TpcSimulation(seed=2), 1, 2, layout=layout) for layout in layouts}


def time_attribute(group: h5py.Group, name: str) -> object:
    """A type that NumPy has nothing for."""
    return h5a.create(group.id, name.encode(), h5t.UNIX_D32LE, h5s.create(h5s.SCALAR))


ATTRIBUTES: dict[str, Spoil] = {
    "text": lambda group, name: group.attrs.create(name, "abc"),
    "several": lambda group, name: group.attrs.create(name, np.arange(2000)),
    "no value": lambda group, name: group.attrs.create(name, h5py.Empty("i8")),
    "a reference": lambda group, name: group.attrs.create(name, group.ref, dtype=h5py.ref_dtype),
    "a time": time_attribute,
}
DATASETS: dict[str, Spoil] = {
    "text": lambda group, name: group.create_dataset(name, data="abc"),
    "no value": lambda group, name: group.create_dataset(name, data=h5py.Empty("i2")),
    "records": lambda group, name: group.create_dataset(name, data=np.zeros(3, [("a", "i4"), ("b", "f4")])),
    "a time": lambda group, name: h5d.create(group.id, name.encode(), h5t.UNIX_D32LE, h5s.create_simple((3,))),
    "a group": lambda group, name: group.create_group(name),
}


def spoiled(good: dict[str, Path], tmp_path: Path, name: str, spoil: Spoil) -> Path:
    """A copy of the file that has it, in which one dataset, or one attribute after ``@``, is another."""
    path = tmp_path / "run_0001.h5"
    path.write_bytes(good["merger-2.0" if name.startswith(("events", "scalers")) else "legacy"].read_bytes())
    parent, _, leaf = name.rpartition("@" if "@" in name else "/")
    with h5py.File(path, "r+") as file:
        members = file[parent].attrs if "@" in name else file[parent]
        del members[leaf]
        spoil(file[parent], leaf)
    return path


@pytest.mark.parametrize("spoil", ATTRIBUTES.values(), ids=ATTRIBUTES)
@pytest.mark.parametrize("name", ["events/event_0/frib_physics@id", "events/event_0/get@timestamp"])
def test_an_attribute_that_is_no_whole_number_rejects_its_event(good: dict[str, Path], tmp_path: Path, name: str, spoil: Spoil) -> None:
    path = spoiled(good, tmp_path, name, spoil)

    with AttpcRun(path) as run:
        rejections = run.read(0, 2).rejections

    assert [rejection.index for rejection in rejections] == [0]


@pytest.mark.parametrize("spoil", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize("name", ["events/event_1/get/pads", "get/evt1_data", "frib/evt/evt1_1903"])
def test_a_matrix_that_holds_no_numbers_rejects_its_event(good: dict[str, Path], tmp_path: Path, name: str, spoil: Spoil) -> None:
    path = spoiled(good, tmp_path, name, spoil)

    with AttpcRun(path) as run:
        assert run.bytes_per_event > 0
        rejections = run.read(0, 2).rejections

    assert [rejection.index for rejection in rejections] == [1]


@pytest.mark.parametrize("spoil", [*ATTRIBUTES.values()][1:], ids=[*ATTRIBUTES][1:])
def test_a_range_of_events_that_is_no_number_makes_the_run_bad(good: dict[str, Path], tmp_path: Path, spoil: Spoil) -> None:
    path = spoiled(good, tmp_path, "events@max_event", spoil)

    with pytest.raises(BadRun, match="is damaged: attribute 'max_event' is no whole number"):
        AttpcRun(path)


@pytest.mark.parametrize("spoil", [DATASETS["records"], DATASETS["a time"]], ids=["records", "a time"])
def test_a_legacy_range_that_is_no_number_makes_the_run_bad(good: dict[str, Path], tmp_path: Path, spoil: Spoil) -> None:
    path = spoiled(good, tmp_path, "meta/meta", spoil)

    with pytest.raises(BadRun, match="is damaged: "):
        AttpcRun(path)


@pytest.mark.parametrize("spoil", [DATASETS["records"], DATASETS["a group"]], ids=["records", "a group"])
@pytest.mark.parametrize("name", ["scalers/event_0", "frib/scaler/scaler0_data"])
def test_a_scaler_record_of_another_type_makes_the_scalers_bad(good: dict[str, Path], tmp_path: Path, name: str, spoil: Spoil) -> None:
    path = spoiled(good, tmp_path, name, spoil)

    with AttpcRun(path) as run, pytest.raises(BadRun, match=r"its scalers cannot be read: .*record"):
        run.scalers()


def test_a_mistake_of_the_program_is_no_bad_event(good: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise TypeError("an argument is missing")

    monkeypatch.setattr(_block, "read_get", wrong)

    with AttpcRun(good["legacy"]) as run, pytest.raises(TypeError, match="an argument is missing"):
        run.read(0, 2)
