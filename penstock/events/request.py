"""The typed request of a replay: what a person asks for in the Prefect form, on the API or in a script."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from penstock.core.canonical import Key, digest_key

__all__ = ["ReplayRequest"]

_CLASS = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class ReplayRequest(BaseModel):
    """Which captures to replay, through which worker and reducer."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    folder: str
    """Folder of the user's modules; other paths are relative to it."""

    worker: str = Field(pattern=_CLASS)
    """Class with process_event, such as src.worker:TestWorker."""

    reducer: str = Field(pattern=_CLASS)
    """Class with process_result, such as src.reducer:TestReducer."""

    files: list[str] = Field(min_length=1)
    """Captures, one of each ingester; they are joined on event number."""

    nworkers: PositiveInt = 2
    """Virtual workers; part of the result (default 2)."""

    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Values of parameters that worker and reducer describe."""

    parameters_file: str = ""
    """File of parameters, JSON or CBOR; the values above win over it."""

    on_error: Literal["fail", "reject"] = "fail"
    """What becomes of an event whose worker raises: fail ends the replay, reject counts the event (default fail)."""

    name: str = Field(default="replay", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the experiment, under which results are found in the store."""

    store: str = "store"
    """Folder of the artifacts."""

    output: str = ""
    """Folder to copy the reducer's files to, also where they are current; none without."""

    executor: str | None = None
    """inline, local or tcp://host:port of a Dask scheduler (default inline)."""

    workers: PositiveInt | None = None
    """Worker processes of the local executor; all cores without."""

    retry_failed: bool = False
    """Compute again what failed on its content."""

    def key(self) -> Key:
        """A short name for the request: the digest of its content."""
        return digest_key(self.model_dump(mode="json"))
