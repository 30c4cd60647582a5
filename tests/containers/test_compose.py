"""The services of deploy/compose together: our images with the commands, settings and mounts of the compose file, and a flow run by REST.

They share a network of their own, in which all names are the loopback device, so that the ports of the file are free. PostgreSQL, Redis and
nginx are Debian's, with the commands, scripts and configuration of the file, because their images cannot be had everywhere.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from realpostgres import find_programs
from renderedcompose import rendered, run_options

from penstock.security.certificates import make_certificates
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]
FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
EXPERIMENT = """[experiment]
name = "composed"
instrument = "attpc"
raw = "/data/raw"
[store]
path = "/data/store/composed"
index = "postgresql://penstock@postgres/penstock"
"""
REQUEST = """
import base64, json, ssl, sys, urllib.error, urllib.request
method, path, body, authority, login = json.load(sys.stdin)
headers = {"Content-Type": "application/json"} | ({"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {})
request = urllib.request.Request("https://localhost:8443/api" + path, json.dumps(body).encode() if body else None, headers, method=method)
context = ssl.create_default_context(cafile=authority)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
try:
    answer = opener.open(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.loads(answer.read() or "null")]))
"""


@dataclass
class Site:
    """A network of its own, and the services that run in it."""

    engine: Any
    folder: Path
    namespace: str
    settings: dict[str, str]
    services: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def inside(self, *command: str) -> list[str]:
        """A command in the network of the site."""
        return ["nsenter", f"--net={self.namespace}", *command]

    def podman(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.inside(self.engine.program, *arguments), capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0 or not check, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, name: str) -> None:
        """Start a service in its container, and wait until it has ended well or is healthy, as the file says."""
        service = self.services[name]
        hosts = [word for other in self.services for word in ("--add-host", f"{other}:127.0.0.1")]
        self.names[name] = f"penstock-test-{name}-{uuid.uuid4().hex[:6]}"
        image = self.engine.image(service["image"].removeprefix("penstock-").partition(":")[0])
        options = ["--name", self.names[name], "--network", "host", *hosts, *run_options(service)]
        if service["restart"] == "no":
            self.podman("run", *options, image, *service["command"])
            return
        if "healthcheck" in service:
            kind, *command = service["healthcheck"]["test"]
            assert kind == "CMD"
            options += ["--health-cmd", json.dumps(command), "--health-interval", "disable"]
        self.podman("run", "--detach", *options, image, *service["command"])
        if "healthcheck" in service:
            self.wait_for(lambda: self.podman("healthcheck", "run", self.names[name], check=False).returncode == 0, name)

    def wait_for(self, is_so: Callable[[], bool], name: str, seconds: float = 240) -> None:
        self.engine.wait_until(is_so, f"service {name!r}", seconds=seconds, report=lambda: self.logs(name))

    def logs(self, name: str) -> str:
        if name not in self.names:
            return ""
        done = self.podman("logs", "--tail", "40", self.names[name], check=False)
        return done.stdout + done.stderr

    def run_beside(self, *command: str, **options: Any) -> None:
        """A program of the host in the network of the site, until the end of the tests."""
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            self.programs.append(
                subprocess.Popen(self.inside(*command), stdout=log, stderr=log, cwd="/", start_new_session=True, **options)
            )

    def answers(self, *command: str, **environment: str) -> bool:
        done = subprocess.run(self.inside(*command), env={**os.environ, **environment}, capture_output=True, check=False, cwd="/")
        return done.returncode == 0

    def ask(self, method: str, path: str, body: Any = None, *, login: str | None = None) -> Any:
        """What the API answers through the proxy, with TLS that is verified: status and content."""
        given = [
            method,
            path,
            body,
            str(self.folder / "certs" / "ca.pem"),
            self.settings["PREFECT_AUTH_STRING"] if login is None else login,
        ]
        done = subprocess.run(
            self.inside(sys.executable, "-c", REQUEST), input=json.dumps(given), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stop(self) -> None:
        for name in reversed(self.names.values()):
            self.podman("rm", "--force", "--time", "5", "--volumes", name, check=False)
        for program in reversed(self.programs):
            os.killpg(program.pid, signal.SIGTERM)  # a shell may have started it
            program.wait(timeout=30)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A network with nothing but a loopback device."""
    if os.geteuid() != 0 or shutil.which("nsenter") is None:
        pytest.skip("needs root, to make a network of its own")
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        if not holder.stdout.readline():
            pytest.skip("no network of its own can be made here: unshare --net")
        yield f"/proc/{holder.pid}/ns/net"
        holder.terminate()


@pytest.fixture(scope="module")
def site(engine: Any, images: dict[str, Any], namespace: str) -> Iterator[Site]:
    if not engine.podman:
        pytest.skip("needs podman: Docker's containers are started by a service, which is in another network")
    for program in ("nginx", "redis-server"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install {program.partition('-server')[0]}")
    folder = Path(tempfile.mkdtemp(prefix="composed-"))
    folder.chmod(0o755)
    for place in ("experiments", "raw", "store"):
        (folder / place).mkdir()
    (folder / "experiments" / "experiment.toml").write_text(EXPERIMENT)
    write_run(folder / "raw", TpcSimulation(), 1, 4)
    make_certificates(folder / "certs", ["scheduler"])
    for path in folder.rglob("*"):
        os.chown(path, engine.user, engine.user)
    settings = {
        "PENSTOCK_UID": str(engine.user),
        "PENSTOCK_GID": str(engine.user),
        **{f"PENSTOCK_{what.upper()}": str(folder / what) for what in ("experiments", "raw", "store", "certs")},
        **{f"{what}_PASSWORD": secrets.token_hex(12) for what in ("PREFECT_DATABASE", "PENSTOCK_DATABASE", "REDIS")},
        "PREFECT_AUTH_STRING": f"penstock:{secrets.token_hex(12)}",
        "PENSTOCK_TPC_WORKERS": "1",
        "PENSTOCK_WORKER_MEMORY": "2GiB",
    }
    site = Site(engine, folder, namespace, settings, rendered(FOLDER / "compose.yaml", settings))
    try:
        start_databases(site)
        for name in ("migrate", "api", "services", "deploy", "scheduler", "worker-tpc", "flows"):
            site.start(name)
        start_proxy(site)
        yield site
    finally:
        site.stop()
        shutil.rmtree(folder, ignore_errors=True)


def start_databases(site: Site) -> None:
    """PostgreSQL as its image makes it, databases.sh included, and Redis by the command of the file."""
    programs = find_programs()
    data = site.folder / "postgres"
    account: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    wanted = site.services["postgres"]["environment"]
    password = data / "password"
    password.write_text(wanted["POSTGRES_PASSWORD"])
    shutil.chown(password, "postgres", "postgres")
    made = ["-U", wanted["POSTGRES_USER"], "--auth-host=scram-sha-256", "--auth-local=trust", f"--pwfile={password}", "--no-sync"]
    subprocess.run([str(programs / "initdb"), "-D", str(data / "pgdata"), *made], check=True, capture_output=True, cwd="/", **account)
    as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    server = ("-D", str(data / "pgdata"), "-c", f"unix_socket_directories={data}", "-c", "fsync=off")
    site.run_beside(*as_postgres, str(programs / "postgres"), *server)
    ready = site.services["postgres"]["healthcheck"]["test"][1:]
    site.wait_for(lambda: site.answers(*ready[:-1], "postgres", PGHOST=str(data)), "postgres")
    environment = {**os.environ, **wanted, "PGHOST": str(data)}
    for command in (["createdb", "--username", wanted["POSTGRES_USER"], wanted["POSTGRES_DB"]], ["sh", str(FOLDER / "databases.sh")]):
        subprocess.run(command, env=environment, check=True, capture_output=True, cwd="/")
    redis = site.services["redis"]
    site.run_beside(*redis["command"], env={**os.environ, **redis["environment"]})
    site.wait_for(lambda: site.answers("sh", "-c", redis["healthcheck"]["test"][1], **redis["environment"]), "redis")


def start_proxy(site: Site) -> None:
    """nginx with proxy.conf, and the files where this machine has them."""
    text = (FOLDER / "proxy.conf").read_text().replace("//api:", "//127.0.0.1:")
    (site.folder / "tmp").mkdir()
    text = text.replace(" /tmp/", f" {site.folder / 'tmp'}/").replace(" /certs/", f" {site.folder / 'certs'}/")
    (site.folder / "proxy.conf").write_text(text)
    site.run_beside("nginx", "-c", str(site.folder / "proxy.conf"), "-g", "daemon off;")
    site.wait_for(lambda: site.answers("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8443"), "proxy")


def test_without_the_password_the_proxy_shows_nothing(site: Site) -> None:
    status, _ = site.ask("GET", "/deployments/name/process/process", login="")
    assert status == 401


def test_a_flow_run_by_rest_computes_on_the_worker_of_its_lane_and_completes(site: Site) -> None:
    status, deployment = site.ask("GET", "/deployments/name/process/process")
    assert status == 200, deployment
    request = {"experiment": "/data/experiments/experiment.toml", "runs": "1"}

    status, run = site.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"request": request}})
    assert status == 201, run

    def state() -> str:
        found: str = site.ask("GET", f"/flow_runs/{run['id']}")[1]["state_type"]
        return found

    site.wait_for(lambda: state() in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), "flows", seconds=600)
    assert state() == "COMPLETED", site.logs("flows") + site.logs("worker-tpc")

    found = [json.loads(p.read_text()) for p in (site.folder / "store" / "composed" / "objects").glob("*/*/manifest.json")]
    assert {m["stage"] for m in found} == {"tpc.points", "tpc.clusters", "tpc.estimates"}
    assert {m["environment"]["image"] for m in found} == {site.engine.image("tpc").removeprefix("localhost/")}
    _, shown = site.ask("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    assert {a["type"] for a in shown} >= {"table"}


def test_the_index_is_in_the_database_that_the_script_made(site: Site) -> None:
    question = "SELECT count(*) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    command = ["psql", "--username", "prefect", "--dbname", "penstock", "-Atc", question]
    done = subprocess.run(
        command, env={**os.environ, "PGHOST": str(site.folder / "postgres")}, capture_output=True, text=True, check=True, cwd="/"
    )
    assert int(done.stdout) > 0


def test_the_key_of_the_authority_is_in_no_container(site: Site) -> None:
    seen = {name: site.podman("exec", container, "ls", "/certs", check=False).stdout.split() for name, container in site.names.items()}
    assert {name for name, files in seen.items() if files} == {"scheduler", "worker-tpc", "flows"}
    assert {file for files in seen.values() for file in files} == {"ca.pem", "node.pem", "node-key.pem"}
