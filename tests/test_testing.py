"""The contract suite, on stages that keep the laws and on stages that break them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
from toybench import make_groups, make_hits
from toyline import plugin
from toyline.raw import ToyRun, write_run
from toyline.schemas import Groups, Hits

from penstock.core.params import Params
from penstock.core.schema import Records, Rejection
from penstock.testing import StageContract, explain_difference


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
        ("roll_dice", "test_the_same_events_give_the_same_bits_again"),
        ("spoil", "test_the_input_is_left_as_it_was"),
        ("forget_column", "test_the_output_follows_its_schema"),
        ("drop_event", "test_there_is_one_record_an_event"),
        ("reject_with_rows", "test_rejected_events_have_no_rows"),
    ],
)
def test_a_stage_that_breaks_a_law_is_found(body: str, law: str) -> None:
    with pytest.raises(AssertionError):
        getattr(contract_of(body), law)()


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
