"""`penstock deploy` and `apply`: what is refused, what is made on a real server, and that it stays so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import SecretStr
from realworker import forget

from penstock.core.errors import ConfigError
from penstock_flows._automations import pending_runs
from penstock_flows._items import _schedules
from penstock_flows._specs import Timing, common_deployments, read_yaml
from penstock_flows.commands.deploy import deploy
from penstock_flows.deployments import apply

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

NOWHERE = "http://127.0.0.1:9/api"
COMMON = ["process/process", "reprocess/reprocess", "replay/replay", "watch/watch", "prune/prune", "selfcheck/selfcheck"]


def write_experiment(folder: Path, name: str = "e1", text: str = "", head: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "experiment.toml"
    path.write_text(f'[experiment]\nname = "{name}"\ninstrument = "attpc"\nraw = "raw"\n{head}\n{text}\n')
    return path


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return write_experiment(tmp_path / "one")


@pytest.fixture
def client(api: Any) -> Iterator[Any]:
    """The shared server, as it was before once the test is over."""
    with api.client() as found:
        yield found
        forget(found)


def outcomes(applied: Any) -> set[str]:
    return {a.outcome for a in applied}


def test_dry_run_without_a_server_says_what_is_wanted(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    applied = apply([experiment], limits={"tpc": 4}, dry_run=True)
    names = [a.name for a in applied if a.kind == "deployment"]
    assert names == [*COMMON, "process/process-e1", "reprocess/reprocess-e1", "watch/watch-e1", "prune/prune-e1"]
    assert [a.name for a in applied if a.kind == "work queue"] == [
        f"penstock/{queue}" for queue in ("online", "default", "offline", "reprocess-attpc")
    ]
    assert [a.name for a in applied if a.kind == "limit"] == ["lane:tpc"]
    assert outcomes(applied) == {"wanted"}


def test_server_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", NOWHERE)
    with pytest.raises(ConfigError, match=r"the Prefect API http://127\.0\.0\.1:9/api does not answer\. Start a server with"):
        apply([])


@pytest.mark.parametrize(
    ("head", "text", "message"),
    [
        ('preset = "nope"', "", r"instrument 'attpc' has no preset 'nope'"),
        ('pipeline = ["tpc.clusters"]', "", r"tpc\.clusters"),
        ("", '[plugins]\nmodules = ["broken.py"]', r"Plug-in 'broken' failed to load: ZeroDivisionError.* Mend it"),
    ],
    ids=["preset", "pipeline", "plug-in"],
)
def test_experiment_that_is_wrong_is_refused(tmp_path: Path, head: str, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ConfigError, match=message):
        apply([write_experiment(tmp_path, head=head, text=text)], dry_run=True)


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"are both named 'e1', and so would be their deployments\. Rename one"):
        apply([write_experiment(tmp_path / name) for name in ("a", "b")], dry_run=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "tpc"], "--limit 'tpc' is not understood. Write LANE=N"),
        (["--limit", "tpc=0"], "--limit 'tpc=0' is not understood"),
        (["--schedule", "at night"], "--schedule 'at night': "),
        (["--image", "x:1"], "--image x:1: the process pool starts processes"),
        (["--pool", "docker", "--job-variable", "volumes=[x"], "--job-variable volumes=...: not JSON"),
        (["--notify-url-env", "NO_SUCH_VARIABLE"], "--notify-url-env NO_SUCH_VARIABLE: there is no such environment variable"),
    ],
    ids=["limit", "no steps", "cron", "image", "job variable", "secret"],
)
def test_option_that_is_wrong_is_refused_with_what_to_write(options: list[str], message: str) -> None:
    done = CliRunner().invoke(deploy, [*options, "--dry-run"])
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


@pytest.mark.parametrize(
    "options", [["--schedule", "0 3 * * *", "--interval", "60"], ["--webhook", "w", "--notify-url-env", "N"]], ids=["times", "addresses"]
)
def test_options_that_exclude_each_other_are_refused(options: list[str]) -> None:
    done = CliRunner().invoke(deploy, options)
    assert done.exit_code == 2
    assert "exclude each other" in done.output


def test_a_broken_experiment_as_a_process_exits_with_2_before_any_server_is_asked(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    path = write_experiment(tmp_path, text='[plugins]\nmodules = ["broken.py"]')
    command = [sys.executable, "-m", "penstock.cli", "deploy", str(path)]
    done = subprocess.run(command, env={**os.environ, "PREFECT_API_URL": NOWHERE}, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Plug-in 'broken' failed to load: ModuleNotFoundError: No module named 'nothing_of_that_name'" in done.stderr


def test_applied_twice_the_second_changes_nothing_and_the_form_refuses_a_wrong_parameter(client: Any, experiment: Path) -> None:
    first = apply([experiment], limits={"tpc": 4})
    again = apply([experiment], limits={"tpc": 4})
    made = client.read_deployment_by_name("reprocess/reprocess-e1")
    queue = client.read_work_queue_by_name("reprocess-attpc", work_pool_name="penstock")
    assert outcomes(first) <= {"created", "changed"}
    assert outcomes(again) == {"unchanged"}
    assert (made.work_queue_name, queue.concurrency_limit) == ("reprocess-attpc", 1)
    assert made.parameters == {"request": {"experiment": str(experiment)}}
    assert set(made.tags) == {"penstock", "scheduled", "attpc", "e1"}
    assert [(s.schedule.cron, s.active) for s in made.schedules] == [("0 3 * * *", True)]
    assert client.read_concurrency_limit_by_tag("lane:tpc").concurrency_limit == 4
    priorities = {q.name: q.priority for q in client.read_work_queues(work_pool_name="penstock")}
    assert [priorities[name] for name in ("online", "default", "offline")] == [1, 5, 10]
    with pytest.raises(PrefectHTTPStatusError, match="409"):
        client.create_flow_run_from_deployment(made.id, parameters={"request": {"experiment": str(experiment), "workers": 0}})


@pytest.mark.slow
def test_schedule_that_was_asked_for_or_set_in_the_ui_stays_when_it_is_not_asked_for_again(client: Any, experiment: Path) -> None:
    def schedules() -> list[tuple[str | None, Any, bool]]:
        found = client.read_deployment_by_name("reprocess/reprocess-e1").schedules
        return sorted(((s.slug, s.schedule.model_dump(exclude_none=True), s.active) for s in found), key=str)

    def set_in_the_ui() -> None:
        made = client.read_deployment_by_name("reprocess/reprocess-e1")
        client.update_deployment_schedule(made.id, made.schedules[0].id, schedule=CronSchedule(cron="0 4 * * *", timezone="Europe/Paris"))
        client.create_deployment_schedules(made.id, [(IntervalSchedule(interval=7200.0), True)])

    apply([experiment], schedule="30 2 * * *")
    again = apply([experiment])
    asked = schedules()
    set_in_the_ui()
    edited = schedules()
    untouched = apply([experiment])
    other = apply([experiment], job_variables={"stream_output": True})
    after = schedules()
    sleeping = [apply([experiment], schedules_active=False), schedules()][1]
    apply([experiment], schedule="30 2 * * *")
    back = schedules()

    assert outcomes(again) == outcomes(untouched) == {"unchanged"}
    assert [(slug, s["cron"], s["timezone"]) for slug, s, _ in asked] == [("nightly", "30 2 * * *", "UTC")]
    assert [a.fields for a in other if a.name == "reprocess/reprocess-e1"] == [("job_variables",)]
    assert after == edited
    assert [s.get("timezone") for slug, s, _ in after if slug] == ["Europe/Paris"]
    assert len(after) == 2
    assert [active for *_, active in sleeping] == [False, False]
    assert [(s["cron"], s["timezone"], active) for slug, s, active in back if slug] == [("30 2 * * *", "UTC", False)]


def of_server(cron: str, zone: str = "UTC", slug: str | None = "nightly", *, active: bool = True) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(schedule=CronSchedule(cron=cron, timezone=zone), slug=slug, active=active)


NIGHTLY = Timing("nightly", cron="0 3 * * *")
ASKED = replace(NIGHTLY, cron="30 2 * * *", asked_for=True)
EDITED = of_server("0 4 * * *", "Europe/Paris")
FURTHER = of_server("0 12 * * *", slug=None)


@pytest.mark.parametrize(
    ("timing", "there", "wanted"),
    [
        (NIGHTLY, [], [of_server("0 3 * * *")]),
        (NIGHTLY, [EDITED, FURTHER], [EDITED, FURTHER]),
        (NIGHTLY, [FURTHER], [FURTHER]),
        (None, [FURTHER], [FURTHER]),
        (ASKED, [EDITED, FURTHER], [of_server("30 2 * * *"), FURTHER]),
        (ASKED, [of_server("30 2 * * *", active=False)], [of_server("30 2 * * *", active=False)]),
        (ASKED, [of_server("30 2 * * *", "Europe/Paris", active=False)], [of_server("30 2 * * *", active=False)]),
        (replace(NIGHTLY, active=False, insist=True), [EDITED], [of_server("0 4 * * *", "Europe/Paris", active=False)]),
    ],
    ids=["new", "edited", "of another name", "without ours", "asked for", "paused", "another zone", "to sleep"],
)
def test_schedules_stay_as_people_set_them_but_for_what_is_asked_for(timing: Timing | None, there: list[Any], wanted: list[Any]) -> None:
    assert _schedules(timing, there) == wanted


def test_deployments_under_a_name_of_before_are_named_and_stay(client: Any, tmp_path: Path) -> None:
    path = write_experiment(tmp_path, "before")
    other = write_experiment(tmp_path / "other", "other")
    apply([path, other])
    write_experiment(tmp_path, "after")

    dry = apply([path], dry_run=True)
    done = CliRunner().invoke(deploy, [str(path)], catch_exceptions=False)

    left = ["process/process-before", "prune/prune-before", "reprocess/reprocess-before", "watch/watch-before"]
    assert [a.name for a in dry if a.outcome == "left over"] == left
    assert "Remove it with: prefect deployment delete reprocess/reprocess-before" in done.output
    assert {d.name for d in client.read_deployments()} >= {"process-before", "process-after", "process-other"}


def test_flow_run_that_shows_life_has_begun_even_if_the_server_lost_the_word_running() -> None:
    trigger = pending_runs().trigger
    assert trigger.after == {"prefect.flow-run.Pending"}
    assert {"prefect.flow-run.Running", "prefect.flow-run.heartbeat", "prefect.flow-run.Completed"} <= trigger.expect


@pytest.mark.slow
def test_schedules_follow_what_was_asked_and_stay_as_people_set_them(client: Any, experiment: Path) -> None:
    def schedule() -> Any:
        (found,) = client.read_deployment_by_name("reprocess/reprocess-e1").schedules
        return found

    apply([experiment], schedule=3600.0)
    first = schedule()
    client.update_deployment_schedule(client.read_deployment_by_name("reprocess/reprocess-e1").id, first.id, active=False)
    apply([experiment], schedule=1800.0)
    second = schedule()
    changed = apply([experiment], schedule=1800.0, schedules_active=True)
    third = schedule()
    apply([experiment], schedule=1800.0, schedules_active=False)
    assert (first.schedule.interval.total_seconds(), first.active) == (3600.0, True)
    assert (second.schedule.interval.total_seconds(), second.active) == (1800.0, False)
    assert [a.fields for a in changed if a.name == "reprocess/reprocess-e1"] == [("schedules",)]
    assert (third.active, schedule().active) == (True, False)
    assert [s.active for s in client.read_deployment_by_name("reprocess/reprocess").schedules] == [False]


def test_container_pools_get_image_and_a_folder_for_prefect() -> None:
    (made, *_) = common_deployments(read_yaml(), "docker", {"image": "penstock/flows:1", "env": {"TZ": "UTC"}})
    assert made.pool == "penstock-docker"
    assert made.job_variables["image"] == "penstock/flows:1"
    assert made.job_variables["env"]["PREFECT_HOME"] == "/tmp/prefect"
    assert (made.job_variables["env"]["TZ"], made.job_variables["env"]["DO_NOT_TRACK"]) == ("UTC", "1")


def test_pool_of_another_type_is_refused_and_nothing_is_made(client: Any) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    client.create_work_pool(WorkPoolCreate(name="penstock", type="docker"))
    with pytest.raises(ConfigError, match=r"work pool 'penstock' has type 'docker', wanted 'process'\. Rename it, or remove it with"):
        apply([])
    assert client.read_deployments() == []


def test_secret_address_lies_in_its_block_and_nowhere_else(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELL", "http://127.0.0.1:9/secret-path")
    done = CliRunner().invoke(deploy, ["--notify-url-env", "TELL", "--json"], catch_exceptions=False)
    again = apply([], notify=SecretStr("http://127.0.0.1:9/secret-path"))
    moved = apply([], notify=SecretStr("http://127.0.0.1:9/another"), dry_run=True)
    automations = client._client.post("/automations/filter", json={}).text
    shown = client.read_block_document_by_name("penstock-notify", "webhook", include_secrets=False)
    assert {"kind": "automation", "name": "penstock: tell of failures", "outcome": "created", "fields": []} in json.loads(done.output)
    assert outcomes(again) == {"unchanged"}
    assert [a.fields for a in moved if a.outcome != "unchanged"] == [("address",)]
    assert "secret-path" not in done.output + automations + str(shown.data)


def test_webhook_block_that_is_not_there_is_refused(client: Any) -> None:
    with pytest.raises(ConfigError, match=r"there is no webhook block 'tell'\. Make it in the UI"):
        apply([], notify="tell")
    assert client.read_deployments() == []
