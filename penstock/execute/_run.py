"""`run`: the whole job, from request to report. A flow may hand in its own way to start steps; the rest is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace

from penstock.config import Experiment, Resources
from penstock.core.errors import RunCancelled
from penstock.core.plan import PlanRow, State
from penstock.execute._events import Quiet, RunReport, StepResult, Watcher
from penstock.execute._executor import Executor, Inline, open_executor
from penstock.execute._lanes import cpu_lanes, place_stages, placed
from penstock.execute._plan import Planner, Request
from penstock.execute._register import Registrar
from penstock.execute._step import POLL_S, Session, compute
from penstock.store import Claims, Store

__all__ = ["Chain", "compute_chain", "compute_next", "prepare", "run", "session"]

Chain = Sequence[PlanRow]
"""The rows of one run, in the order of computing."""


def prepare(experiment: Experiment, store: Store, request: Request, watcher: Watcher) -> list[PlanRow]:
    """Register the runs of a request where needed, then plan it."""
    registrar = Registrar(experiment, store)
    planner = Planner(experiment, store, request, registrar)
    runs = planner.runs
    registered = registrar.registered(runs)
    registrar.register([r for r in runs if r not in registered and registrar.has(r)], watcher.registering)
    rows = planner.plan()
    watcher.planned(rows)
    return rows


@contextmanager
def session(
    experiment: Experiment,
    store: Store,
    rows: Sequence[PlanRow],
    watcher: Watcher,
    stop: threading.Event,
) -> Iterator[Session]:
    """What computing `rows` needs: an executor with the wanted lanes, and claims; nothing is started where all is current."""
    wanted = [row for row in rows if row.key is not None and row.state in (State.MISSING, State.STALE)]
    stages = {row.stage.name: row.stage for row in rows}
    resources = experiment.resources
    lanes = cpu_lanes(experiment.registry.stages.values(), resources)
    executor: Executor = open_executor(resources, lanes) if wanted else Inline()
    try:
        places = place_stages(stages.values(), resources, executor.offers)
        sent = placed({row.stage.name: row.stage for row in wanted}.values(), places)
        executor.preflight(sent)
        executor.compare_versions(sent, experiment.plugins)
        executor.find_folder(store.root, sent)
        with Claims(store.index) as claims:
            permits = threading.Semaphore(2 * executor.slots)
            yield Session(experiment, store, claims, executor, watcher, stop, permits, places)
    finally:
        executor.close()


def compute_chain(rows: Chain, current: Session) -> list[StepResult]:
    """The steps of one run, one after another; what depends on a failed step is skipped."""
    results: dict[str, StepResult] = {}
    for row in rows:
        results[row.stage.name] = result = compute_next(row, results, current)
        current.watcher.ended(result)
    return list(results.values())


def compute_next(row: PlanRow, before: Mapping[str, StepResult], current: Session) -> StepResult:
    """One step of a run, or why it cannot be done.

    Parameters
    ----------
    before
        Results of the earlier steps of the same run, by stage.
    """
    bad = {stage for stage, result in before.items() if result.state in (State.FAILED, State.SKIPPED)}
    broken = next((s for s in current.experiment.pipeline.bindings[row.stage.name].values() if s in bad), None)
    if row.key is None:
        return StepResult(row.run, row.stage.name, None, State.SKIPPED if bad else State.FAILED, error=row.why)
    if broken is not None:
        why = f"run {row.run}: {broken} failed, so {row.stage.name} was not computed"
        return StepResult(row.run, row.stage.name, row.key, State.SKIPPED, error=why)
    return compute(row, current)


def run(
    experiment: Experiment,
    store: Store,
    request: Request,
    *,
    watcher: Watcher | None = None,
    resources: Resources | None = None,
    stop: threading.Event | None = None,
) -> RunReport:
    """Bring every wanted result of a request up to date.

    Parameters
    ----------
    resources
        How to compute, instead of what the experiment says.
    stop
        Set it from anywhere to cancel; what was committed stays.

    Raises
    ------
    RunCancelled
        The stop flag was set.
    ConfigError, LaneMissing, StoreError
        Before anything is computed.
    """
    watcher = watcher or Quiet()
    stop = stop or threading.Event()
    if resources is not None:
        experiment = replace(experiment, resources=resources)
    rows = prepare(experiment, store, request, watcher)
    chains: dict[int, list[PlanRow]] = {}
    for row in rows:
        chains.setdefault(row.run, []).append(row)
    with session(experiment, store, rows, watcher, stop) as current:
        results = _run_chains(list(chains.values()), lambda chain: compute_chain(chain, current), current, stop)
    return RunReport(tuple(result for chain in results for result in chain))


def _run_chains(
    chains: Sequence[Chain], start: Callable[[Chain], list[StepResult]], current: Session, stop: threading.Event
) -> list[list[StepResult]]:
    """Compute chains side by side; this thread only waits, with a time-out, so that it hears of Ctrl-C."""
    if isinstance(current.executor, Inline):
        return [start(chain) for chain in chains]
    with ThreadPoolExecutor(max_workers=min(len(chains), 2 * current.executor.slots), thread_name_prefix="penstock-run") as pool:
        futures: list[Future[list[StepResult]]] = [pool.submit(start, chain) for chain in chains]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    if stop.is_set():
        raise RunCancelled("cancelled; what was committed stays")
    return [future.result() for future in futures]
