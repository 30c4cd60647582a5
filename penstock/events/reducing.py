"""The reducer: one object of the user's class that gets every result, in the order of events."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import PenstockError
from penstock.events._calls import bind, construct
from penstock.events.workers import State
from penstock.stream.models import ResultData
from penstock.stream.parameters import WorkParameter, hash_parameters

__all__ = ["ReducerFailed", "UserReducer"]


class ReducerFailed(PenstockError, RuntimeError):
    """A user's reducer raised; the traceback is that of its code."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.text)


class UserReducer:
    """A user's reducer and how its methods are called.

    Its `timer`, where it has one, follows the times at which events were recorded: it is called before the first result, and then
    before the first event that was recorded the returned number of seconds later. So it runs in the reducer's own thread.
    """

    def __init__(self, cls: type, parameters: Mapping[str, WorkParameter]) -> None:
        self.context: dict[str, Any] = {}
        self._own_lock = threading.RLock()
        self.parameters: dict[str, WorkParameter] = dict(parameters)
        self.user = construct(cls, parameters=self.parameters, context=self.context, state=State("reducer"))
        self._process = bind(self.user.process_result, 1, ("parameters",))
        timer = getattr(self.user, "timer", None)
        self._timer = bind(timer, 0, ("parameters",)) if timer is not None else None
        self._due: int | None = None
        self._hash = hash_parameters(self.parameters)
        self._of: dict[str, WorkParameter] = self.parameters

    @property
    def publish(self) -> Any:
        """The tree that the reducer publishes; None where it has none."""
        return getattr(self.user, "publish", None)

    @property
    def publish_lock(self) -> Any:
        """A context manager that readers of `publish` hold: the user's, or one of ours that is held while the user's code runs."""
        lock = getattr(self.user, "publish_rlock", None)
        return lock if lock is not None else self._own_lock

    @property
    def parameters_hash(self) -> str:
        """Hash of the contents of the parameters in use."""
        if self._of is not self.parameters:
            self._of, self._hash = self.parameters, hash_parameters(self.parameters)
        return self._hash

    def take(self, number: int, worker: str, payload: Any) -> None:
        """Hand one result to the reducer.

        Raises
        ------
        ReducerFailed
            The reducer raised.
        """
        try:
            with self._own_lock:
                self._process(ResultData(number, worker, self.parameters_hash, payload), self.parameters)
        except Exception as error:
            raise ReducerFailed(f"event {number}, reducer: {type(error).__name__}: {error}", traceback.format_exc()) from error

    def tell_time(self, at: int | None) -> None:
        """An event was recorded at this time, in ns since 1970 UTC; the timer runs if it is due."""
        if self._timer is None:
            return
        if self._due is None or (at is not None and at >= self._due):
            self._due = (at or 0) + int(self.run_timer() * 1e9)

    def run_timer(self) -> float:
        """Call the timer now; in how many seconds it wants to be called again.

        Raises
        ------
        ReducerFailed
            The timer raised, or did not return a number.
        """
        assert self._timer is not None
        try:
            with self._own_lock:
                return float(self._timer(self.parameters))
        except Exception as error:
            raise ReducerFailed(f"reducer, timer: {type(error).__name__}: {error}", traceback.format_exc()) from error

    @property
    def has_timer(self) -> bool:
        """Whether the reducer has a timer."""
        return self._timer is not None

    def finish(self) -> None:
        """Tell the reducer that there are no more results.

        Raises
        ------
        ReducerFailed
            Its ``finish`` raised.
        """
        self._end("finish", "parameters", self.parameters)

    def close(self) -> None:
        """Let the reducer give back what it holds."""
        self._end("close", "context", self.context)

    def _end(self, name: str, offered: str, value: Any) -> None:
        method = getattr(self.user, name, None)
        if method is None:
            return
        try:
            with self._own_lock:
                bind(method, 0, (offered,))(value)
        except Exception as error:
            raise ReducerFailed(f"reducer, {name}: {type(error).__name__}: {error}", traceback.format_exc()) from error
