"""The flow `prune`: move what nothing refers to to the trash of a store, and show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field, model_validator

from penstock.config import load_experiment
from penstock.store import Garbage, Store, collect, empty_trash, find_garbage
from penstock_flows.process import absolute

__all__ = ["PruneRequest", "garbage_table", "prune", "run_name"]

_MB = 1e6
_MOST_ROWS = 500
"""A table of more rows is of no use to a person, and heavy in Prefect's database."""


class PruneRequest(BaseModel):
    """Which store to clean, and how far."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    experiment: str = Field(default="", title="Experiment")
    """Path of experiment.toml, or of the folder that holds it, whose store is cleaned. Or name the store itself."""

    store: str = Field(default="", title="Store")
    """Folder of the store, where no experiment is named."""

    spare_hours: Annotated[float, Field(ge=0.0)] = Field(default=720.0, title="Spare [h]")
    """Younger results are spared, so that a parameter may be set back for a while without computing (at least 0; default 720)."""

    dry_run: bool = Field(default=False, title="Dry run")
    """Only show what would go."""

    empty_trash: bool = Field(default=False, title="Empty the trash")
    """Afterwards remove for good what lies in the trash."""

    @model_validator(mode="after")
    def _names_one_place(self) -> PruneRequest:
        if bool(self.experiment) == bool(self.store):
            raise ValueError(f"name an experiment or a store, one of both; found experiment {self.experiment!r} and store {self.store!r}")
        return self

    @property
    def place(self) -> str:
        """The experiment or the store."""
        return self.experiment or self.store


def run_name() -> str:
    """The name of the flow run that begins: ``prune /data/e20009/experiment.toml``."""
    request = PruneRequest.model_validate(flow_run.parameters["request"])
    return f"prune {request.place}{', dry run' if request.dry_run else ''}"


def garbage_table(garbage: Sequence[Garbage]) -> list[dict[str, str]]:
    """A row for each folder, the largest first; those beyond what a person reads share the last row."""
    largest = sorted(garbage, key=lambda item: -item.size)
    rows = [{"artifact": item.key.short, "what": item.what, "MB": f"{item.size / _MB:.2f}"} for item in largest[:_MOST_ROWS]]
    if rest := largest[_MOST_ROWS:]:
        rows.append({"artifact": f"and {len(rest)} more", "what": "–", "MB": f"{sum(item.size for item in rest) / _MB:.2f}"})
    return rows


@flow(name="prune", flow_run_name=run_name, persist_result=False, retries=0)
def prune(request: PruneRequest) -> State[Any]:
    """Move what no name, claim or younger result needs to the trash of the store, and show it in a table.

    Nothing is removed for good unless `empty_trash` says so: what lies in the trash can be moved back.
    """
    with _open(request) as store:
        garbage = find_garbage(store, spare_s=request.spare_hours * 3600.0)
        if not request.dry_run:
            garbage = collect(store, garbage)
        removed = empty_trash(store) if request.empty_trash and not request.dry_run else 0
    size = sum(item.size for item in garbage) / _MB
    said = f"{len(garbage)} folders, {size:.2f} MB, {'would go' if request.dry_run else 'went'} to the trash"
    said += f"; {removed} removed from it for good" if removed else ""
    create_table_artifact(garbage_table(garbage), key="prune", description=f"{request.place}: {said}.")
    get_run_logger().info("%s: %s", request.place, said)
    return Completed(message=said)


def _open(request: PruneRequest) -> Store:
    if request.store:
        return Store(Path(request.store), create=False)
    experiment = load_experiment(absolute(request.experiment))
    return experiment.open_store()
