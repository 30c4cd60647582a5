"""Contract suites for plug-in authors: the laws that every stage obeys, as test classes to inherit.

A test module of a plug-in says which stage, and which events to try it on::

    class TestSmooth(StageContract):
        stage = my_package.stages.smooth

        def inputs(self):
            return {"hits": make_hits(12)}

`StageContract` is for stages that give one record an event, `RunStageContract` for those of ``unit="run"``, `PartsContract` for those of
``unit="parts"``, `TableContract` for those of ``subject="none"``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from penstock.config import fingerprint
from penstock.core.canonical import canonical_json, digest_key
from penstock.core.params import Params
from penstock.core.schema import Records
from penstock.core.stage import RunSource, Stage, load_dotted
from penstock.execute import apply_stage
from penstock.store import Counts, Manifest, read_artifact
from penstock.store.attempts import Attempt, rejections_of, write_block

__all__ = ["PartsContract", "RunStageContract", "StageContract", "TableContract", "explain_difference"]


def explain_difference(one: Records, other: Records) -> str:
    """The first place where two records differ in any bit; empty where they do not.

    Parameters
    ----------
    one, other
        Records of one schema.
    """
    if one.n_events != other.n_events:
        return f"{one.n_events} events and {other.n_events} events"
    if list(one.rejections) != list(other.rejections):
        return f"rejections {list(one.rejections)!r} and {list(other.rejections)!r}"
    for table, offsets in one.offsets.items():
        if not np.array_equal(offsets, other.offsets[table]):
            return f"rows of table {table!r}"
    for table, columns in one.columns.items():
        for name, values in columns.items():
            theirs = other.columns[table][name]
            if values.dtype != theirs.dtype or values.shape != theirs.shape or values.tobytes() != theirs.tobytes():
                return f"column {table}.{name}"
    return ""


class _AnyStage:
    """The laws of all stages. Not for tests as it is: it does not know how to call a stage."""

    stage: ClassVar[Stage]
    """The stage under test."""

    def params(self) -> Params:
        """The parameters to try."""
        return self.stage.params()

    def assets(self) -> Mapping[str, Records]:
        """The asset in each asset slot."""
        return {}

    def test_parameters_survive_the_way_to_a_worker_and_into_the_key(self) -> None:
        """They travel as JSON, and their identity is canonical JSON."""
        params = self.params()

        again = self.stage.params.model_validate_json(params.model_dump_json())

        assert again == params
        assert canonical_json(again.identity()) == canonical_json(params.identity())

    def test_the_code_has_a_fingerprint(self) -> None:
        """Without one, an edited stage could pose as the old one."""
        assert len(fingerprint(self.stage)) == 20


class _Contract(_AnyStage):
    """The laws of stages whose results are records."""

    def result(self) -> Records:
        """All that the stage makes of what it is tried on, at one go."""
        raise NotImplementedError

    def pieces(self) -> Sequence[Records]:
        """The same in blocks, as it is stored."""
        raise NotImplementedError

    def test_the_same_input_gives_the_same_bits_again(self) -> None:
        """No clock, no global random state, no memory of earlier calls."""
        assert explain_difference(self.result(), self.result()) == ""

    def test_the_output_follows_its_schema(self) -> None:
        """Every declared table and column, with its dtype and as many rows as the offsets say."""
        records = self.result()

        rows: dict[str | None, int] = {"events": records.n_events}
        for table in self.stage.writes.tables:
            if table.per is not None:
                offsets = records.offsets[table.name]
                assert offsets.dtype == np.int64, f"offsets of {table.name}"
                assert len(offsets) == rows[table.per] + 1, f"offsets of {table.name}"
                assert offsets[0] == 0, f"offsets of {table.name}"
                assert np.all(np.diff(offsets) >= 0), f"offsets of {table.name}"
                rows[table.name] = int(offsets[-1])
            for column in table.columns:
                values = np.asarray(records.columns[table.name][column.name])
                assert values.shape == (rows[table.name], *column.shape), f"{table.name}.{column.name}"
                assert np.can_cast(values.dtype, column.dtype, casting="same_kind"), f"{table.name}.{column.name}"

    def test_stored_blocks_read_back_as_what_was_computed(self, tmp_path: Path) -> None:
        """Storing loses nothing that the schema declares."""
        pieces = self.pieces()

        stored = _store_and_read(self.stage, pieces, tmp_path)

        assert explain_difference(stored, _as_declared(self.stage.writes.concatenate(pieces))) == ""


class StageContract(_Contract):
    """The laws of a map stage. Inherit, and give `stage` and `inputs`; `whole`, `params` and `assets` where defaults do not do."""

    def inputs(self) -> Mapping[str, Records]:
        """The same events in each slot, at least three, among them odd ones; equal at each call."""
        raise NotImplementedError(f"{type(self).__name__} says which events to try the stage on: def inputs(self)")

    def whole(self) -> Mapping[str, Records]:
        """What fills the slots that a stage without subject fills, such as a mesh: not cut by events, every block gets all of it."""
        return {}

    def compute(self, inputs: Mapping[str, Records]) -> Records:
        """What the stage makes of one block."""
        return apply_stage(self.stage, self.stage.load_body(), inputs, {"params": self.params(), **self.whole(), **self.assets()})

    def compute_in_blocks(self, size: int) -> list[Records]:
        """What it makes of the same events in blocks of `size`."""
        inputs = self.inputs()
        n_events = next(iter(inputs.values())).n_events
        starts = range(0, n_events, size)
        return [self.compute({slot: r.part(a, min(a + size, n_events)) for slot, r in inputs.items()}) for a in starts]

    def result(self) -> Records:
        """What it makes of all events as one block."""
        return self.compute(self.inputs())

    def pieces(self) -> Sequence[Records]:
        """What it makes of them in blocks of two."""
        return self.compute_in_blocks(2)

    def test_an_event_gives_the_same_bits_alone_and_in_a_block(self) -> None:
        """What makes live results equal to offline ones."""
        alone = self.stage.writes.concatenate(self.compute_in_blocks(1))

        assert explain_difference(alone, self.result()) == ""

    def test_blocks_of_any_size_merge_to_the_same_bits(self) -> None:
        """What makes results independent of batches and workers."""
        whole = self.result()

        differences = [explain_difference(self.stage.writes.concatenate(self.compute_in_blocks(size)), whole) for size in (2, 3, 5)]

        assert differences == [""] * 3

    def test_the_input_is_left_as_it_was(self) -> None:
        """Other stages read the same arrays."""
        inputs, whole, assets = self.inputs(), self.whole(), self.assets()
        before = copy.deepcopy({**inputs, **whole, **assets})

        apply_stage(self.stage, self.stage.load_body(), inputs, {"params": self.params(), **whole, **assets})

        assert {
            slot: explain_difference(records, before[slot]) for slot, records in {**inputs, **whole, **assets}.items()
        } == dict.fromkeys(before, "")

    def test_there_is_one_record_an_event(self) -> None:
        """Rejected events have their record too, without rows."""
        inputs = self.inputs()

        assert self.compute(inputs).n_events == next(iter(inputs.values())).n_events

    def test_rejected_events_have_no_rows(self) -> None:
        """A rejection is an event without a result."""
        records = self.result()
        top = [t.name for t in self.stage.writes.tables if t.per == "events"]

        counts = {t: np.diff(records.offsets[t]) for t in top}

        assert [(t, r.index) for t in top for r in records.rejections if counts[t][r.index]] == []

    def test_events_that_hold_nothing_are_no_error(self) -> None:
        """Detectors write empty events; they have a result or a rejection."""
        records = self.compute({slot: schema.empty(2) for slot, schema in self.stage.reads.items() if slot not in self.whole()})

        assert records.n_events == 2


class RunStageContract(_Contract):
    """The laws of a stage with ``unit="run"`` that returns records. Inherit, and give `stage` and `source`."""

    def source(self) -> RunSource:
        """The run to try the stage on; equal at each call."""
        raise NotImplementedError(f"{type(self).__name__} says which run to try the stage on: def source(self)")

    def result(self) -> Records:
        """What the stage makes of the run."""
        return apply_stage(self.stage, self.stage.load_body(), {}, {"source": self.source(), "params": self.params(), **self.assets()})

    def pieces(self) -> Sequence[Records]:
        """The same: a run is one block."""
        return [self.result()]

    def test_the_run_is_one_record(self) -> None:
        """A result about a whole run has no events; the run is its only one."""
        assert self.result().n_events == 1


class TableContract(_Contract):
    """The laws of a stage with ``subject="none"`` and a `count`. Inherit, and give `stage`, with `params` that make a small table."""

    def rows(self) -> int:
        """Rows of the table, as the stage counts them."""
        return int(load_dotted(self.stage.count)(self.params(), **self.assets()))

    def compute(self, positions: range) -> Records:
        """Some rows of it."""
        others = {"positions": positions, "params": self.params(), **self.assets()}
        return apply_stage(self.stage, self.stage.load_body(), {}, others)

    def result(self) -> Records:
        """All rows at one go."""
        return self.compute(range(self.rows()))

    def pieces(self) -> Sequence[Records]:
        """All rows, two hundred at a time."""
        return self.split(200)

    def split(self, size: int) -> list[Records]:
        """All rows, `size` at a time."""
        rows = self.rows()
        return [self.compute(range(start, min(start + size, rows))) for start in range(0, rows, size)]

    def test_there_are_as_many_rows_as_are_counted(self) -> None:
        """Blocks are laid out before anything is computed."""
        assert self.result().n_events == self.rows()

    def test_any_split_of_the_rows_gives_the_same_bits(self) -> None:
        """What makes results independent of batches and workers."""
        whole, rows = self.result(), self.rows()

        differences = [
            explain_difference(self.stage.writes.concatenate(self.split(size)), whole) for size in (max(rows // 7, 1), max(rows - 1, 1))
        ]

        assert differences == ["", ""]

    def test_a_row_gives_the_same_bits_alone(self) -> None:
        """No row looks at its neighbours."""
        whole, rows = self.result(), self.rows()

        differences = {
            row: explain_difference(self.compute(range(row, row + 1)), whole.part(row, row + 1)) for row in (0, rows // 2, rows - 1)
        }

        assert differences == dict.fromkeys(differences, "")

    def test_arrays_are_mapped_into_memory(self, tmp_path: Path) -> None:
        """Every worker reads the whole of a table; arrays lie in memory once for all of a host."""
        stored = _store_and_read(self.stage, self.pieces(), tmp_path)

        mapped = {isinstance(values, np.memmap) for table in stored.columns.values() for values in table.values()}

        assert mapped == {self.stage.writes.storage == "arrays"}


class PartsContract(_AnyStage):
    """The laws of a stage with ``unit="parts"``. Inherit, and give `stage` and `source`, with `params` that make at least two parts."""

    def source(self) -> RunSource:
        """The run to try the stage on; equal at each call."""
        raise NotImplementedError(f"{type(self).__name__} says which run to try the stage on: def source(self)")

    def compute_parts(self, folder: Path, *, backwards: bool = False) -> list[Path]:
        """Compute every part, in folders of their own below `folder`; the folders in order."""
        given = {"source": self.source(), "params": self.params(), **self.assets()}
        count = int(load_dotted(self.stage.count)(**given))
        parts = [folder / f"part-{number}" for number in range(count)]
        for number in reversed(range(count)) if backwards else range(count):
            parts[number].mkdir(parents=True)
            self.stage.load_body()(part=number, folder=parts[number], **given)
        return parts

    def put_together(self, parts: Sequence[Path], folder: Path) -> tuple[Records, dict[str, bytes]]:
        """Make the result of its parts in a new folder: what it is about, and its files by name."""
        folder.mkdir()
        records = load_dotted(self.stage.finish)(source=self.source(), parts=parts, folder=folder, params=self.params(), **self.assets())
        return records, _contents(folder)

    def compute(self, folder: Path, *, backwards: bool = False) -> tuple[Records, dict[str, bytes]]:
        """The result with its files, below `folder`."""
        return self.put_together(self.compute_parts(folder, backwards=backwards), folder / "result")

    def test_the_same_input_gives_the_same_bytes_again(self, tmp_path: Path) -> None:
        """No clock, no global random state, no memory of earlier calls."""
        one, other = (self.compute(tmp_path / name) for name in ("one", "other"))

        assert explain_difference(one[0], other[0]) == ""
        assert {name for name in one[1] | other[1] if one[1].get(name) != other[1].get(name)} == set()

    def test_parts_can_be_computed_in_any_order(self, tmp_path: Path) -> None:
        """Workers take them as they come, and a second attempt finds some of them done."""
        one, other = self.compute(tmp_path / "one"), self.compute(tmp_path / "other", backwards=True)

        assert {name for name in one[1] | other[1] if one[1].get(name) != other[1].get(name)} == set()

    def test_parts_are_left_as_they_were(self, tmp_path: Path) -> None:
        """They lie in the store until the result is committed, and are used again after a crash."""
        parts = self.compute_parts(tmp_path)
        before = [_contents(part) for part in parts]

        self.put_together(parts, tmp_path / "result")

        assert [_contents(part) for part in parts] == before

    def test_the_result_says_what_it_is_about_and_has_files(self, tmp_path: Path) -> None:
        """Counts of events stand in the manifest, and an artifact holds something."""
        records, files = self.compute(tmp_path)

        assert isinstance(records, self.stage.writes)
        assert all(0 <= r.index < records.n_events for r in records.rejections)
        assert files


def _contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder by name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _store_and_read(stage: Stage, pieces: Sequence[Records], folder: Path) -> Records:
    """What comes back of blocks that were written, joined, and read."""
    size = max(piece.n_events for piece in pieces)
    attempt = Attempt.begin(folder, folder / "home")
    notes = [
        write_block(attempt.blocks, piece, block=number, size=size, events_in=piece.n_events, cpu_s=0.0)
        for number, piece in enumerate(pieces)
    ]
    files = attempt.join(stage.writes, notes, size, "data")
    n_events = sum(piece.n_events for piece in pieces)
    manifest = _manifest(stage, n_events, size, files=files, rejections=rejections_of(notes, size))
    return read_artifact(attempt.home, manifest, stage.writes)


def _as_declared(records: Records) -> Records:
    columns = {t.name: {c.name: np.asarray(records.columns[t.name][c.name], dtype=c.dtype) for c in t.columns} for t in records.tables}
    return type(records)(n_events=records.n_events, columns=columns, offsets=records.offsets, rejections=records.rejections)


def _manifest(stage: Stage, n_events: int, size: int, **fields: object) -> Manifest:
    known: dict[str, object] = {
        "key": digest_key(stage.name),
        "stage": stage.name,
        "schema": stage.writes.schema_id(),
        "storage": stage.writes.storage,
        "subject": "contract",
        "run": None,
        "n_events": n_events,
        "block": size,
        "counts": Counts(n_events, n_events),
        **{key: {} for key in ("recipe", "origins", "inputs", "code", "environment", "times")},
    }
    return Manifest(**(known | fields))  # type: ignore[arg-type]
