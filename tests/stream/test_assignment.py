from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ConfigError
from penstock.stream.assignment import Assignment, assign, every_event
from penstock.stream.models import EventData, StreamData
from penstock.stream.trigger_map import GENERIC, Cell, TriggerMap, VirtualWorker


def worker(constraint: int | None = None, *tags: str) -> VirtualWorker:
    return VirtualWorker(constraint, frozenset(tags) or GENERIC)


def to(*constraints: int) -> Cell:
    return tuple(worker(constraint) for constraint in constraints)


def generic(n: int) -> dict[str, list[str]]:
    return {f"w{i}": ["generic"] for i in range(n)}


def single(**cells: Sequence[Cell]) -> TriggerMap:
    return TriggerMap({"main": cells}, ["main"])


def rows(assignment: Assignment) -> list[dict[str, tuple[str, ...]]]:
    return [assignment.workers_of(n) for n in range(len(assignment.trigger_map))]


def test_constraints_go_to_workers_in_turn() -> None:
    found = rows(assign(single(a=[to(i) for i in range(5)]), generic(3)))

    assert [row["a"] for row in found] == [("w0",), ("w1",), ("w2",), ("w0",), ("w1",)]


def test_one_constraint_is_one_worker_over_streams_and_events() -> None:
    found = rows(assign(single(a=[to(7), to(8), to(7)], b=[to(8), to(7), to(8)]), generic(2)))

    assert found == [{"a": ("w0",), "b": ("w1",)}, {"a": ("w1",), "b": ("w0",)}, {"a": ("w0",), "b": ("w1",)}]


def test_events_in_batches_go_to_one_worker_a_batch() -> None:
    found = rows(assign(single(a=[to(i // 10) for i in range(40)]), generic(4)))

    assert [row["a"][0] for row in found] == [f"w{i // 10}" for i in range(40)]


def test_a_repeated_part_goes_on_in_turn() -> None:
    found = rows(assign(TriggerMap({"p": {"a": [to(0), to(1)]}}, ["p"] * 3), generic(3)))

    assert [row["a"][0] for row in found] == ["w0", "w1", "w2", "w0", "w1", "w2"]


def test_no_frame_a_frame_for_nobody_and_a_frame_for_several_are_told_apart() -> None:
    found = rows(assign(single(a=[None, (), to(0, 1)], b=[to(0), None, None]), generic(2)))

    assert found == [{"b": ("w0",)}, {"a": ()}, {"a": ("w0", "w1")}]


def test_only_workers_with_the_tags_are_eligible() -> None:
    workers = {"plain": ["generic"], "fast": ["generic", "gpu"], "watch": ["debug"]}
    trigger_map = single(a=[(worker(0, "gpu"),), to(1), (worker(2, "generic", "gpu"), worker(None, "debug")), to(3)])

    found = rows(assign(trigger_map, workers))

    assert [row["a"] for row in found] == [("fast",), ("plain",), ("fast", "watch"), ("fast",)]


def test_the_tags_of_a_constraint_are_those_of_its_first_appearance() -> None:
    trigger_map = single(a=[(worker(0, "gpu"),), (worker(0, "generic"),)])

    assert [row["a"] for row in rows(assign(trigger_map, {"plain": ["generic"], "fast": ["gpu"]}))] == [("fast",), ("fast",)]


def test_without_constraint_all_workers_with_the_tags_get_the_frame_once() -> None:
    workers = {"plain": ["generic"], "both": ["generic", "debug"], "watch": ["debug"]}
    trigger_map = single(a=[(worker(None),), (worker(None), worker(None, "debug"), worker(0))])

    assert [row["a"] for row in rows(assign(trigger_map, workers))] == [("both", "plain"), ("both", "plain", "watch")]


def test_nobody_need_have_the_tags_of_a_frame_for_all() -> None:
    assert rows(assign(single(a=[(worker(None, "debug"), worker(0))]), generic(1))) == [{"a": ("w0",)}]


def test_a_constraint_that_no_worker_can_have_is_refused() -> None:
    message = r"^assignment: the trigger map wants a worker with the tags generic, gpu, there are 'w0' \(generic\), 'x' \(no tags\)\.$"
    with pytest.raises(ConfigError, match=message):
        assign(single(a=[(worker(0, "gpu", "generic"),)]), {"w0": ["generic"], "x": []})
    with pytest.raises(ConfigError, match=r"with the tags generic, there are none\."):
        assign(single(a=[to(0)]), {})


def test_start_and_end_go_to_every_worker() -> None:
    found = rows(assign(TriggerMap.uniform(["a", "b"], 3), generic(2)))

    assert found[0] == found[4] == {"a": ("w0", "w1"), "b": ("w0", "w1")}
    assert [row["a"] for row in found[1:4]] == [("w0",), ("w1",), ("w0",)]


def test_an_event_far_into_a_long_sequence_has_its_workers() -> None:
    long = TriggerMap({"p": {"a": [to(i) for i in range(1000)]}, "q": {"a": [to(0)]}}, ["q"] + ["p"] * 980)
    assignment = assign(long.wrapped(), generic(7))

    assert [assignment.workers_of(n)["a"] for n in (1, 2, 500_000, 980_001)] == [
        (f"w{k % 7}",) for k in (0, 1, 499_999, 980_000)
    ]  # fmt: skip


def test_each_worker_gets_its_streams_of_an_event() -> None:
    a, b = StreamData("fake", [b"a"]), StreamData("fake", [b"b"])
    assignment = assign(single(a=[to(0, 1)], b=[to(1)], c=[to(2)]), generic(3))

    shares = assignment.split(EventData(0, {"b": b, "a": a}, created_at=5))

    assert shares == {"w0": EventData(0, {"a": a}), "w1": EventData(0, {"a": a, "b": b})}
    assert shares["w1"].created_at == 5


def test_without_a_map_the_first_event_goes_to_all_and_the_others_in_turn() -> None:
    indices = every_event(3)

    assert [list(indices(n)) for n in (0, 1, 2, 3, 4, 1_000_000)] == [[0, 1, 2], [0], [1], [2], [0], [0]]


def test_at_least_one_worker_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"^assignment: there are 0 workers, at least 1 is needed\.$"):
        every_event(0)


@st.composite
def maps(draw: st.DrawFn) -> TriggerMap:
    tags = st.sampled_from([GENERIC, frozenset(("debug",)), frozenset(("generic", "debug"))])
    cells = st.none() | st.lists(st.builds(VirtualWorker, st.none() | st.integers(0, 4), tags), max_size=3).map(tuple)
    parts = {}
    for name in ("p", "q"):
        length = draw(st.integers(0, 4))
        streams = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
        parts[name] = {stream: draw(st.lists(cells, min_size=length, max_size=length)) for stream in streams}
    return TriggerMap(parts, draw(st.lists(st.sampled_from("pq"), max_size=6)))


@st.composite
def crews(draw: st.DrawFn) -> dict[str, list[str]]:
    names = draw(st.lists(st.sampled_from("vwxyz"), unique=True, max_size=5))
    return {"all": ["generic", "debug"]} | {name: draw(st.lists(st.sampled_from(["generic", "debug"]), unique=True)) for name in names}


def reference(trigger_map: TriggerMap, workers: dict[str, list[str]]) -> list[dict[str, tuple[str, ...]]]:
    """The documented rule, event by event over the expanded map."""
    turns: Counter[frozenset[str]] = Counter()
    found = []
    for name in trigger_map.sequence:
        part, bound = trigger_map.parts[name], {}
        for i in range(part.length):
            row: dict[str, tuple[str, ...]] = {}
            for stream in sorted(part.cells):
                cell = part.cells[stream][i]
                if cell is None:
                    continue
                chosen: set[str] = set()
                for virtual in cell:
                    eligible = [name for name, has in workers.items() if virtual.tags <= set(has)]
                    if virtual.constraint is None:
                        chosen |= set(eligible)
                        continue
                    if virtual.constraint not in bound:
                        bound[virtual.constraint] = eligible[turns[virtual.tags] % len(eligible)]
                        turns[virtual.tags] += 1
                    chosen.add(bound[virtual.constraint])
                row[stream] = tuple(sorted(chosen))
            found.append(row)
    return found


@given(maps(), crews())
@settings(max_examples=150, deadline=None)
def test_lookup_equals_the_documented_rule_taken_event_by_event(trigger_map: TriggerMap, workers: dict[str, list[str]]) -> None:
    assert rows(assign(trigger_map, workers)) == reference(trigger_map, workers)


@given(maps(), crews())
@settings(max_examples=100, deadline=None)
def test_workers_have_the_tags_and_one_constraint_is_one_worker(trigger_map: TriggerMap, workers: dict[str, list[str]]) -> None:
    assignment = assign(trigger_map, workers)

    bound: dict[tuple[int, int, int], set[str]] = {}
    for n in range(len(trigger_map)):
        place, instance, _ = trigger_map.locate(n)
        chosen = assignment.workers_of(n)
        for stream, cell in trigger_map.cells(n).items():
            assert (stream in chosen) == (cell is not None)
            wanted = [virtual for virtual in cell or () if virtual.constraint is None]
            assert {name for name, has in workers.items() for virtual in wanted if virtual.tags <= set(has)} <= set(chosen.get(stream, ()))
            for virtual in cell or ():
                if virtual.constraint is not None and len(cell or ()) == 1:
                    bound.setdefault((place, instance, virtual.constraint), set()).update(chosen[stream])
    assert all(len(names) == 1 for names in bound.values())


@given(st.integers(1, 20), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_a_uniform_map_spreads_events_evenly_and_as_without_a_map(n_events: int, n_workers: int) -> None:
    assignment = assign(TriggerMap.uniform(["a"], n_events), generic(n_workers))
    indices = every_event(n_workers)

    assert [assignment.workers_of(n)["a"] for n in range(n_events + 1)] == [
        tuple(f"w{i}" for i in indices(n)) for n in range(n_events + 1)
    ]  # fmt: skip
