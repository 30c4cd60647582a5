from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.core.stage import StageCode
from penstock.execute import Quiet, _plan, _step, prepare
from penstock.store import Manifest


def failures(toy: ToyExperiment) -> list[dict[str, object]]:
    return [json.loads(p.read_text()) for p in sorted((toy.store.root / "attempts").glob("*.json"))]


def test_a_missing_run_fails_alone_with_the_file_that_was_looked_for(toy: ToyExperiment) -> None:
    toy.write_run(1)

    report = toy.run("1,7")

    assert toy.states(report) == {1: ["computed"] * 3, 7: ["failed", "skipped", "skipped"]}
    assert (
        report.results[3].error
        == f"run 7: no file toy_0007.txt in {toy.folder.resolve()}/raw. Check the run range or [experiment] raw in experiment.toml."
    )
    assert not report.ok


def test_a_truncated_run_fails_alone_and_the_others_go_on(toy: ToyExperiment) -> None:
    toy.write_run(1)
    path = toy.write_run(2)
    path.write_text(path.read_text()[:-10])

    report = toy.run()

    assert toy.states(report) == {1: ["computed"] * 3, 2: ["failed", "skipped", "skipped"]}
    assert report.results[3].error == "run 2, stage 'toy.hits': toy_0002.txt: the file is truncated"
    assert report.results[4].error == "run 2: toy.hits failed, so toy.groups was not computed"


def test_one_who_slept_while_another_took_over_and_was_done_first_has_the_result_and_no_failure(
    toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.write_run(1)
    done = _step._Step.run

    def lose_the_folder(step: _step._Step, n_events: int) -> Manifest:
        done(step, n_events)
        raise FileNotFoundError("the blocks are gone")

    monkeypatch.setattr(_step._Step, "run", lose_the_folder)

    assert toy.states(toy.run()) == {1: ["current"] * 3}
    assert failures(toy) == []
    assert len(list(toy.store.refs())) == 3


def test_an_empty_file_fails_alone(toy: ToyExperiment) -> None:
    toy.write_run(1).write_text("")

    assert toy.states(toy.run()) == {1: ["failed", "skipped", "skipped"]}


def test_a_link_that_leads_nowhere_fails_alone(toy: ToyExperiment) -> None:
    toy.write_run(1)
    (toy.folder / "raw" / "toy_0002.txt").symlink_to("nowhere")

    report = toy.run()

    assert toy.states(report) == {1: ["computed"] * 3, 2: ["failed", "skipped", "skipped"]}
    assert "No such file or directory" in str(report.results[3].error)
    assert toy.plan("2")[0][3].startswith("run 2: ")


def test_a_file_that_grows_while_it_is_hashed_fails_alone(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_run(1)
    growing = toy.write_run(2)
    stat = Path.stat
    sizes = iter(range(1000))

    def grow(path: Path, **options: bool) -> object:
        found = stat(path, **options)
        return _Grown(found.st_size + next(sizes), found.st_mtime_ns, found.st_ino, found.st_mode) if path.name == growing.name else found

    monkeypatch.setattr(Path, "stat", grow)

    report = toy.run()

    assert toy.states(report) == {1: ["computed"] * 3, 2: ["failed", "skipped", "skipped"]}
    assert str(report.results[3].error).endswith(
        "the file changed while it was read. Wait until it is complete and run the same command again."
    )


@dataclasses.dataclass
class _Grown:
    st_size: int
    st_mtime_ns: int
    st_ino: int
    st_mode: int


def test_a_bad_event_is_rejected_and_counted_with_its_reason(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={3: "bad:noise", 7: "bad:noise", 9: "bad:pile-up"})

    report = toy.run()

    assert [(r.events_in, r.events_out, r.rejected) for r in report.results] == [(20, 17, 3), (17, 17, 0), (17, 17, 0)]
    assert toy.manifest("toy.hits").counts.rejected == {"noise": 2, "pile-up": 1}
    assert report.ok


def test_an_event_that_was_rejected_stays_without_result_in_all_later_stages(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={3: "bad:noise"})
    toy.run()

    assert [toy.manifest(s).rejections for s in ("toy.hits", "toy.groups", "toy.summary")] == [((3, "noise", False),)] * 3
    assert toy.manifest("toy.summary").counts.rejected == {}


def test_positions_of_later_events_do_not_move_when_one_is_rejected(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={3: "bad:noise"})
    toy.run()
    manifest = toy.manifest("toy.hits")

    hits = toy.store.read(manifest, toy.load().registry.stage("toy.hits").writes)

    assert hits.n_events == 20
    assert hits["events"]["event"][4:].tolist() == list(range(4, 20))


def test_an_unexpected_exception_fails_the_run_with_its_events_and_traceback(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "raise"})

    report = toy.run()

    assert toy.states(report) == {1: ["failed", "skipped", "skipped"]}
    assert report.results[0].error == "run 1, stage 'toy.hits', events 4:6: ArithmeticError: unexpected value"
    (kept,) = failures(toy)
    assert (kept["events"], kept["content"]) == ("4:6", True)
    assert "in find_hits" in str(kept["traceback"])


def test_a_failure_leaves_nothing_visible(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "raise"})

    toy.run()

    assert list(toy.store.manifests()) == []
    assert list(toy.store.refs()) == []
    assert [p for p in (toy.store.root / "objects").rglob("*") if p.is_file()] == []


def test_what_was_committed_before_a_failure_stays(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "late"})

    report = toy.run()

    assert toy.states(report) == {1: ["computed", "failed", "skipped"]}
    assert toy.states(toy.run()) == {1: ["current", "failed", "skipped"]}


def test_a_failure_on_content_is_remembered_and_told_again_without_computing(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "raise"})
    first = toy.run().results[0].error

    again = toy.run()

    assert toy.plan()[0][2:] == ("failed", first)
    assert again.results[0].error == first
    assert len(failures(toy)) == 1


def test_a_failure_on_content_is_tried_again_when_that_is_asked_for(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "raise"})
    toy.run()

    toy.run(retry_failed=True)

    assert len(failures(toy)) == 2


def test_a_remembered_failure_ends_with_other_parameters(toy: ToyExperiment) -> None:
    toy.write_run(1, switches={5: "raise"})
    toy.run()

    assert toy.plan(overrides={"toy.hits.threshold": 0.9})[0][2:] == ("missing", "never computed")


def test_an_error_of_the_system_is_not_remembered_as_content(toy: ToyExperiment) -> None:
    cure = toy.folder / "cure"
    toy.write_run(1, switches={5: f"oserror@{cure}"})
    report = toy.run()
    error = "run 1, stage 'toy.hits', events 4:6: OSError: the disk does not answer"
    assert report.results[0].error == error
    assert toy.plan()[0][2:] == ("missing", f"the last attempt failed: {error}")
    cure.touch()

    assert toy.states(toy.run()) == {1: ["computed"] * 3}


def test_blocks_that_were_whole_before_an_error_of_the_system_are_used_again(toy: ToyExperiment) -> None:
    cure = toy.folder / "cure"
    toy.write_run(1, switches={5: f"oserror@{cure}"})
    toy.run()
    cure.touch()

    toy.run()

    assert toy.manifest("toy.hits").times["adopted_blocks"] == 2


def test_a_stage_may_turn_its_own_exceptions_into_rejections(toy: ToyExperiment) -> None:
    toy.configure(pipeline=("toy.hits", "toy.groups", "toy.strict"))
    toy.write_run(1, n_events=40)

    report = toy.run(overrides={"toy.hits.threshold": 0.9})

    rejected = toy.manifest("toy.strict").counts.rejected
    assert list(rejected) == ["ZeroDivisionError: no groups"]
    assert report.results[2].events_out == 40 - rejected["ZeroDivisionError: no groups"]


def test_errors_of_the_system_are_never_rejections(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from toyline import bodies

    def fail(groups: object, params: object) -> object:
        raise MemoryError

    toy.configure(pipeline=("toy.hits", "toy.groups", "toy.strict"))
    toy.write_run(1)
    monkeypatch.setattr(bodies, "summarise_strictly", fail)

    assert toy.states(toy.run()) == {1: ["computed", "computed", "failed"]}


def test_a_body_that_returns_too_few_records_fails(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from toyline import bodies

    body = bodies.find_groups
    monkeypatch.setattr(bodies, "find_groups", lambda hits, params: body(hits.part(0, 1), params))
    toy.write_run(1)

    error = toy.run().results[1].error

    assert error == (
        "run 1, stage 'toy.groups', events 0:3: stage 'toy.groups' returned 1 records for 3 events; a map stage returns one record an event."
    )


def test_a_worker_with_other_code_refuses_and_tells_both_values(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plan, "stage_code", lambda stage: StageCode(stage.version, "0ther", locked=False))
    toy.write_run(1)

    report = toy.run()

    pattern = (
        r"run 1, stage 'toy.hits': worker \S+:\d+: stage 'toy.hits' is version 1, code [0-9a-f]{20}; the client has version 1, code 0ther. "
        r"Install the same penstock and plug-ins on both and restart the workers."
    )
    assert re.fullmatch(pattern, str(report.results[0].error))
    assert failures(toy)[0]["content"] is False


def test_a_full_disk_fails_the_run_and_the_same_command_finishes_it_later(toy: ToyExperiment, small_disk: Path) -> None:
    toy.configure(f'[store]\npath = "{small_disk}/store"')
    toy.write_run(1, n_events=40)
    toy.write_run(2, n_events=40)
    toy.open_store(small_disk / "store")
    toy.run("2")
    prepare(toy.load(), toy.store, toy.request(), Quiet())
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(8 << 20))

    report = toy.run()

    assert toy.states(report) == {1: ["failed", "skipped", "skipped"], 2: ["current"] * 3}
    assert "the disk is full" in str(report.results[0].error)
    filler.unlink()
    assert toy.states(toy.run()) == {1: ["computed"] * 3, 2: ["current"] * 3}
    toy.store.close()
