"""The images, built once, and a container engine to run them; without one the tests skip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


class Engine:
    """Docker or podman, and the containers that the tests started."""

    user = 10001
    """User and group of the images."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.podman = Path(program).name.startswith("podman")
        self._names: list[str] = []

    def image(self, name: str) -> str:
        """The full name of one of our images, as both engines know it."""
        return f"{'localhost/' if self.podman else ''}penstock-{name}:{VERSION}"

    def call(self, *arguments: str, check: bool = True, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        """Call the engine; podman's complaints about a missing systemd are on standard error."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0 or not check, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def options(self, folder: Path | None, user: str | None = None, env: dict[str, str] | None = None) -> list[str]:
        """What every container of the tests gets: loopback of the host, a read-only root, and a user who may write into `folder`."""
        given = ["--network", "host", "--read-only", "--tmpfs", "/tmp:rw,mode=1777"]
        given += [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        given += ["--volume", f"{folder}:{folder}"] if folder else []
        if os.getuid():
            given += ["--userns", "keep-id"] if self.podman else []
            return [*given, "--user", f"{os.getuid()}:{os.getgid()}"]
        return [*given, "--user", user] if user else given

    def start(
        self, image: str, *command: str, folder: Path | None = None, user: str | None = None, env: dict[str, str] | None = None
    ) -> str:
        """Start a container that stays; returns its name."""
        name = f"penstock-test-{uuid.uuid4().hex[:8]}"
        self._names.append(name)
        self.call("run", "--detach", "--name", name, *self.options(folder, user, env), self.image(image), *command)
        return name

    def ask(self, image: str, *command: str, folder: Path | None = None, user: str | None = None, env: dict[str, str] | None = None) -> Any:
        """Run a command in a container of its own to its end."""
        where = ["--workdir", str(folder)] if folder else []
        return self.call("run", "--rm", *where, *self.options(folder, user, env), self.image(image), *command, check=False)

    def logs(self, name: str) -> str:
        """What a container has said."""
        done = self.call("logs", name, check=False)
        return done.stdout + done.stderr

    @staticmethod
    def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 120, report: Callable[[], str] = str) -> None:
        """Wait for something that happens in a container."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s\n{report()}"
            time.sleep(0.2)

    def remove(self, *names: str) -> None:
        """Stop containers and forget them."""
        for name in names or tuple(self._names):
            self.call("rm", "--force", "--time", "5", name, check=False) if self.podman else self.call("rm", "--force", name, check=False)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    program = os.environ.get("CONTAINER_ENGINE") or shutil.which("docker") or shutil.which("podman")
    if program is None:
        pytest.skip("needs a container engine: install Docker, or podman (apt-get install podman)")
    found = Engine(program)
    yield found
    found.remove()


@pytest.fixture(scope="session")
def images(engine: Engine) -> dict[str, dict[str, Any]]:
    """What the engine knows of each image, by its short name; they are built first unless CONTAINER_IMAGES=built."""
    names = ("tpc", "events", "flows", "gpu-cpu")
    if os.environ.get("CONTAINER_IMAGES") != "built":
        environment = {**os.environ, "CONTAINER_ENGINE": engine.program}
        subprocess.run([str(ROOT / "containers" / "build.sh"), *names], env=environment, check=True, timeout=3600)
    return {name: json.loads(engine.call("image", "inspect", engine.image(name)).stdout)[0] for name in names}
