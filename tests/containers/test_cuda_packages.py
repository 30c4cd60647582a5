"""The packages of the image for CUDA devices fit together: installed as its Dockerfile does, without a device and without CUDA's libraries."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DASK = re.findall(r"^((?:dask|distributed)==\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def packages() -> tuple[list[str], list[str]]:
    """What the Dockerfile installs with what it needs, and what as it is."""
    text = (ROOT / "containers" / "gpu" / "Dockerfile").read_text()
    (full,) = re.findall(r"\$pip -c constraints\.txt ([^&]+)&&", text)
    (bare,) = re.findall(r"\$pip --no-deps ([^&;]+)&&", text)
    return shlex.split(full), shlex.split(bare)


def test_all_that_the_image_installs_for_devices_is_for_one_major_version_of_cuda() -> None:
    full, _ = packages()
    majors = {*re.findall(r"cu(?:da)?(\d+)x?\b", " ".join(full)), *re.findall(r"cuda-bindings==(\d+)", " ".join(full))}
    base = re.findall(r"nvidia/cuda:(\d+)\.", (ROOT / "containers" / "gpu" / "Dockerfile").read_text())
    assert majors == set(base) == {"13"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_dask_cuda_starts_and_finds_rmm(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    full, bare = packages()
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    small = [name for name in full if not name.startswith("cupy")]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *DASK, *small], check=True)
    subprocess.run([*pip, "--no-deps", *bare], check=True)

    shown = subprocess.run([str(python), "-m", "dask", "cuda", "worker", "--help"], capture_output=True, text=True, check=False)
    rmm = subprocess.run([str(python), "-c", "import rmm"], capture_output=True, text=True, check=False)

    assert shown.returncode == 0, shown.stderr
    assert "--rmm-pool-size" in shown.stdout
    assert rmm.returncode == 0, rmm.stderr
