"""What the doctor says of an experiment: permissions, passwords, executors, certificates."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock.cli.doctor._experiment import look_at_executor, look_at_experiment, look_at_passwords, look_at_scheduler
from penstock.cli.doctor._files import look_at_certificates
from penstock.cli.doctor._finding import Finding
from penstock.config import Resources
from penstock.security import make_certificates

NOW = datetime(2030, 5, 1, tzinfo=UTC)


@pytest.fixture
def folder(toy: ToyExperiment) -> Path:
    """The folder of an experiment whose run is current."""
    toy.configure("[resources]\nexecutor = 'inline'")
    toy.write_run(1)
    toy.run()
    return toy.folder


def problems(path: Path) -> list[Finding]:
    return [f for f in look_at_experiment(path / "experiment.toml") if f.state == "problem"]


def test_a_sound_experiment_has_no_problem(folder: Path) -> None:
    assert problems(folder) == []


@pytest.mark.parametrize("name", ["experiment.toml", "store", "store/objects", "store/refs", "store/index.sqlite"])
def test_what_everybody_may_write_is_a_problem(folder: Path, name: str) -> None:
    (folder / name).chmod(0o777)
    (found,) = problems(folder)
    assert found.detail == f"{folder / name} can be written by everybody"
    assert found.advice == f"Take that right away (chmod o-w {folder / name}); share it with a group instead."


def test_a_store_of_a_group_is_no_problem(folder: Path) -> None:
    (folder / "store").chmod(0o2775)
    assert problems(folder) == []


@pytest.mark.parametrize("open_file", ["mine.py", "."])
def test_a_plug_in_that_everybody_may_write_is_a_problem(folder: Path, open_file: str) -> None:
    home = folder / "plugins"
    home.mkdir()
    (home / "mine.py").write_text("from penstock.tpc.stages import STAGES\n\nPOINTS = STAGES[0]\n")
    experiment = folder / "experiment.toml"
    experiment.write_text(experiment.read_text().replace("'toyline.plugin'", "'toyline.plugin', 'plugins/mine.py'"))
    (home / open_file).chmod(0o777)
    assert [f.detail for f in problems(folder) if f.what == "plug-in mine"] == [f"{home / open_file} can be written by everybody"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('[store]\nindex = "postgresql://penstock:tea@head/penstock"', "store.index"),
        ('[assets]\ngeometry = ["s3://key:tea@bucket/file"]', "assets.geometry"),
        ('[store.options]\nsecret_key = "tea"', "store.options.secret_key"),
        ('[store]\nindex = "postgresql://penstock:te/a@head/penstock"', "store.index"),
        ('[store.options]\nendpoint_url = "http://key:te#a@head:9000"', "store.options.endpoint_url"),
        ('[experiment]\napi_token = "tea"', "experiment.api_token"),
    ],
)
def test_a_password_in_plain_sight_is_a_problem_and_is_not_repeated(tmp_path: Path, line: str, name: str) -> None:
    (tmp_path / "experiment.toml").write_text(f"{line}\n")
    (found,) = look_at_passwords(tmp_path / "experiment.toml")
    assert found.state == "problem"
    assert found.detail == f"{tmp_path / 'experiment.toml'}: {name!r} holds a password"
    assert "tea" not in str(found)


@pytest.mark.parametrize(
    "line",
    [
        'index = "postgresql://penstock@head:5432/penstock"',
        'index = "postgresql://head:5432/p@penstock"',
        'index = "postgresql://penstock:$PGPASSWORD@head/penstock"',
        'path = "a:b@c"',
        'token = ""',
    ],
)
def test_what_holds_no_password_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "experiment.toml").write_text(f"[store]\n{line}\n")
    assert list(look_at_passwords(tmp_path / "experiment.toml")) == []


@pytest.mark.parametrize(
    ("executor", "state"),
    [
        ("inline", "ok"),
        ("local", "ok"),
        ("tcp://127.0.0.1:8786", "ok"),
        ("tcp://localhost:8786", "ok"),
        ("tls://head:8786", "ok"),
        ("slurm:site.toml", "ok"),
        ("tcp://head:8786", "problem"),
        ("tcp://192.0.2.7:8786", "problem"),
    ],
)
def test_a_dask_scheduler_of_another_machine_wants_tls(executor: str, state: str) -> None:
    (found,) = look_at_executor(executor)
    assert found.state == state
    assert ("name tls:// instead" in found.advice) == (state == "problem")


@pytest.mark.parametrize(
    ("later", "state", "told"),
    [(10, "ok", "until 2031-05-01"), (350, "note", "ends on 2031-05-01"), (400, "problem", "ended on 2031-05-01")],
)
def test_a_certificate_that_ends_is_told(tmp_path: Path, later: int, state: str, told: str) -> None:
    made = make_certificates(tmp_path / "certs", now=NOW)
    found = next(f for f in look_at_certificates(made.path, NOW + timedelta(days=later)) if "node.pem" in f.detail)
    assert (found.state, told in found.detail) == (state, True)
    assert ("--renew" in found.advice) == (state != "ok")


@pytest.mark.parametrize(("mode", "told"), [(0o644, ("problem", "by everybody")), (0o640, ("note", "by its group"))])
def test_a_key_that_others_may_read_is_told(tmp_path: Path, mode: int, told: tuple[str, str]) -> None:
    made = make_certificates(tmp_path / "certs")
    made.node_key.chmod(mode)
    (found,) = (f for f in look_at_certificates(made.path) if f.what == "private key")
    assert (found.state, found.detail) == (told[0], f"{made.node_key} can be read {told[1]}")


def test_certificates_that_dask_is_told_are_looked_at(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_certificates(tmp_path / "certs")
    made.node_key.chmod(0o644)
    monkeypatch.setenv("DASK_CONFIG", str(made.dask))
    assert [f.what for f in problems(folder)] == ["private key"]


def test_certificates_that_the_experiment_names_are_looked_at(folder: Path) -> None:
    with (folder / "experiment.toml").open("a") as file:
        file.write('tls = "certs"\n')
    made = make_certificates(folder / "certs")
    made.node.unlink()
    (found,) = problems(folder)
    assert found.detail.startswith(f"{made.node}: no certificate can be read there")


def test_certificates_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certs")
    shutil.copy(make_certificates(tmp_path / "others").node_key, made.node_key)
    (found,) = (f for f in look_at_certificates(made.path) if f.state != "ok")
    assert (found.state, found.what) == ("problem", "certificate")
    assert found.detail.startswith(f"{made.node_key}: is not the key of node.pem beside it")


def test_findings_say_what_to_do_for_people_and_programs() -> None:
    finding = Finding("store", "problem", "is open", "Close it.")
    assert str(finding) == "problem  store: is open. Close it."
    assert json.loads(json.dumps(finding.as_json())) == {"what": "store", "state": "problem", "detail": "is open", "advice": "Close it."}
    assert os.linesep not in str(Finding("store", "ok", "fine"))


def test_an_experiment_without_runs_is_told(toy: ToyExperiment) -> None:
    (found,) = (f for f in look_at_experiment(toy.folder) if f.what == "experiment")
    assert (found.state, found.advice) == ("note", "Correct [experiment] raw, if there should be some, or the instrument.")


def test_a_store_that_cannot_be_opened_hides_nothing_else(folder: Path) -> None:
    for path in (folder / "store").glob("index.sqlite*"):
        path.unlink()
    (folder / "store" / "index.sqlite").write_bytes(b"no database" * 1000)
    (folder / "store").chmod(0o777)
    assert [f.what for f in problems(folder)] == ["store", "store"]


def test_an_experiment_that_cannot_be_read_still_tells_its_passwords(folder: Path) -> None:
    with (folder / "experiment.toml").open("a") as file:
        file.write("api_token = 'tea'\n")
    found = problems(folder)
    assert [f.what for f in found] == ["experiment", "password"]
    assert "tea" not in str(found)


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_scheduler_that_answers_is_fine(listening: int) -> None:
    (found,) = look_at_scheduler(Resources(executor=f"tcp://127.0.0.1:{listening}"))
    assert (found.state, found.detail) == ("ok", f"tcp://127.0.0.1:{listening} takes connections")


def test_a_scheduler_that_nobody_started_is_a_problem(listening: int) -> None:
    (found,) = look_at_scheduler(Resources(executor="tcp://127.0.0.1:9"))
    assert found.state == "problem"
    assert found.detail.startswith("tcp://127.0.0.1:9: nobody answers there (")
    assert found.advice.startswith("Start one with: dask scheduler")


def test_a_scheduler_with_tls_wants_certificates(listening: int, tmp_path: Path) -> None:
    (found,) = look_at_scheduler(Resources(executor=f"tls://127.0.0.1:{listening}", tls=str(tmp_path)))
    assert found.state == "problem"
    assert found.detail.startswith(f"[resources] tls: {tmp_path} has no ca.pem, node.pem, node-key.pem.")


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_who_computes_here_needs_no_scheduler(executor: str) -> None:
    assert list(look_at_scheduler(Resources(executor=executor))) == []


def test_a_machine_without_slurm_submits_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (found,) = look_at_scheduler(Resources(executor="slurm:site.toml"))
    assert (found.state, found.detail) == ("problem", "slurm:site.toml: this machine has no sbatch")
