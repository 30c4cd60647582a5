"""Reductions as stages: a run is cut into blocks of events, each is reduced on its own, and their states are folded in order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from penstock.core.errors import BadEvent, RunCancelled
from penstock.core.params import Params
from penstock.core.schema import Rejection
from penstock.core.stage import RunSource
from penstock.events.reduction_params import FieldSelection
from penstock.events.reductions.base import InPieces, Layout, Reduction, State, fold
from penstock.events.reductions.nexus import write_tree
from penstock.events.reductions.runs import OpenRun, open_run
from penstock.events.reductions.selection import Selector, select
from penstock.events.schemas import ReducedStreams

__all__ = ["BLOCK", "FILE", "Blocks", "load_state", "save_state"]

BLOCK = 256
"""Events of a block."""
FILE = "reduced.h5"
"""Name of the file in the artifact."""

P = TypeVar("P", bound=Params)


class Blocks(Generic[P]):
    """The three bodies of a stage with ``unit="parts"`` that reduces a run.

    Parameters
    ----------
    selections
        What is taken from events.
    build
        The reduction of values of these layouts; it also gets the number of events in the run.
    """

    def __init__(
        self,
        selections: Callable[[P], tuple[FieldSelection, ...]],
        build: Callable[[P, tuple[Layout, ...], int], Reduction],
    ) -> None:
        self._selections = selections
        self._build = build

    def count(self, source: RunSource, params: P) -> int:
        """Blocks of the run.

        Raises
        ------
        ConfigError
            The selection does not fit the data, or other parameters do not.
        BadRun
            No event has what is selected.
        """
        run, _, _ = self._prepare(source, params)
        return math.ceil(run.n_events / BLOCK)

    def reduce(self, source: RunSource, part: int, folder: Path, params: P) -> None:
        """Reduce one block and write its state. Damaged events are noted with their reasons."""
        run, selectors, reduction = self._prepare(source, params)
        start, stop = part * BLOCK, min((part + 1) * BLOCK, run.n_events)
        parsers = run.parsers_at(start, tuple(s.stream for s in selectors))
        state = reduction.zero()
        used, rejected = 0, []
        for position in range(start, stop):
            try:
                event = select(selectors, run.event(position), position, parsers)
            except BadEvent as error:
                rejected.append((position, str(error)))
                continue
            if event is not None:
                state = reduction.add(state, event)
                used += 1
        save_state(folder, reduction.merge(reduction.zero(), state))
        (folder / "told.json").write_text(json.dumps({"used": used, "rejected": rejected}))

    def finish(self, source: RunSource, parts: Sequence[Path], folder: Path, params: P) -> ReducedStreams:
        """Fold the states of all blocks, in order, and write the result; the events of the run, with those that were damaged.

        Raises
        ------
        RunCancelled
            The stage was told to stop.
        """
        run, _, reduction = self._prepare(source, params)
        told = [json.loads((part / "told.json").read_text()) for part in parts]

        def states() -> Iterator[State]:
            for part in parts:
                if source.stop():
                    raise RunCancelled(f"run {source.run}: cancelled")
                yield load_state(part)

        tree = reduction.finish_pieces(states) if isinstance(reduction, InPieces) else reduction.finish(fold(reduction, states()))
        used = sum(one["used"] for one in told)
        rejections = [Rejection(int(position), str(reason)) for one in told for position, reason in one["rejected"]]
        first = next(iter(tree.values()))
        facts = {"run": source.run, "events": run.n_events, "events_used": used, "events_rejected": len(rejections)}
        write_tree(folder / FILE, tree, f"run {source.run}: {first.title}", facts)
        result = ReducedStreams.empty(run.n_events)
        result.rejections = rejections
        return result

    def _prepare(self, source: RunSource, params: P) -> tuple[OpenRun, tuple[Selector, ...], Reduction]:
        run = open_run(source)
        selections = tuple(run.with_stream(selection) for selection in self._selections(params))
        layouts = run.layouts(selections)
        selectors = tuple(Selector(s, layout) for s, layout in zip(selections, layouts, strict=True))
        return run, selectors, self._build(params, layouts, run.n_events)


def save_state(folder: Path, state: State) -> None:
    """Write each array of a state as a file of its own, which can be mapped."""
    for name, array in state.items():
        np.save(folder / f"{name}.npy", np.asarray(array), allow_pickle=False)


def load_state(folder: Path) -> State:
    """A saved state; its arrays are mapped, not read."""
    return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
