from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ConfigError
from penstock.stream.models import StreamData
from penstock.stream.trigger_map import GENERIC, WRAP_PART, Cell, TriggerMap, VirtualWorker


def worker(constraint: int | None = None, *tags: str) -> VirtualWorker:
    return VirtualWorker(constraint, frozenset(tags) or GENERIC)


def to(*constraints: int) -> Cell:
    return tuple(worker(constraint) for constraint in constraints)


def single(**cells: Sequence[Cell]) -> TriggerMap:
    return TriggerMap({"main": cells}, ["main"])


def frames(**n: int) -> dict[str, list[StreamData]]:
    return {stream: [StreamData("fake", [f"{stream}{k}".encode()]) for k in range(count)] for stream, count in n.items()}


def applied(trigger_map: TriggerMap, contributions: Mapping[str, Sequence[StreamData]]) -> dict[int, list[bytes]]:
    events = trigger_map.apply(contributions)
    return {event.event_number: [bytes(data.frames[0]) for data in event.streams.values()] for event in events}


def test_a_stream_that_a_part_leaves_out_has_no_frame_in_it() -> None:
    trigger_map = TriggerMap({"dark": {"a": [to(0)]}, "light": {"b": [to(0), to(1)]}}, ["dark", "light"])

    assert [trigger_map.cells(n) for n in range(3)] == [{"a": to(0), "b": None}, {"a": None, "b": to(0)}, {"a": None, "b": to(1)}]
    assert [trigger_map.cell("b", n) for n in range(3)] == [None, to(0), to(1)]


def test_events_are_those_of_the_parts_in_sequence() -> None:
    trigger_map = TriggerMap({"one": {"a": [to(1)]}, "two": {"a": [to(2), to(3)]}, "none": {}}, ["two", "one", "none", "one", "two"])

    assert [trigger_map.cell("a", n) for n in range(len(trigger_map))] == [to(2), to(3), to(1), to(1), to(2), to(3)]


def test_a_million_events_are_not_expanded() -> None:
    part = {"a": [to(i) for i in range(1000)], "slow": [to(i) if i % 4 == 0 else None for i in range(1000)]}
    sequence = ["main"] * 980
    tracemalloc.start()

    trigger_map = TriggerMap({"main": part}, sequence).wrapped()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (len(trigger_map), trigger_map.n_runs) == (980_002, 3)
    assert trigger_map.event_of("slow", 1) == 1
    assert trigger_map.event_of("slow", 244_998) == 979_989
    assert peak < 500_000


def test_start_and_end_go_to_all_workers_of_each_tag_that_occurs() -> None:
    trigger_map = single(a=[to(0)], b=[(worker(None, "debug"), worker(3))], c=[None]).wrapped()

    everyone = (worker(None, "debug"), worker(None, "generic"))
    assert len(trigger_map) == 3
    assert trigger_map.cells(0) == trigger_map.cells(2) == {"a": everyone, "b": everyone, "c": everyone}
    assert trigger_map.sequence == (WRAP_PART, "main", WRAP_PART)
    assert trigger_map.wrapped() is trigger_map


def test_most_constraints_in_one_event_tell_how_many_workers_can_be_busy() -> None:
    trigger_map = single(a=[to(0), to(1), to(1)], b=[to(0), to(2), (worker(1), worker(None))], c=[(), None, ()])

    assert trigger_map.min_workers == 2
    assert trigger_map.wrapped().min_workers == 2


def test_a_uniform_map_has_a_worker_for_each_event() -> None:
    trigger_map = TriggerMap.uniform(["a", "b"], 9)

    assert (len(trigger_map), trigger_map.is_wrapped) == (11, True)
    assert trigger_map.cells(5) == {"a": to(0), "b": to(0)}


def test_the_kth_frame_of_a_stream_belongs_to_its_kth_cell() -> None:
    trigger_map = TriggerMap({"main": {"a": [to(0)] * 4, "slow": [None, to(0), None, ()]}}, ["main", "main"]).wrapped()

    assert trigger_map.n_frames("slow") == 6
    assert [trigger_map.event_of("slow", k) for k in range(6)] == [0, 2, 4, 6, 8, 9]
    assert [trigger_map.event_of("a", k) for k in range(10)] == list(range(10))


def test_frames_are_taken_only_where_their_stream_has_a_cell() -> None:
    trigger_map = single(a=[to(0), to(0), (), to(0)], slow=[None, to(0), None, to(0)])

    found = applied(trigger_map, frames(a=4, slow=2))

    assert found == {0: [b"a0"], 1: [b"a1", b"slow0"], 3: [b"a3", b"slow1"]}


def test_applying_ends_before_the_first_event_that_lacks_a_frame() -> None:
    assert applied(single(a=[to(0)] * 3, b=[to(0)] * 3), frames(a=3, b=2)) == {0: [b"a0", b"b0"], 1: [b"a1", b"b1"]}


def test_an_event_without_any_frame_is_not_given_out() -> None:
    assert applied(single(a=[to(0), None, to(0)]), frames(a=2)) == {0: [b"a0"], 2: [b"a1"]}


POSTED = {
    "parts": {
        "main": {"eiger": [[{"tags": ["generic"], "constraint": 0}], None], "orca": [[], [{"tags": ["a", "b"], "constraint": None}]]}
    },
    "sequence": ["main", "main"],
}
DUMPED = {"parts": {"main": {"mapping": POSTED["parts"]["main"]}}, "sequence": ["main", "main"]}


@pytest.mark.parametrize("document", [POSTED, DUMPED], ids=["posted", "dumped"])
def test_both_forms_of_json_are_read_and_written(document: dict[str, object]) -> None:
    trigger_map = TriggerMap.from_json(json.loads(json.dumps(document)))

    assert trigger_map.cells(0) == {"eiger": to(0), "orca": ()}
    assert trigger_map.cells(3) == {"eiger": None, "orca": (worker(None, "a", "b"),)}
    assert trigger_map.as_json() == POSTED
    assert trigger_map.as_dump() == DUMPED


def test_constraint_and_tags_may_be_left_out_and_a_stream_may_be_called_mapping() -> None:
    trigger_map = TriggerMap.from_json({"parts": {"main": {"mapping": [[{}], [{"constraint": 4}]]}}, "sequence": ["main"]})

    assert [trigger_map.cell("mapping", n) for n in range(2)] == [(worker(),), to(4)]


def test_the_order_in_which_streams_are_written_has_no_effect() -> None:
    assert single(a=[to(0)], b=[to(1)]) == single(b=[to(1)], a=[to(0)])
    assert single(b=[to(1)], a=[to(0)]).streams == ("a", "b")


BAD = {
    "text": ("x", r"expected a JSON object with 'parts' and 'sequence', found text\."),
    "no sequence": ({"parts": {}}, r"expected a JSON object with 'parts' and 'sequence', found an object with 'parts'\."),
    "parts": ({"parts": [], "sequence": []}, r"'parts' is a list, expected an object with a part under each name\."),
    "sequence": ({"parts": {}, "sequence": [1]}, r"'sequence' is not a list of names of parts\."),
    "part": ({"parts": {"m": 3}, "sequence": []}, r"part 'm' is a number, expected an object with a list of cells for each stream\."),
    "stream": ({"parts": {"m": {"a": None}}, "sequence": []}, r"part 'm', stream 'a' is null, expected a list of cells\."),
    "cell": ({"parts": {"m": {"a": [None, True]}}, "sequence": []}, r"part 'm', stream 'a', cell 1 is true or false, expected null or a list"),
    "worker": ({"parts": {"m": {"a": [[{"tag": 1}]]}}, "sequence": []}, r"stream 'a', cell 0 holds an object with 'tag', expected virtual workers"),
    "constraint": ({"parts": {"m": {"a": [[{"constraint": True}]]}}, "sequence": []}, r"cell 0 has the constraint True, expected a whole number"),
    "tags": ({"parts": {"m": {"a": [[{"tags": "x"}]]}}, "sequence": []}, r"cell 0 has the tags 'x', expected a list of words\."),
    "lengths": (
        {"parts": {"m": {"a": [None], "b": [None, []]}}, "sequence": []},
        r"part 'm' has streams of unequal length: 'a' has 1, 'b' has 2 cells\. Write null where one has no frame\.",
    ),
    "unknown part": (
        {"parts": {"main": {}}, "sequence": ["mian"]},
        r"the sequence names part 'mian', there are 'main'\. Did you mean 'main'\?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("document", "message"), BAD.values(), ids=BAD)
def test_a_wrong_document_is_refused_with_the_place(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^trigger map: .*{message}"):
        TriggerMap.from_json(document)


def test_wrong_requests_are_refused_by_name() -> None:
    trigger_map = single(eiger=[to(0), None])

    with pytest.raises(ConfigError, match=r"streams 'eiger' are not available, there are 'eigr'\. Did you mean 'eigr'\?"):
        trigger_map.check_streams(["eigr"])
    with pytest.raises(ConfigError, match=r"streams 'eiger' are not available, there are none\."):
        list(trigger_map.apply({}))
    with pytest.raises(ConfigError, match=r"there is no event 2, there are 2 \(0 is the first\)"):
        trigger_map.cells(2)
    with pytest.raises(ConfigError, match=r"there is no frame 1 of stream 'eiger', there are 1 \(0 is the first\)"):
        trigger_map.event_of("eiger", 1)
    with pytest.raises(ConfigError, match=r"the name 'reserved_start_end' is kept for start and end\."):
        TriggerMap({WRAP_PART: {"a": [None]}}, [WRAP_PART]).wrapped()


def test_a_map_cannot_be_changed_and_can_be_sent() -> None:
    trigger_map = single(a=[to(0)])

    assert pickle.loads(pickle.dumps(trigger_map)) == trigger_map
    with pytest.raises(AttributeError):
        trigger_map.sequence = ()  # type: ignore[misc]


tags = st.frozensets(st.sampled_from(["generic", "debug", "gpu"]), min_size=1, max_size=2)
cells = st.none() | st.lists(st.builds(VirtualWorker, st.none() | st.integers(0, 4), tags), max_size=3).map(tuple)


@st.composite
def maps(draw: st.DrawFn) -> TriggerMap:
    parts = {}
    for name in draw(st.lists(st.sampled_from("pqr"), min_size=1, unique=True)):
        length = draw(st.integers(0, 4))
        streams = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
        parts[name] = {stream: draw(st.lists(cells, min_size=length, max_size=length)) for stream in streams}
    return TriggerMap(parts, draw(st.lists(st.sampled_from(sorted(parts)), max_size=6)))


@given(maps())
@settings(max_examples=100, deadline=None)
def test_length_is_the_sum_over_the_sequence_and_two_more_around(trigger_map: TriggerMap) -> None:
    lengths = {name: part.length for name, part in trigger_map.parts.items()}

    assert len(trigger_map) == sum(lengths[name] for name in trigger_map.sequence)
    wrap = 2 if trigger_map.streams else 0
    assert len(trigger_map.wrapped()) == len(trigger_map) + wrap


@given(maps())
@settings(max_examples=100, deadline=None)
def test_lookup_equals_the_expanded_map(trigger_map: TriggerMap) -> None:
    parts = trigger_map.parts
    expanded = [
        {stream: parts[name].cells[stream][i] if stream in parts[name].cells else None for stream in trigger_map.streams}
        for name in trigger_map.sequence
        for i in range(parts[name].length)
    ]

    assert [trigger_map.cells(n) for n in range(len(trigger_map))] == expanded
    for stream in trigger_map.streams:
        events = [n for n, row in enumerate(expanded) if row[stream] is not None]
        assert [trigger_map.event_of(stream, k) for k in range(trigger_map.n_frames(stream))] == events


@given(maps())
@settings(max_examples=100, deadline=None)
def test_every_frame_is_used_once_or_discarded(trigger_map: TriggerMap) -> None:
    given_frames = frames(**{stream: trigger_map.n_frames(stream) for stream in trigger_map.streams})

    events = list(trigger_map.apply(given_frames))

    used = {stream: [event.streams[stream] for event in events if stream in event.streams] for stream in trigger_map.streams}
    kept = {
        stream: [data for k, data in enumerate(column) if trigger_map.cell(stream, trigger_map.event_of(stream, k))]
        for stream, column in given_frames.items()
    }
    assert used == kept


@given(maps())
@settings(max_examples=100, deadline=None)
def test_json_goes_there_and_back(trigger_map: TriggerMap) -> None:
    assert TriggerMap.from_json(json.loads(json.dumps(trigger_map.as_json()))) == trigger_map
    assert TriggerMap.from_json(json.loads(json.dumps(trigger_map.as_dump()))) == trigger_map
