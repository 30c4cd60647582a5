"""Numbers of an experiment for Prometheus: what they count, and that a scrape never fails."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from toybench import ToyExperiment

from penstock.core.canonical import Key
from penstock.store import Failure, IndexedArtifact
from penstock.views import metrics
from penstock.views.metrics import ExperimentMetrics

STAGE = "toy.hits"

Samples = dict[tuple[str, ...], float]


def scrape(collector: ExperimentMetrics) -> Samples:
    """Value by name and the values of its labels, the experiment left out."""
    samples = (sample for family in collector.collect() for sample in family.samples)
    return {(s.name, *(v for label, v in s.labels.items() if label != "experiment")): s.value for s in samples}


@pytest.fixture
def collector(toy: ToyExperiment) -> ExperimentMetrics:
    toy.write_run(1, 4, {1: "bad:noise", 2: "bad:noise"})
    toy.write_run(2, 4)
    toy.write_run(3, 4)
    toy.run("1-2")
    return ExperimentMetrics(toy.folder / "experiment.toml")


def test_artifacts_events_and_bytes_are_counted_by_stage(collector: ExperimentMetrics, toy: ToyExperiment) -> None:
    found = scrape(collector)
    stored = [a for a in toy.store.index.artifacts().values() if a.stage == STAGE]
    assert found["penstock_artifacts", STAGE] == len(stored) == 2
    assert found["penstock_artifact_bytes", STAGE] == sum(a.size for a in stored)
    assert found["penstock_events_in", STAGE] == 8
    assert found["penstock_events_out", STAGE] == 6
    assert found["penstock_events_without_result", STAGE] == 2
    newest = max(datetime.fromisoformat(a.created).timestamp() for a in stored)
    assert found["penstock_newest_artifact_timestamp_seconds", STAGE] == pytest.approx(newest, abs=1)


def test_runs_are_counted_by_stage_and_state(collector: ExperimentMetrics, toy: ToyExperiment) -> None:
    found = scrape(collector)
    assert found["penstock_runs",] == 3
    assert found["penstock_steps", STAGE, "current"] == 2
    assert found["penstock_steps", STAGE, "missing"] == 1


def test_a_plan_is_made_once_in_a_while_only(collector: ExperimentMetrics, toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    scrape(collector)
    toy.write_run(4, 4)
    assert scrape(collector)["penstock_runs",] == 3
    monkeypatch.setattr(metrics, "PLAN_EVERY_S", 0.0)
    assert scrape(collector)["penstock_runs",] == 4


def test_claims_count_as_held_until_their_owner_is_silent(
    collector: ExperimentMetrics, toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.store.index.claim("a" * 32, "host:1:1:x", [], 30.0)
    assert scrape(collector)["penstock_claims", "held"] == 1
    monkeypatch.setattr(metrics, "EXPIRED_S", -1.0)
    found = scrape(collector)
    assert (found["penstock_claims", "held"], found["penstock_claims", "expired"]) == (0, 1)


def test_failures_are_counted_by_stage(collector: ExperimentMetrics, toy: ToyExperiment) -> None:
    for _ in range(2):
        toy.store.record_failure(Failure(Key("b" * 32), 3, STAGE, "bad", "0:4", "", content=True))
        time.sleep(0.002)
    assert scrape(collector)["penstock_failures", STAGE] == 2


def test_a_failure_that_cannot_be_read_is_counted_without_its_stage(collector: ExperimentMetrics, toy: ToyExperiment) -> None:
    (toy.store.root / "attempts").mkdir(exist_ok=True)
    (toy.store.root / "attempts" / "junk.json").write_text("{")

    found = scrape(collector)

    assert (found["penstock_failures", "other"], found["penstock_readable",]) == (1, 1)


def test_stages_that_are_not_registered_share_one_series(collector: ExperimentMetrics, toy: ToyExperiment) -> None:
    for number in range(30):
        toy.store.index.put(
            IndexedArtifact(Key(f"{number:032d}"), f"old.stage{number}", "run-0001", {}, 10, 1, 1, "2026-01-01T00:00:00+00:00")
        )
    found = scrape(collector)
    assert found["penstock_artifacts", "other"] == 30
    assert len([key for key in found if key[0] == "penstock_artifacts"]) == 4


def test_disks_of_the_store_and_of_the_raw_files_are_told(collector: ExperimentMetrics) -> None:
    found = scrape(collector)
    for place in ("store", "raw"):
        assert 0 < found["penstock_disk_free_bytes", place] <= found["penstock_disk_size_bytes", place]


def test_a_scrape_of_a_store_that_cannot_be_read_says_so_and_yields_the_rest(
    collector: ExperimentMetrics, toy: ToyExperiment, caplog: pytest.LogCaptureFixture
) -> None:
    # Dask clusters of other tests leave the handlers of this process at another level.
    caplog.set_level("WARNING")
    assert scrape(collector)["penstock_readable",] == 1
    (toy.folder / "store/penstock-store.json").write_text("nothing")
    found = scrape(collector)
    assert found["penstock_readable",] == 0
    assert ("penstock_disk_free_bytes", "store") in found
    assert "penstock-store.json is damaged" in caplog.text


def test_an_experiment_without_runs_is_no_fault(toy: ToyExperiment) -> None:
    found = scrape(ExperimentMetrics(toy.folder / "experiment.toml"))
    assert (found["penstock_readable",], found["penstock_runs",]) == (1, 0)


def test_the_text_is_that_of_prometheus(collector: ExperimentMetrics) -> None:
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    assert "# TYPE penstock_artifacts gauge" in text
    assert 'penstock_build_info{version="' in text
