"""The contract suite, on stages that keep the laws and on stages that break them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from toybench import make_groups, make_hits
from toyline import plugin, wholes
from toyline.raw import ToyRun, write_run
from toyline.schemas import Groups, Hits
from toyline.wholes import Curve, CurveParams, Tally

from penstock.core.params import Params
from penstock.core.schema import Records, Rejection
from penstock.core.stage import RunSource
from penstock.testing import PartsContract, RunStageContract, StageContract, TableContract, explain_difference


class TestHits(StageContract):
    stage = plugin.hits

    @pytest.fixture(autouse=True)
    def _run(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._path = write_run(tmp_path_factory.mktemp("raw"), 1, 9, {3: "bad:noise"})

    def inputs(self) -> Mapping[str, Records]:
        return {"raw": ToyRun(self._path).read(0, 9)}


class TestGroups(StageContract):
    stage = plugin.groups

    def inputs(self) -> Mapping[str, Records]:
        hits = make_hits(12)
        hits.rejections = [Rejection(2, "noise")]
        part = Hits.concatenate([hits.part(0, 2), _rejected(), hits.part(3, 12)])
        return {"hits": part}


class TestSummary(StageContract):
    stage = plugin.summary

    def inputs(self) -> Mapping[str, Records]:
        return {"groups": make_groups(12)}


class TestStrict(TestSummary):
    stage = plugin.strict


class TestCalibrated(StageContract):
    stage = wholes.calibrated

    def inputs(self) -> Mapping[str, Records]:
        return {"hits": make_hits(7)}

    def whole(self) -> Mapping[str, Records]:
        return {"curve": wholes.make_curve(range(10), CurveParams())}


class TestCurve(TableContract):
    stage = wholes.curve


class TestTally(RunStageContract):
    stage = wholes.tally

    @pytest.fixture(autouse=True)
    def _run(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._path = write_run(tmp_path_factory.mktemp("raw"), 1, 9, {})

    def source(self) -> RunSource:
        return RunSource(1, {"text": self._path}, {}, lambda: ToyRun(self._path))


def _rejected() -> Hits:
    empty = Hits.empty(1)
    empty.rejections = [Rejection(0, "noise")]
    return empty


def remember(hits: Hits, params: Params) -> Hits:
    """A body that looks at the whole block."""
    columns = {**hits.columns, "hits": {**hits["hits"], "value": hits["hits"]["value"] + hits["hits"]["value"].sum()}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets)


def roll_dice(hits: Hits, params: Params) -> Hits:
    """A body with randomness of its own."""
    noise = np.random.default_rng().random(hits["hits"]["value"].size).astype("f4")
    return Hits(n_events=hits.n_events, columns={**hits.columns, "hits": {**hits["hits"], "value": noise}}, offsets=hits.offsets)


def spoil(hits: Hits, params: Params) -> Hits:
    """A body that changes its input."""
    hits["hits"]["value"][:] *= 2
    return Hits(n_events=hits.n_events, columns=hits.columns, offsets=hits.offsets)


def forget_column(hits: Hits, params: Params) -> Hits:
    """A body whose rows are not as many as its offsets say."""
    columns = {**hits.columns, "hits": {**hits["hits"], "charge": hits["hits"]["charge"][:-1]}}
    return Hits(n_events=hits.n_events, columns=columns, offsets=hits.offsets)


def drop_event(hits: Hits, params: Params) -> Hits:
    """A body that loses an event."""
    return hits.part(0, hits.n_events - 1)


def reject_with_rows(hits: Hits, params: Params) -> Hits:
    """A body that rejects an event and keeps its rows."""
    index = int(np.argmax(np.diff(hits.offsets["hits"]))) if hits.n_events else 0
    return Hits(n_events=hits.n_events, columns=hits.columns, offsets=hits.offsets, rejections=[Rejection(index, "noise")])


def contract_of(body: str) -> StageContract:
    class Broken(StageContract):
        stage = dataclasses.replace(plugin.scaled, body=f"{__name__}:{body}")

        def inputs(self) -> Mapping[str, Records]:
            return {"hits": make_hits(9)}

        def compute(self, inputs: Mapping[str, Records]) -> Records:
            records: Records = globals()[body](**inputs, params=self.params())
            return records

    return Broken()


@pytest.mark.parametrize(
    ("body", "law"),
    [
        ("remember", "test_an_event_gives_the_same_bits_alone_and_in_a_block"),
        ("remember", "test_blocks_of_any_size_merge_to_the_same_bits"),
        ("roll_dice", "test_the_same_input_gives_the_same_bits_again"),
        ("spoil", "test_the_input_is_left_as_it_was"),
        ("forget_column", "test_the_output_follows_its_schema"),
        ("drop_event", "test_there_is_one_record_an_event"),
        ("reject_with_rows", "test_rejected_events_have_no_rows"),
    ],
)
def test_a_stage_that_breaks_a_law_is_found(body: str, law: str) -> None:
    with pytest.raises(AssertionError):
        getattr(contract_of(body), law)()


def look_at_first(positions: range, params: CurveParams) -> Curve:
    """A body whose rows depend on where their block begins."""
    made = wholes.make_curve(positions, params)
    return Curve(n_events=made.n_events, columns={"events": {**made["events"], "x": made["events"]["x"] - positions.start}})


def add_row(positions: range, params: CurveParams) -> Curve:
    """A body that makes a row too many."""
    return wholes.make_curve(range(positions.start, positions.stop + 1), params)


@pytest.mark.parametrize(
    ("body", "law"),
    [
        ("look_at_first", "test_any_split_of_the_rows_gives_the_same_bits"),
        ("look_at_first", "test_a_row_gives_the_same_bits_alone"),
        ("add_row", "test_there_are_as_many_rows_as_are_counted"),
    ],
)
def test_a_table_that_breaks_a_law_is_found(body: str, law: str) -> None:
    class Broken(TableContract):
        stage = dataclasses.replace(wholes.curve, body=f"{__name__}:{body}")

    with pytest.raises(AssertionError):
        getattr(Broken(), law)()


def count_runs(source: RunSource, params: Params) -> Tally:
    """A body that makes two of a run."""
    return Tally.empty(2)


def roll_dice_for_run(source: RunSource, params: Params) -> Tally:
    """A body with randomness of its own."""
    values = np.random.default_rng().integers(0, 1 << 60, 1)
    empty = Tally.empty(1)
    offsets = {**empty.offsets, "totals": np.array([0, 1])}
    return Tally(n_events=1, columns={**empty.columns, "totals": {"values": values}}, offsets=offsets)


@pytest.mark.parametrize(
    ("body", "law"),
    [("count_runs", "test_the_run_is_one_record"), ("roll_dice_for_run", "test_the_same_input_gives_the_same_bits_again")],
)
def test_a_stage_of_a_run_that_breaks_a_law_is_found(body: str, law: str) -> None:
    class Broken(RunStageContract):
        stage = dataclasses.replace(wholes.tally, body=f"{__name__}:{body}")

        def source(self) -> RunSource:
            return RunSource(1, {}, {}, lambda: ToyRun("nothing"))

    with pytest.raises(AssertionError):
        getattr(Broken(), law)()


class TestSummed(PartsContract):
    stage = wholes.summed

    @pytest.fixture(autouse=True)
    def _run(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._path = write_run(tmp_path_factory.mktemp("raw"), 1, 15, {})

    def source(self) -> RunSource:
        return RunSource(1, {"text": self._path}, {}, lambda: ToyRun(self._path))


def forget_parts(source: RunSource, parts: Sequence[Path], folder: Path, params: Params) -> wholes.Report:
    """A finish that uses its parts up."""
    (folder / "sums.txt").write_text("".join((p / "sum.txt").read_text() for p in parts if (p / "sum.txt").exists()))
    for part in parts:
        (part / "sum.txt").unlink(missing_ok=True)
    return wholes.Report.empty(1)


def number_calls(source: RunSource, parts: Sequence[Path], folder: Path, params: Params) -> wholes.Report:
    """A finish that remembers earlier calls."""
    _CALLS.append(1)
    (folder / "sums.txt").write_text(str(len(_CALLS)))
    return wholes.Report.empty(1)


_CALLS: list[int] = []


@pytest.mark.parametrize(
    ("finish", "law"),
    [
        ("forget_parts", "test_parts_are_left_as_they_were"),
        ("number_calls", "test_the_same_input_gives_the_same_bytes_again"),
        ("number_calls", "test_parts_can_be_computed_in_any_order"),
    ],
)
def test_a_stage_of_parts_that_breaks_a_law_is_found(finish: str, law: str, tmp_path: Path) -> None:
    class Broken(PartsContract):
        stage = dataclasses.replace(wholes.summed, finish=f"{__name__}:{finish}")

        def source(self) -> RunSource:
            path = write_run(tmp_path / "raw", 1, 15, {})
            return RunSource(1, {"text": path}, {}, lambda: ToyRun(path))

    with pytest.raises(AssertionError):
        getattr(Broken(), law)(tmp_path)


def spoil_curve(hits: Hits, curve: Curve, params: Params) -> Hits:
    """A body that changes what is given whole."""
    curve["events"]["x"][:] = 0
    return hits


def test_a_stage_that_spoils_what_it_gets_whole_is_found() -> None:
    class Broken(TestCalibrated):
        stage = dataclasses.replace(wholes.calibrated, body=f"{__name__}:spoil_curve")

    with pytest.raises(AssertionError):
        Broken().test_the_input_is_left_as_it_was()


def test_a_contract_of_a_run_without_one_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"says which run to try the stage on: def source\(self\)"):
        RunStageContract().source()


def test_a_contract_without_events_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"says which events to try the stage on: def inputs\(self\)"):
        StageContract().inputs()


def test_a_difference_is_named_by_its_column() -> None:
    one, other = make_groups(5), make_groups(5)
    other["groups"]["centre"][1] += 1e-16 + 1.0

    assert explain_difference(one, other) == "column groups.centre"
    assert explain_difference(one, make_groups(4)) == "5 events and 4 events"
    assert explain_difference(one, make_groups(5, seed=1)) == "rows of table 'groups'"
    assert explain_difference(one, one) == ""
    assert Groups.schema_id() == "toy.groups/1"
