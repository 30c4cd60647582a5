"""The flow `prune` on a real Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from pydantic import ValidationError
from toybench import ToyExperiment

from penstock.core.canonical import digest_key
from penstock.store import Garbage
from penstock_flows.prune import PruneRequest, garbage_table, prune

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

LEFT = digest_key({"an": "attempt that nobody finished"})


@pytest.fixture
def littered(toy: ToyExperiment) -> ToyExperiment:
    """A store with one result that a name refers to, and the leavings of an attempt."""
    toy.write_run(1, 4)
    toy.run(stages=("toy.hits",))
    left = toy.store.home(LEFT) / "attempt" / "blocks"
    left.mkdir(parents=True)
    (left / "0.h5").write_bytes(b"." * 1_000_000)
    return toy


def run(**fields: Any) -> State[Any]:
    state: State[Any] = prune(PruneRequest(**fields), return_state=True)
    return state


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "name an experiment or a store, one of both; found experiment '' and store ''"),
        ({"experiment": "a", "store": "b"}, "found experiment 'a' and store 'b'"),
        ({"store": "b", "spare_hours": -1}, "greater than or equal to 0"),
        ({"store": "b", "all": True}, "Extra inputs are not permitted"),
    ],
    ids=["nothing", "both", "negative", "unknown"],
)
def test_request_refuses_what_makes_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PruneRequest.model_validate(fields)


def test_dry_run_shows_what_would_go_and_prune_moves_it_to_the_trash(api: Any, littered: ToyExperiment) -> None:
    home = littered.store.home(LEFT)
    dry = run(store=str(littered.folder / "store"), spare_hours=0, dry_run=True)
    there = home.exists()
    done = run(experiment=str(littered.folder), spare_hours=0)
    (row,) = api.artifacts(done.state_details.flow_run_id)["prune"]
    assert (dry.message, there) == ("1 folders, 1.00 MB, would go to the trash", True)
    assert (done.message, home.exists()) == ("1 folders, 1.00 MB, went to the trash", False)
    assert row == {"artifact": LEFT.short, "what": "attempts without a result", "MB": "1.00"}
    assert littered.plan(stages=("toy.hits",))[0][2] == "current"


def test_young_things_are_spared_and_the_trash_is_emptied_only_when_asked(api: Any, littered: ToyExperiment) -> None:
    spared = run(experiment=str(littered.folder))
    emptied = run(experiment=str(littered.folder), spare_hours=0, empty_trash=True)
    assert spared.message == "0 folders, 0.00 MB, went to the trash"
    assert emptied.message == "1 folders, 1.00 MB, went to the trash; 1 removed from it for good"
    assert list((littered.folder / "store" / "trash").iterdir()) == []


def test_store_that_is_not_there_fails_with_its_name(api: Any, tmp_path: Path) -> None:
    state = run(store=str(tmp_path / "nothing"))
    assert state.is_failed()
    assert f"store {tmp_path / 'nothing'}: there is none" in str(state.message)


def test_table_of_very_many_folders_names_the_largest_and_sums_up_the_rest() -> None:
    rows = garbage_table([Garbage(Path("x"), LEFT, "attempt that did not win", size * 1_000_000) for size in range(503)])
    assert (len(rows), rows[0]["MB"], rows[-1]) == (501, "502.00", {"artifact": "and 3 more", "what": "–", "MB": "3.00"})
