"""What images are made with, and what their Dockerfiles say; no engine needed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from penstock.config import load_registry

ROOT = Path(__file__).parents[2]
WORKERS = ("tpc", "events", "gpu")
IMAGES = (*WORKERS, "flows")


def piece(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "containers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dockerfile(image: str) -> str:
    return (ROOT / "containers" / image / "Dockerfile").read_text()


PROJECT = {
    "name": "p",
    "dependencies": ["numpy"],
    "optional-dependencies": {"a": ["x>=1"], "b": ["p[c]", "y"], "c": ["z"], "all": ["p[a,b]", "p[all]"]},
}


@pytest.mark.parametrize(
    ("extras", "expected"),
    [([], ["numpy"]), (["a"], ["numpy", "x>=1"]), (["b"], ["numpy", "y", "z"]), (["all"], ["numpy", "x>=1", "y", "z"])],
    ids=["none", "one", "one that names another", "all"],
)
def test_requirements_follow_extras_of_the_same_project(extras: list[str], expected: list[str]) -> None:
    assert sorted(piece("requirements").requirements(PROJECT, extras)) == expected


def test_an_unknown_extra_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"extra 'd' is not known. Known are a, all, b, c."):
        list(piece("requirements").requirements(PROJECT, ["d"]))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A shared library with more than a mebibyte of sections that no program maps."""
    found = importlib.util.find_spec("_ctypes_test")
    if found is None or found.origin is None or shutil.which("objcopy") is None:
        pytest.skip("needs a shared library to try on, Python's _ctypes_test, and objcopy (apt-get install binutils)")
    (tmp_path / "notes").write_bytes(b"." * (1 << 21))
    target = tmp_path / "_ctypes_test.so"
    command = ["objcopy", "--add-section", f".debug_notes={tmp_path / 'notes'}", found.origin, str(target)]
    subprocess.run(command, check=True)
    return target


def test_a_library_without_its_symbols_is_smaller_and_still_loads(library: Path) -> None:
    before = library.stat().st_size

    saved = piece("slim").strip_library(library)

    assert saved >= 1 << 21
    assert library.stat().st_size == before - saved
    program = f"import ctypes; assert ctypes.CDLL({str(library)!r})._testfunc_i_bhilfd is not None"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_library_that_would_hardly_shrink_and_other_files_stay_as_they_are(tmp_path: Path) -> None:
    text = tmp_path / "libm.so"
    text.write_text("INPUT(libm.so.6)")

    assert piece("slim").strip_library(text) == 0
    assert text.read_text() == "INPUT(libm.so.6)"


def test_tests_and_headers_go_and_code_stays(tmp_path: Path) -> None:
    packages = tmp_path / "lib/python3.11/site-packages"
    for name in ("a/tests/test_a.py", "a/b/tests/data.bin", "a/testing.py", "pyarrow/include/x.h", "pyarrow/_flight.so", "pyarrow/lib.so"):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()

    piece("slim").slim(tmp_path)

    left = sorted(p.relative_to(packages).as_posix() for p in packages.rglob("*") if p.is_file())
    assert left == ["a/testing.py", "pyarrow/lib.so"]


class _Answer(BaseHTTPRequestHandler):
    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def served() -> Iterator[SimpleNamespace]:
    """A worker as Dask hands it to a preload, with a real HTTP server."""
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(http_server=SimpleNamespace(address="0.0.0.0", port=server.server_port))
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def health(tmp_path: Path) -> ModuleType:
    module = piece("health")
    module.FOLDER = tmp_path / "notes"  # type: ignore[attr-defined]
    return module


def test_a_worker_that_answers_is_well(health: ModuleType, served: SimpleNamespace) -> None:
    health.dask_setup(served)

    assert health.main(["--announced"]) == 0


def test_a_worker_that_answers_no_more_is_ill(health: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), _Answer) as gone:
        port = gone.server_port
    health.dask_setup(SimpleNamespace(http_server=SimpleNamespace(address="127.0.0.1", port=port)))

    assert health.main([]) == 1
    assert f"no answer from http://127.0.0.1:{port}/health" in capsys.readouterr().out


def test_an_answer_other_than_200_is_ill(health: ModuleType, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Answer, "code", 503)
    health.dask_setup(served)

    assert health.main([]) == 1


def test_a_process_that_ended_does_not_count(health: ModuleType, served: SimpleNamespace) -> None:
    health.dask_setup(served)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (health.FOLDER / str(ended.pid)).write_text("127.0.0.1 1")

    assert health.main(["--announced"]) == 0


def test_where_nothing_was_announced_only_a_worker_is_ill(health: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main([]) == 0
    assert health.main(["--announced"]) == 1
    assert "no Dask process of this container serves /health" in capsys.readouterr().out


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_not_root_has_a_health_check_and_labels(image: str) -> None:
    text = dockerfile(image)

    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert 'CMD ["python", "/opt/penstock/health.py"' in text
    assert "PENSTOCK_IMAGE=${IMAGE}" in text
    for label in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in text


@pytest.mark.parametrize("image", WORKERS)
def test_the_lane_of_an_image_is_one_that_stages_have(image: str) -> None:
    lanes = re.findall(r"DASK_DISTRIBUTED__WORKER__RESOURCES__(\w+)=1", dockerfile(image))

    assert lanes == [image.upper()]
    assert image == "gpu" or image in {stage.lane for stage in load_registry().stages.values()}


@pytest.mark.parametrize("image", IMAGES)
def test_what_an_image_installs_are_extras_of_the_package(image: str) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [name for extras in re.findall(r"^ARG EXTRAS=(.*)$", dockerfile(image), re.MULTILINE) for name in extras.split(",")]

    assert asked
    assert set(asked) <= set(known)


def test_nothing_that_makes_images_holds_an_address_of_an_index_or_a_password() -> None:
    texts = {p: p.read_text() for p in (ROOT / "containers").rglob("*") if p.is_file() and p.suffix != ".pyc"}

    assert len(texts) > len(IMAGES)
    found = [p.name for p, text in texts.items() if re.search(r"index-url|find-links|trusted-host|password=|token=", text, re.IGNORECASE)]
    assert found == []


def test_building_an_unknown_image_names_the_known_ones() -> None:
    command = [str(ROOT / "containers" / "build.sh"), "tcp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "CONTAINER_ENGINE": "true"})

    assert done.returncode == 2
    assert done.stderr == "image 'tcp' is not known. Known are tpc, events, flows, gpu, gpu-cpu.\n"


def test_a_machine_without_an_engine_is_told_what_to_install(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = subprocess.run([str(ROOT / "containers" / "build.sh")], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})

    assert done.returncode == 2
    assert "no container engine is installed. Install Docker (docs.docker.com/engine/install) or podman" in done.stderr


def test_what_podman_was_lent_for_a_build_is_taken_out_of_the_finished_image(tmp_path: Path) -> None:
    engine = tmp_path / "podman"
    engine.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path / "calls"}\n[ "$1" != build ] || case "$*" in *"-f -"*) cat >>{tmp_path / "calls"} ;; esac\n'
    )
    engine.chmod(0o755)
    environment = {
        "PATH": "/usr/bin:/bin",
        "CONTAINER_ENGINE": str(engine),
        "CONTAINER_BUILD_ARGS": "-v /a:/a:ro --env PIP_CERT --env=PIP_FIND_LINKS --env X=1",
        "CONTAINER_TAG": "7",
    }

    subprocess.run([str(ROOT / "containers" / "build.sh"), "tpc"], check=True, env=environment, capture_output=True)

    build, again, *text = (tmp_path / "calls").read_text().splitlines()
    assert "--format docker --build-arg IMAGE=penstock-tpc:7" in build
    assert build.endswith("-f containers/tpc/Dockerfile -t penstock-tpc:7 .")
    assert "--unsetenv PIP_CERT --unsetenv PIP_FIND_LINKS --unsetenv X -t penstock-tpc:7 -f - ." in again
    assert text == ["FROM penstock-tpc:7", "USER 10001:10001"]
