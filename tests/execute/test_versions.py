"""Version skew. A worker process that reports another numpy than it has stands in for one with another numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from toybench import ToyExperiment
from toyworkers import open_fleet

from penstock.config import Resources, load_registry
from penstock.core.errors import CodeMismatch
from penstock.core.stage import Stage, StageCode
from penstock.execute._dask import DaskExecutor
from penstock.execute._versions import codes_of, compare, pinned, question, refuse, require

OURS = {
    "host": "here",
    "python": "3.11.7",
    "packages": {
        **dict.fromkeys(("dask", "distributed"), "2026.8.0"),
        "msgpack": "1.2.4",
        "penstock": "0.1.0",
        "numpy": "2.4.6",
        "scipy": "1.17.1",
        "numba": "0.68.1",
        "pycatima": "1.98",
        "h5py": "3.16.0",
        "hdf5": "2.0.0",
        "pyarrow": "26.0.1",
        "pydantic": "2.14.3",
    },
    "sources": "abc",
}
ADDRESS = "tcp://10.0.0.7:4000"


def there(**packages: str) -> dict[str, Any]:
    python = packages.pop("python", "3.11.7")
    return {**OURS, "host": "node7", "python": python, "packages": {**OURS["packages"], **packages}}  # type: ignore[dict-item]


def stages(*names: str) -> list[Stage]:
    return [load_registry().stages[name] for name in names]


def found(worker: Mapping[str, Any], *names: str) -> list[tuple[str, bool]]:
    return [(skew.package, skew.strict) for skew in compare(None, {ADDRESS: worker}, OURS, {ADDRESS: stages(*names)})]


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("numpy", "2.4.5"),
        ("numba", "0.68.0"),
        ("penstock", "0.2.0"),
        ("dask", "2026.7.0"),
        ("msgpack", "2.0"),
        ("python", "3.12.1"),
        ("scipy", ""),
    ],
)
def test_what_changes_results_or_breaks_the_protocol_is_refused(package: str, version: str) -> None:
    assert found(there(**{package: version}), "tpc.points") == [(package, True)]


@pytest.mark.parametrize(("package", "version"), [("h5py", "3.15.0"), ("hdf5", "1.14.6"), ("pyarrow", "25.0"), ("pydantic", "2.13")])
def test_what_changes_only_bytes_is_a_warning(package: str, version: str) -> None:
    assert found(there(**{package: version}), "tpc.points") == [(package, False)]


@pytest.mark.parametrize(
    "packages", [{"python": "3.11.9"}, {"msgpack": "1.2.9"}, {"hdf5": ""}, {"pyarrow": ""}], ids=lambda packages: next(iter(packages))
)
def test_what_changes_nothing_is_no_difference(packages: dict[str, str]) -> None:
    assert found(there(**packages), "tpc.points") == []


def test_a_worker_needs_only_what_its_stages_need() -> None:
    without = there(scipy="", pycatima="")

    assert found(without, "events.sum") == []
    assert found(without, "tpc.fits") == [("scipy", True), ("pycatima", True)]


def test_a_worker_that_gets_no_stage_may_be_what_it_likes() -> None:
    assert compare(None, {ADDRESS: there(numpy="1.0")}, OURS, {}) == []


def test_the_scheduler_needs_only_the_protocol() -> None:
    scheduler = there(numpy="", penstock="", distributed="2026.7.0", python="3.12.1")

    skews = compare(scheduler, {}, OURS, {})

    assert [(skew.package, skew.strict) for skew in skews] == [("distributed", True), ("python", False)]


def test_differences_are_refused_all_at_once_with_place_and_versions() -> None:
    skews = compare(None, {ADDRESS: there(numpy="2.4.5", scipy="")}, OURS, {ADDRESS: stages("tpc.points")})

    with pytest.raises(CodeMismatch) as caught:
        refuse(skews)

    assert str(caught.value) == (
        "versions differ: worker tcp://10.0.0.7:4000 (node7) has numpy 2.4.5, this process 2.4.6; "
        "worker tcp://10.0.0.7:4000 (node7) has scipy not at all, this process 1.17.1. "
        "Install the same versions (constraints.txt) or use one image, and restart the workers."
    )


def test_harmless_differences_are_one_warning() -> None:
    skews = compare(None, {ADDRESS: there(h5py="3.15.0", pyarrow="25.0")}, OURS, {ADDRESS: stages("tpc.points")})

    with pytest.warns(UserWarning, match=r"^versions differ, which changes no value: .*h5py 3\.15\.0.*pyarrow 25\.0") as caught:
        refuse(skews)

    assert len(caught) == 1


def test_a_process_agrees_with_itself() -> None:
    wanted = stages("tpc.points", "events.sum")
    ours = eval(question(wanted))

    assert compare(ours, {ADDRESS: ours}, ours, {ADDRESS: wanted}) == []
    require(pinned(wanted[0]))


def test_a_stage_that_is_not_there_has_no_code() -> None:
    assert list(codes_of((), ["tpc.points", "tpc.none"])) == ["tpc.points"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A worker that says that its numpy is another one."""
    folder = tmp_path_factory.mktemp("fleet")
    told = folder / "numpy-0.0.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    toys = Path(__file__).parents[1] / "toy"
    with open_fleet(folder) as fleet:
        fleet.start("--resources", "toy=1", variables={"PYTHONPATH": f"{folder}:{toys}"})
        yield fleet.address


@pytest.mark.server
def test_a_worker_with_another_numpy_is_refused_before_anything_is_computed(toy: ToyExperiment, address: str) -> None:
    toy.write_run(1, n_events=4)

    with pytest.raises(CodeMismatch, match=r"^versions differ: worker tcp://\S+ \(\S+\) has numpy 0\.0\.1, this process "):
        toy.run(resources=Resources(executor=address))

    assert list(toy.store.manifests()) == []


@pytest.mark.server
def test_a_worker_that_joins_later_refuses_batches_of_another_numpy(
    toy: ToyExperiment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DaskExecutor, "compare_versions", lambda *_: None)
    toy.write_run(1, n_events=4)

    report = toy.run(resources=Resources(executor=address))

    assert "versions differ: " in str(report.results[0].error)
    assert "has numpy 0.0.1, this process" in str(report.results[0].error)


@pytest.fixture
def other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process has sources of its own, and versions are all the same."""
    monkeypatch.setattr(
        "penstock.execute._dask.question",
        lambda wanted: question(wanted).replace('"sources": ', '"sources": __import__("os").getpid() or '),
    )
    monkeypatch.setattr("penstock.execute._dask.refuse", lambda _: None)
    monkeypatch.setattr("penstock.execute._step.pinned", lambda _: {})


@pytest.mark.server
@pytest.mark.usefixtures("other_sources")
def test_workers_of_other_sources_whose_stages_are_the_same_are_taken(toy: ToyExperiment, address: str) -> None:
    toy.write_run(1, n_events=4)

    assert toy.run(resources=Resources(executor=address)).ok


@pytest.mark.server
@pytest.mark.usefixtures("other_sources")
def test_workers_whose_stages_are_others_are_refused_before_anything_is_computed(
    toy: ToyExperiment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.stage_code", lambda stage: StageCode(stage.version, "f" * 20, locked=False))
    toy.write_run(1, n_events=4)

    with pytest.raises(
        CodeMismatch, match=r"^worker tcp://\S+: stage 'toy\.\w+' is version 1, code \w{20}; this process has version 1, code f{20}\. "
    ):
        toy.run(resources=Resources(executor=address))

    assert list(toy.store.manifests()) == []


@pytest.mark.server
@pytest.mark.usefixtures("other_sources")
def test_workers_that_cannot_say_what_their_stages_are_are_refused(
    toy: ToyExperiment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.codes_of", abs)
    toy.write_run(1, n_events=4)

    with pytest.raises(CodeMismatch, match=r"^worker tcp://\S+ has another penstock, which cannot say what its stages are \(TypeError"):
        toy.run(resources=Resources(executor=address))
