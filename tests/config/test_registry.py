from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from toybench import ToyExperiment
from toyline import plugin

from penstock.config import PluginSource, _registry, load_registry
from penstock.core.errors import ConfigError

TOY = PluginSource("toyline.plugin")
MODULE = """
from penstock.core.stage import stage
from toyline.bodies import SummaryParams
from toyline.schemas import Hits

halved = stage("mine.{name}", version=1, body="{module}:halve", params=SummaryParams, reads={{"hits": Hits}}, writes=Hits, lane="toy", block=2)


def halve(hits, params):
    columns = {{**hits.columns, "hits": {{**hits["hits"], "value": hits["hits"]["value"] * {factor}}}}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets, rejections=hits.rejections)
"""


def write_module(folder: Path, module: str, factor: float = 0.5) -> None:
    (folder / f"{module}.py").write_text(MODULE.format(name=module, module=module, factor=factor))


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[EntryPoint]]]:
    """Entry points of installed plug-ins, by group."""
    found: dict[str, list[EntryPoint]] = {}
    monkeypatch.setattr(_registry, "entry_points", lambda group: found.get(group, []))
    load_registry.cache_clear()
    yield found
    load_registry.cache_clear()


def test_our_own_stages_and_instruments_are_there() -> None:
    registry = load_registry()

    assert {"tpc.points", "tpc.clusters", "tpc.estimates"} <= set(registry.stages)
    assert "attpc" in registry.instruments
    assert registry.sources["tpc.points"] == "penstock"


def test_a_module_brings_its_stages_and_its_instrument() -> None:
    registry = load_registry((TOY,))

    assert registry.stage("toy.hits") is plugin.hits
    assert registry.instrument("toy") is plugin.INSTRUMENT
    assert registry.sources["toy.hits"] == "toyline.plugin"
    assert registry.problems == ()


def test_installed_plug_ins_bring_stages_and_instruments(points: dict[str, list[EntryPoint]]) -> None:
    points["penstock.stages"] = [EntryPoint("toy", "toyline.plugin", "penstock.stages")]
    points["penstock.instruments"] = [EntryPoint("toy", "toyline.plugin:INSTRUMENT", "penstock.instruments")]

    registry = load_registry()

    assert registry.stage("toy.groups") is plugin.groups
    assert registry.instrument("toy") is plugin.INSTRUMENT


def test_a_stage_that_two_ways_lead_to_is_one_stage(points: dict[str, list[EntryPoint]]) -> None:
    points["penstock.stages"] = [EntryPoint("toy", "toyline.plugin:hits", "penstock.stages")]

    registry = load_registry((TOY,))

    assert registry.problems == ()
    assert registry.stage("toy.hits") is plugin.hits


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "ConfigError: it declares no stage (penstock.core.stage.stage(...))."),
        ("from toyline.plugin import *\nfrom penstock.tpc.stages import points", ""),
        (
            "import dataclasses\nfrom penstock.tpc.stages import points\nmine = dataclasses.replace(points, version=9)\ndel points",
            "ConfigError: stage 'tpc.points' is declared by 'penstock' already. Give it a name of its own.",
        ),
        (
            "import dataclasses\nfrom penstock.instruments.attpc import INSTRUMENT as A\nB = dataclasses.replace(A, title='other')",
            "ConfigError: instrument 'attpc' is declared already. Give it a name of its own.",
        ),
    ],
    ids=["import", "exception", "nothing", "imported stages are no declaration", "same stage", "same instrument"],
)
def test_a_broken_plug_in_is_listed_with_its_reason_and_disturbs_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, content: str, reason: str
) -> None:
    name = re.sub(r"\W+", "_", request.node.name)
    (tmp_path / f"{name}.py").write_text(content)

    registry = load_registry((PluginSource.parse(f"{name}.py", tmp_path), TOY))

    assert [p.reason for p in registry.problems] == ([reason] if reason else [])
    assert registry.stage("toy.hits") is plugin.hits
    assert registry.stage("tpc.points").version < 9


def test_a_stage_that_is_not_known_names_the_plug_in_that_failed(tmp_path: Path) -> None:
    (tmp_path / "torn_plugin.py").write_text("1 / 0")
    registry = load_registry((PluginSource.parse("torn_plugin.py", tmp_path),))
    message = (
        "stage 'qq.zzz' is not known. Plug-in 'torn_plugin' failed to load: ZeroDivisionError: division by zero. "
        "List them with: penstock stages ls"
    )

    with pytest.raises(ConfigError, match=re.escape(message)):
        registry.stage("qq.zzz")


def test_a_plug_in_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = f"plug-in 'mine.py': {tmp_path}/mine.py is not a file."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        PluginSource.parse("mine.py", tmp_path)


def test_a_dotted_module_beside_experiment_toml_is_found(tmp_path: Path) -> None:
    package = tmp_path / "grouppkg"
    package.mkdir()
    (package / "__init__.py").touch()
    write_module(package, "stages")
    (package / "stages.py").write_text((package / "stages.py").read_text().replace('"stages:halve"', '"grouppkg.stages:halve"'))

    source = PluginSource.parse("grouppkg.stages", tmp_path)
    registry = load_registry((source, TOY))

    assert source == PluginSource("grouppkg.stages", str(tmp_path))
    assert registry.problems == ()
    assert registry.stage("mine.stages").load_body().__module__ == "grouppkg.stages"


def test_a_dotted_module_that_is_not_beside_is_an_installed_one(tmp_path: Path) -> None:
    assert PluginSource.parse("toyline.plugin", tmp_path) == TOY


def test_a_broken_plug_in_does_not_stop_a_run(toy: ToyExperiment) -> None:
    (toy.folder / "ruined.py").write_text("1 / 0")
    toy.configure(plugins=("toyline.plugin", "ruined.py"))
    toy.write_run(1)

    assert toy.run().ok


@pytest.mark.parametrize(
    "pipeline",
    [
        ("toy.hits", "mine.{}", "toy.groups", "toy.summary"),
        ("toy.hits", "toy.other_groups", "toy.summary"),
        ("toy.hits", "toy.groups", "toy.strict"),
        ("toy.hits", "mine.{}"),
    ],
    ids=["inject", "replace in the middle", "replace at the end", "append"],
)
def test_stages_are_injected_replaced_and_appended_by_configuration(
    toy: ToyExperiment, request: pytest.FixtureRequest, pipeline: tuple[str, ...]
) -> None:
    module = f"halver_{len(pipeline)}_{len(pipeline[1])}"
    write_module(toy.folder, module)
    toy.configure(pipeline=[p.format(module) for p in pipeline], plugins=("toyline.plugin", f"{module}.py"))
    toy.write_run(1)

    report = toy.run()

    assert report.ok
    assert [r.stage for r in report.results] == [p.format(module) for p in pipeline]


def test_an_injected_stage_changes_what_comes_after_it(toy: ToyExperiment) -> None:
    write_module(toy.folder, "injected", factor=0.0)
    toy.write_run(1)
    toy.run()
    before = toy.digests()["toys/default/run-0001/toy.groups"]
    toy.configure(pipeline=("toy.hits", "mine.injected", "toy.groups"), plugins=("toyline.plugin", "injected.py"))

    report = toy.run()

    assert toy.states(report) == {1: ["current", "computed", "computed"]}
    assert toy.digests()["toys/default/run-0001/toy.groups"] != before
