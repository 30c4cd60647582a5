"""The workers and reducers in `workers`, taken through a series by hand: all ways of writing them come to the same."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.events.job import ReplayJob
from penstock.events.reducing import ReducerFailed
from penstock.events.replay import Replay
from penstock.events.workers import ResultNotSent, WorkerFailed

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def reduced(worker: str, reducer: str, *, n_workers: int = 2, images: int = 9, processes: int = 1, **given: bytes) -> Any:
    """The user's reducer after a whole series."""
    from workers.recorded import recorded

    job = ReplayJob(f"workers.{worker}", f"workers.{reducer}", HERE, partial(recorded, images), given, n_workers)
    replay = Replay(job, processes)
    replay.run()
    return replay.reducer.user


def expected_means(till_x: int, from_y: int) -> dict[int, float]:
    from workers.recorded import image

    return {frame + 1: float(image(frame)[:till_x, from_y:].mean()) for frame in range(9)}


@pytest.mark.parametrize("style", ["Named", "Ticking", "Spread", "Bare"])
def test_every_way_of_writing_a_worker_gets_its_parameters(style: str) -> None:
    assert reduced(f"roi:{style}", "roi:Means", till_x=b"3", from_y=b"7").means == expected_means(3, 7)


def test_a_worker_without_a_constructor_has_a_say_in_nothing() -> None:
    assert reduced("roi:Plain", "roi:Means").means == expected_means(2, 8)


def test_state_of_a_worker_holds_the_events_that_its_number_gives_it() -> None:
    one, two = (reduced("stateful:Running", "stateful:Chained", n_workers=n).publish for n in (1, 2))

    assert one["order"] == two["order"] == list(range(1, 10))
    assert one["digest"] != two["digest"]


def test_state_is_the_same_in_two_processes() -> None:
    one, two = (reduced("stateful:Running", "stateful:Chained", n_workers=3, processes=n).publish for n in (1, 2))

    assert one == two


def test_ticks_follow_the_times_at_which_events_were_recorded() -> None:
    payloads = reduced("clocks:EveryEvent", "clocks:Timed", n_workers=1).publish["payloads"]

    assert [int(number) for number, ticked in payloads.items() if ticked] == [0, 5, 10]


def test_a_timer_is_called_before_the_first_result_and_then_after_the_time_that_it_asks_for() -> None:
    for reducer in ("Timed", "OldTimer"):
        reduction = reduced("clocks:EveryEvent", f"clocks:{reducer}", n_workers=1)
        assert reduction.publish["at_calls"] == [0, 5, 10]
        assert reduction.finished


def test_a_timer_that_returns_no_number_is_an_error() -> None:
    with pytest.raises(ReducerFailed, match="reducer, timer: ValueError: could not convert string to float: 'soon'"):
        reduced("clocks:EveryEvent", "clocks:WrongTimer")


def test_a_failing_worker_is_named_with_its_event() -> None:
    with pytest.raises(WorkerFailed, match=re.escape("event 4, replay-worker-1: ZeroDivisionError: no light in event 4")):
        reduced("failing:Fails", "failing:Collects", fails_on=b"4,5")


def test_a_worker_that_cannot_finish_is_named() -> None:
    with pytest.raises(WorkerFailed, match="replay-worker-0, finish: OSError: no room"):
        reduced("failing:FailsToEnd", "failing:Collects")


@pytest.mark.parametrize(("worker", "kind"), [("Locked", "a builtins.dict"), ("Function", "a builtins.function")])
def test_a_result_that_cannot_be_pickled_is_named(worker: str, kind: str) -> None:
    with pytest.raises(ResultNotSent, match=f"event 0, replay-worker-0: the result, {kind}, cannot be pickled"):
        reduced(f"failing:{worker}", "failing:Collects")


@pytest.mark.parametrize(
    ("reducer", "said"), [("CollectsUntil", "event 5, reducer: KeyError: 'x'"), ("CannotFinish", "reducer, finish: OSError: no room")]
)
def test_a_failing_reducer_is_named(reducer: str, said: str) -> None:
    with pytest.raises(ReducerFailed, match=said):
        reduced("failing:Fails", f"failing:{reducer}", fails_on=b"")


def test_a_class_without_the_method_and_a_list_without_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"NoMethod.* has no method"):
        reduced("failing:NoMethod", "failing:Collects")
    with pytest.raises(ConfigError, match="lists 'till_x', which is no parameter"):
        reduced("failing:NotDescribed", "failing:Collects")


def test_what_is_published_holds_all_results() -> None:
    reducer = reduced("published:Profiles", "published:Published")

    with reducer.publish_rlock:
        published = reducer.publish
        assert published["profiles"]["sum"].shape == (9, 10)
        assert published["last event"] == 9
    from workers.recorded import image

    assert np.array_equal(published["profiles"]["sum"][8], image(8).sum(axis=0))


def test_big_results_arrive_whole() -> None:
    published = reduced("big:Big", "big:Sums", images=3, megabytes=b"1").publish

    assert published == {"sum": 0 + 0 + 1 + 2 + 3 + 4, "bytes": 6 << 20}


def test_the_source_gives_two_streams() -> None:
    from workers.recorded import Source

    xrd, saxs = (list(generator) for generator in Source().get_source_generators())

    assert [e.event_number for e in xrd] == [e.event_number for e in saxs] == list(range(11))
    assert saxs[0].streams.keys() == {"saxs"}
