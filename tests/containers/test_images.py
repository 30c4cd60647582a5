"""What is in the images, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]

ABSENT = {
    "tpc": {"prefect", "rerun", "cupy", "matplotlib", "cbor2", "pip", "pytest"},
    "events": {"prefect", "rerun", "cupy", "matplotlib", "scipy", "pycatima", "hdf5plugin", "pip", "pytest"},
    "gpu-cpu": {"prefect", "rerun", "cupy", "dask_cuda", "matplotlib", "cbor2", "pip", "pytest"},
    "flows": {"rerun", "cupy", "pip", "pytest"},
}
PRESENT = {
    "tpc": {"scipy", "pycatima", "periodictable", "hdf5plugin", "numba", "distributed"},
    "events": {"cbor2", "bitshuffle", "lz4", "numba", "distributed"},
    "gpu-cpu": {"scipy", "numba", "distributed"},
    "flows": {
        *("prefect", "matplotlib", "scipy", "cbor2", "distributed"),
        *("asyncpg", "psycopg", "prefect_redis", "prefect_kubernetes", "s3fs"),  # databases, messages, Jobs and buckets of deploy/
    },
}
QUESTION = """
import importlib.util, json, os, sys
def writable(folder):
    try:
        with open(folder + "/x", "w"):
            return True
    except OSError:
        return False
print(json.dumps({
    "modules": [m for m in sys.argv[1:] if importlib.util.find_spec(m)],
    "ids": [os.getuid(), os.getgid()],
    "writable": [f for f in ("/", "/opt/penstock", "/usr", "/etc", "/tmp") if writable(f)],
}))
"""


@pytest.mark.parametrize("name", list(ABSENT))
def test_an_image_holds_what_its_stages_need_and_nothing_else(name: str, engine: Any, images: dict[str, Any]) -> None:
    done = engine.ask(name, "python", "-c", QUESTION, *sorted(ABSENT[name] | PRESENT[name]))
    found = json.loads(done.stdout)

    assert set(found["modules"]) == PRESENT[name]
    assert 0 not in found["ids"]
    assert found["writable"] == ["/tmp"]


@pytest.mark.parametrize("name", list(ABSENT))
def test_an_image_says_what_it_is_and_keeps_nothing_of_the_machine_that_built_it(name: str, images: dict[str, Any]) -> None:
    known = images[name]["Config"]
    environment = dict(item.partition("=")[::2] for item in known["Env"])

    assert known["User"] == "10001:10001"
    assert known["Labels"]["org.opencontainers.image.version"]
    assert known["Labels"]["org.opencontainers.image.revision"]
    assert environment["PENSTOCK_IMAGE"].startswith(f"penstock-{name}:")
    lent = ("PIP_", "HTTP", "NO_PROXY", "SSL_", "CURL_", "REQUESTS_")
    assert [variable for variable in environment if variable.upper().startswith(lent)] == []
    assert "HEALTHCHECK" in known or "Healthcheck" in known or "Healthcheck" in images[name]


def test_the_command_line_in_an_image_names_the_extra_that_it_lacks(engine: Any, images: dict[str, Any]) -> None:
    done = engine.ask("events", "penstock", "simulate", "tpc", "--out", "/tmp/raw", "--events", "1")

    assert done.returncode == 1
    assert "module 'periodictable' is not installed here; it belongs to the extra 'tpc' of penstock." in done.stderr
