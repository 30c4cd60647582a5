from __future__ import annotations

import re

import pytest

from penstock.core.canonical import digest_key
from penstock.core.errors import ConfigError, PipelineError
from penstock.core.params import Params
from penstock.core.schema import Records
from penstock.core.stage import Pipeline, Stage, StageCode, load_dotted, make_recipe, stage


class Raw(Records):
    """Raw."""

    name = "fake.raw"
    storage = "raw"


class Points(Records):
    """Points."""

    name = "fake.points"


class NewPoints(Records):
    """The next version of points."""

    name = "fake.points"
    version = 2


class Tracks(Records):
    """Tracks."""

    name = "fake.tracks"


def make(name: str, reads: type[Records], writes: type[Records], **changes: object) -> Stage:
    declared = {"version": 1, "body": "json:dumps", "params": Params, "reads": {"data": reads}, "writes": writes, "lane": "fake"}
    return stage(name, **(declared | changes))


POINTS = make("fake.points", Raw, Points)
SMOOTH = make("fake.smooth", Points, Points)
TRACKS = make("fake.tracks", Points, Tracks)
NEW_TRACKS = make("fake.new_tracks", NewPoints, Tracks)


def test_each_slot_is_bound_to_the_nearest_stage_before_that_writes_its_schema() -> None:
    pipeline = Pipeline((POINTS, SMOOTH, TRACKS), (Raw,))

    assert pipeline.bindings == {
        "fake.points": {"data": None},
        "fake.smooth": {"data": "fake.points"},
        "fake.tracks": {"data": "fake.smooth"},
    }


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            (TRACKS, POINTS),
            "stage 'fake.tracks': slot 'data' wants schema 'fake.points/1', but the stages before it write 'fake.raw/1'. Put 'fake.points' before it.",
        ),
        (
            (POINTS, NEW_TRACKS),
            "stage 'fake.new_tracks': slot 'data' wants schema 'fake.points/2', but the stages before it write 'fake.points/1'. "
            "The nearest stage, 'fake.points', writes another version of it.",
        ),
        (
            (TRACKS,),
            "stage 'fake.tracks': slot 'data' wants schema 'fake.points/1', but the stages before it write 'fake.raw/1'. "
            "Put a stage that writes 'fake.points/1' before it.",
        ),
        ((POINTS, POINTS), "pipeline ['fake.points', 'fake.points']: a stage stands in it twice."),
    ],
    ids=["order", "version", "absent", "twice"],
)
def test_stages_that_do_not_fit_are_refused_when_the_pipeline_is_built(stages: tuple[Stage, ...], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
        Pipeline(stages, (Raw,))


def test_a_stage_that_is_not_in_the_pipeline_is_named_with_the_nearest() -> None:
    message = "stage 'fake.track' is not in the pipeline (fake.points, fake.tracks). Did you mean 'fake.tracks'?"

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Pipeline((POINTS, TRACKS), (Raw,))["fake.track"]


def test_wanted_stages_bring_what_they_need_and_nothing_else() -> None:
    other = make("fake.other", Raw, NewPoints)
    pipeline = Pipeline((POINTS, other, SMOOTH, TRACKS), (Raw,))

    assert [s.name for s in pipeline.upstream(["fake.smooth"])] == ["fake.points", "fake.smooth"]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("Points", {}, "stage name 'Points' is not of the form 'family.noun' in lower case."),
        ("fake.points", {"body": "json.dumps"}, "stage 'fake.points': body 'json.dumps' is not of the form 'package.module:function'."),
        ("fake.points", {"block": 0}, "stage 'fake.points': version and block start at 1."),
        ("fake.points", {"version": 0}, "stage 'fake.points': version and block start at 1."),
    ],
    ids=["name", "body", "block", "version"],
)
def test_a_wrong_declaration_is_refused(name: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
        make(name, Raw, Points, **changes)


def test_a_dotted_name_leads_to_nested_attributes() -> None:
    assert load_dotted("json:JSONDecoder.decode").__name__ == "decode"


def test_locked_code_enters_a_key_as_its_version_and_other_code_as_its_fingerprint() -> None:
    assert StageCode(3, "f00", locked=True).identity() == 3
    assert StageCode(3, "f00", locked=False).identity() == "3+f00"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": {"run": 2}},
        {"params": {"a": 2}},
        {"inputs": {"data": "k2"}},
        {"code": StageCode(2, "f", locked=True)},
        {"stage": SMOOTH},
        {"stage": make("fake.points", Raw, NewPoints)},
    ],
    ids=["subject", "parameters", "inputs", "code", "stage", "output schema"],
)
def test_everything_that_makes_a_result_is_in_its_key(changes: dict[str, object]) -> None:
    parts = {"stage": POINTS, "code": StageCode(1, "f", locked=True), "subject": {"run": 1}, "params": {"a": 1}, "inputs": {"data": "k1"}}

    assert digest_key(make_recipe(**(parts | changes))) != digest_key(make_recipe(**parts))  # type: ignore[arg-type]


def test_runtime_properties_of_a_stage_are_not_in_its_recipe() -> None:
    recipe = make_recipe(POINTS, StageCode(1, "f", locked=True), None, {}, {})

    assert sorted(recipe) == ["code", "inputs", "params", "recipe", "stage", "subject", "writes"]
