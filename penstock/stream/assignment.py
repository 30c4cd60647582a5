"""Which worker gets which frames: by a trigger map, or by the number of the event alone.

An assignment is a function of the map and of the workers' names, order and tags; nobody's speed enters, so it is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from penstock.core.errors import ConfigError
from penstock.stream.models import EventData
from penstock.stream.trigger_map import Cell, Part, TriggerMap

__all__ = ["Assignment", "assign", "every_event"]


def every_event(n_workers: int) -> Callable[[int], range]:
    """The assignment without a map, for any number of events: event 0 goes to all workers, event n to worker ``(n - 1) % n_workers``.

    Returns
    -------
    A function from the event number to the workers, by index.

    Raises
    ------
    ConfigError
        `n_workers` is below 1.
    """
    if n_workers < 1:
        raise ConfigError(f"assignment: there are {n_workers} workers, at least 1 is needed.")
    everyone, single = range(n_workers), [range(i, i + 1) for i in range(n_workers)]
    return lambda number: everyone if number == 0 else single[(number - 1) % n_workers]


def assign(trigger_map: TriggerMap, workers: Mapping[str, Iterable[str]]) -> Assignment:
    """Bind the virtual workers of a map to workers.

    A worker is eligible where its tags include those that are asked for. For each set of tags that is asked for, the constraints, in order of
    their first appearance (by event, in it by name of the stream, in the cell as written; through all instances of parts), go to the eligible
    workers in turn, in the order of `workers`. Without constraint, all eligible workers get the frame; there may be none.

    Parameters
    ----------
    workers
        Tags of each worker by its name.

    Raises
    ------
    ConfigError
        A constraint asks for tags that no worker has.
    """
    return Assignment(trigger_map, {name: frozenset(tags) for name, tags in workers.items()})


@dataclass(frozen=True, slots=True)
class _Picks:
    """What one part asks for, with its constraints turned into turns.

    A turn is the set of tags, and how many turns of that set came before it in the part; None instead of a count means all.
    """

    events: tuple[tuple[tuple[str, tuple[tuple[frozenset[str], int | None], ...]], ...], ...]
    """By event: streams that have a frame, and their turns."""
    turns: Mapping[frozenset[str], int]
    """How many turns of each set of tags one instance takes."""


class Assignment:
    """A map whose virtual workers are bound; made by `assign`.

    Looking up an event takes the same short time anywhere in the map, and nothing is kept for each event.
    """

    def __init__(self, trigger_map: TriggerMap, workers: Mapping[str, frozenset[str]]) -> None:
        self.trigger_map = trigger_map
        self._picks = {name: _picks_of(part) for name, part in trigger_map.parts.items()}
        wanted = {tags for picks in self._picks.values() for event in picks.events for _, turns in event for tags, _ in turns}
        self._eligible = {tags: tuple(name for name, has in workers.items() if tags <= has) for tags in wanted}
        for tags in sorted(wanted, key=sorted):
            if not self._eligible[tags] and any(tags in picks.turns for picks in self._picks.values()):
                there = ", ".join(f"{name!r} ({', '.join(sorted(has)) or 'no tags'})" for name, has in workers.items()) or "none"
                raise ConfigError(f"assignment: the trigger map wants a worker with the tags {', '.join(sorted(tags))}, there are {there}.")
        self._taken: list[Mapping[frozenset[str], int]] = []
        taken: dict[frozenset[str], int] = {}
        for place in range(trigger_map.n_runs):
            self._taken.append(taken)
            name, repeats = trigger_map.run(place)
            taken = taken | {tags: taken.get(tags, 0) + repeats * n for tags, n in self._picks[name].turns.items()}

    def workers_of(self, number: int) -> dict[str, tuple[str, ...]]:
        """Sorted names of the workers that get an event's frames, by stream: nobody where it is discarded; streams without a frame are absent.

        Raises
        ------
        ConfigError
            The map has no such event.
        """
        place, instance, local = self.trigger_map.locate(number)
        picks = self._picks[self.trigger_map.run(place)[0]]
        taken = self._taken[place]
        workers = {}
        for stream, turns in picks.events[local]:
            names: set[str] = set()
            for tags, rank in turns:
                eligible = self._eligible[tags]
                if rank is None:
                    names.update(eligible)
                else:
                    names.add(eligible[(taken.get(tags, 0) + instance * picks.turns[tags] + rank) % len(eligible)])
            workers[stream] = tuple(sorted(names))
        return workers

    def split(self, event: EventData) -> dict[str, EventData]:
        """What each worker gets of an event, by its name, sorted; streams that the event lacks are left out."""
        shares: dict[str, EventData] = {}
        for stream, names in self.workers_of(event.event_number).items():
            if stream in event.streams:
                for name in names:
                    share = shares.setdefault(name, EventData(event.event_number, {}, event.created_at))
                    share.streams[stream] = event.streams[stream]
        return dict(sorted(shares.items()))


def _picks_of(part: Part) -> _Picks:
    turns: dict[frozenset[str], int] = {}
    bound: dict[int, tuple[frozenset[str], int]] = {}

    def turns_of(cell: Cell) -> Iterable[tuple[frozenset[str], int | None]]:
        for worker in cell or ():
            if worker.constraint is None:
                yield worker.tags, None
                continue
            if worker.constraint not in bound:
                bound[worker.constraint] = (worker.tags, turns.get(worker.tags, 0))
                turns[worker.tags] = turns.get(worker.tags, 0) + 1
            yield bound[worker.constraint]

    events = tuple(
        tuple((stream, tuple(turns_of(column[local]))) for stream, column in part.cells.items() if column[local] is not None)
        for local in range(part.length)
    )
    return _Picks(events, turns)
