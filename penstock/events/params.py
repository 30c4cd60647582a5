"""Parameters of the stages of the family ``events``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from penstock.core.params import Params

__all__ = ["MapReduceParams"]

_CLASS = r"^$|^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class MapReduceParams(Params):
    """A user's worker and reducer over every event of a run."""

    worker: str = Field(default="", pattern=_CLASS)
    """Class with ``process_event``, as 'src.worker:TestWorker', found from the folder of experiment.toml."""

    reducer: str = Field(default="", pattern=_CLASS)
    """Class with ``process_result``, as 'src.reducer:TestReducer'."""

    nworkers: PositiveInt = 2
    """Virtual workers: objects of the worker's class, among which events are shared out by number."""

    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Values of the parameters that worker and reducer describe, by name."""

    parameters_file: str = ""
    """File of parameters, JSON or CBOR, relative to experiment.toml; `parameters` go before it. Its content stands in the key."""

    on_error: Literal["fail", "reject"] = "fail"
    """What becomes of an event whose worker raises: "fail" ends the stage, "reject" counts the event with its reason."""

    given: dict[str, str] = Field(default_factory=dict)
    """Values from `parameters_file`, as base64. Filled in when planning."""

    code: str = ""
    """Fingerprint of the modules of worker and reducer. Filled in when planning."""
