"""Starts the parts, watches them, starts again what dies, and ends them all in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from penstock.core.canonical import Json
from penstock_flows.up._errors import PartFailed
from penstock_flows.up._home import Home
from penstock_flows.up._part import Part, Process
from penstock_flows.up._runs import cancel_runs, settle_runs
from penstock_flows.up._site import Addresses

__all__ = ["Supervisor"]

START_S = 180.0
"""A cold machine may take so long until all answers, in seconds."""
LOOK_S = 0.2
"""How often processes are looked at, in seconds."""
ASK_S = 5.0
"""How often parts are asked whether they are well, in seconds."""
ILL_S = 60.0
"""A part that runs but does not answer for so long is ended and started again, in seconds."""
MEMORY_S = 300.0
DEATHS = 5
"""So many deaths within `MEMORY_S` seconds, and everything is stopped."""
LONGEST_PAUSE_S = 16.0


class Supervisor:
    """All parts of one home. To be used from the main thread.

    Parameters
    ----------
    say
        Takes a line for the user.
    stopped
        Whether the user wants it to end.
    """

    def __init__(
        self, home: Home, addresses: Addresses, parts: Sequence[Part], say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> None:
        self._home = home
        self._addresses = addresses
        self._processes = [Process(part) for part in parts]
        self._say = say
        self._stopped = stopped
        self._next_ask = 0.0

    def start(self) -> bool:
        """Start everything at once and wait until all is ready; False where the user stopped it meanwhile.

        Raises
        ------
        PartFailed
            A part ended, or took too long.
        """
        began = time.monotonic()
        for process in self._processes:
            process.start()
        waiting = list(self._processes)
        while waiting:
            for process in list(waiting):
                if process.part.is_ready():
                    process.ready = True
                    waiting.remove(process)
                    self._say(f"{process.part.name}: ready after {time.monotonic() - began:.1f} s")
                elif not process.runs:
                    raise PartFailed(_ended(process))
            if self._stopped():
                return False
            if waiting and time.monotonic() - began > START_S:
                raise PartFailed(f"{waiting[0].part.name} did not answer within {START_S:.0f} s.{_log(waiting[0])}")
            time.sleep(LOOK_S)
        return True

    def watch(self) -> None:
        """Keep everything running until the user stops it.

        Raises
        ------
        PartFailed
            A part died again and again.
        """
        while not self._stopped():
            for process in self._processes:
                self._look(process)
            if time.monotonic() >= self._next_ask:
                for process in self._processes:
                    self._ask(process)
                self._next_ask = time.monotonic() + ASK_S
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """End everything: flow runs first, while somebody can still take note of them; the server last."""
        server, *others = self._processes
        if server.ready and server.runs:
            self._tell(cancel_runs)
        for process in others:
            process.ask_to_end()
        for process in reversed(others):
            process.end()
        if server.ready and server.runs:
            self._tell(settle_runs)
        server.ask_to_end()
        server.end()
        self._home.sweep()

    def kill(self) -> None:
        """End everything at once."""
        for process in self._processes:
            process.kill()
        self._home.sweep(0.0)

    def as_json(self) -> dict[str, Json]:
        """Process and log file of each part that stays."""
        staying = [process for process in self._processes if not process.part.ends]
        return {process.part.name: {"pid": process.pid, "log": str(process.part.log)} for process in staying}

    def _tell(self, what: Callable[[str], int]) -> None:
        try:
            if count := what(self._addresses.api):
                self._say(f"cancelled {count} flow run{'s' if count > 1 else ''}")
        except OSError as error:
            self._say(f"the Prefect server did not take the end of the flow runs: {error}")

    def _look(self, process: Process) -> None:
        """Start it again when it has died, a little later each time."""
        part, now = process.part, time.monotonic()
        if process.due is not None:
            if now >= process.due:
                process.start()
            return
        if process.runs or part.ends:
            return
        process.deaths = [when for when in process.deaths if now - when < MEMORY_S] + [now]
        if len(process.deaths) >= DEATHS:
            raise PartFailed(
                f"{_ended(process)} That was the {DEATHS}th time within {MEMORY_S / 60:.0f} minutes, so everything is stopped."
            )
        process.kill()
        pause = min(LONGEST_PAUSE_S, 2.0 ** (len(process.deaths) - 1))
        process.due = now + pause
        self._say(f"{part.name} ended with code {process.code}; it is started again in {pause:.0f} s. Log: {part.log}")

    def _ask(self, process: Process) -> None:
        """Tell when it is back; end it when it has not answered for long."""
        part, now = process.part, time.monotonic()
        if not process.runs or part.ends or (process.ready and not part.stays_well):
            return
        if part.is_ready():
            process.well = now
            if not process.ready:
                self._say(f"{part.name}: ready again")
            process.ready = True
        elif now - process.well > (ILL_S if process.ready else START_S):
            self._say(f"{part.name} runs but has not answered for {now - process.well:.0f} s: ended. Log: {part.log}")
            process.kill()


def _ended(process: Process) -> str:
    return f"{process.part.name} ended with code {process.code}.{_log(process)}"


def _log(process: Process) -> str:
    words = process.last_words()
    return f" The end of {process.part.log}:\n{words}\n" if words else f" Its log {process.part.log} is empty."
