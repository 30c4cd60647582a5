"""Which ``dranspose`` an import finds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

import penstock
from penstock.compat.dranspose.event import message_encoder
from penstock.stream.models import EventData, StreamData

USER_IMPORTS = """
from dranspose.middlewares.stream1 import parse as parse_stins
from dranspose.middlewares.eiger_legacy import parse as parse_eiger
from dranspose.middlewares.xspress import parse as parse_xspress
from dranspose.middlewares.contrast import parse as parse_contrast
from dranspose.middlewares.pcap import parse as parse_pcap
from dranspose.middlewares.positioncap import PositioncapParser
from dranspose.middlewares.lecroy import parse as parse_lecroy
from dranspose.middlewares.sardana import parse as parse_sardana
from dranspose.middlewares import stream1, contrast, xspress
from dranspose.data.stream1 import Stream1Start, Stream1Data, Stream1End, Stream1Packet
from dranspose.data.eiger_legacy import EigerLegacyHeader, EigerLegacyImage, EigerLegacyEnd
from dranspose.data.xspress3 import XspressStart, XspressImage, XspressEnd, XspressPacket
from dranspose.data.contrast import ContrastStarted, ContrastRunning, ContrastFinished, ContrastPacket
from dranspose.data.pcap import PCAPStart, PCAPData, PCAPEnd, PCAPPacket
from dranspose.data.positioncap import PositionCapStart, PositionCapValues, PositionCapEnd, PositionCapField
from dranspose.data.albaem import AlbaemStart, AlbaemData, AlbaemEnd, AlbaemPacket
from dranspose.data.lecroy import LecroyPrepare, LecroySeqStart, LecroyData, LecroyParsed, LecroyEnd, LECROY_TYPE
from dranspose.data.sardana import SardanaDataDescription, SardanaRecordData, SardanaRecordEnd
from dranspose.event import EventData, InternalWorkerMessage, ResultData, StreamData
from dranspose.parameters import StrParameter, BinaryParameter, IntParameter, FloatParameter, BoolParameter, ParameterType
from dranspose.helpers.h5dump import dump
from dranspose.protocol import ParameterName, WorkParameter, WorkerState, ReducerState, VirtualWorker, StreamName, EventNumber
import dranspose
print(dranspose.__version__)
"""
PARAMETERS = """
from dataclasses import dataclass

@dataclass
class IntParameter:
    name: str
    default: int = 0
    description: str | None = None
    dtype: str = "int"
"""
MINE = """
from dranspose.parameters import IntParameter

class Worker:
    @staticmethod
    def describe_parameters():
        return [IntParameter(name="depth", default=3)]

    def process_event(self, event, parameters=None):
        return {name: parameter.value for name, parameter in parameters.items()}

class Reducer:
    def process_result(self, result, parameters=None):
        print(result.payload)
"""
INSTALL = "from penstock.compat.dranspose import install\n"


def run(code: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path) if path else ""}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of installed packages with a dranspose in it."""
    (tmp_path / "dranspose").mkdir()
    (tmp_path / "dranspose" / "__init__.py").write_text("REAL = True\n")
    return tmp_path


def test_names_that_workers_and_reducers_import_are_found_after_install() -> None:
    done = run(f"{INSTALL}assert install()\nassert install()\n{USER_IMPORTS}")

    assert done.stdout == f"0.2.0+penstock.{penstock.__version__}\n", done.stderr


def test_nothing_is_called_dranspose_without_install() -> None:
    done = run("import penstock.compat.dranspose\nimport dranspose")

    assert "ModuleNotFoundError: No module named 'dranspose'" in done.stderr


def test_importing_a_parser_of_images_starts_nothing_heavy() -> None:
    heavy = "{'numba', 'h5py', 'uvicorn', 'dask', 'zmq', 'matplotlib', 'scipy'}"
    done = run(f"{INSTALL}install()\nfrom dranspose.middlewares.stream1 import parse\nimport sys\nprint({heavy} & set(sys.modules))")

    assert done.stdout == "set()\n", done.stderr


def test_an_installed_dranspose_is_left_alone(installed: Path) -> None:
    done = run(f"{INSTALL}print(install())\nimport dranspose\nprint(dranspose.REAL)", path=installed)

    assert done.stdout == "False\nTrue\n", done.stderr


def test_workers_with_parameters_of_an_installed_dranspose_are_replayed(installed: Path) -> None:
    (installed / "dranspose/parameters.py").write_text(PARAMETERS)
    (installed / "mine.py").write_text(MINE)
    with (installed / "one.cbors").open("wb") as file:
        cbor2.CBOREncoder(file, default=message_encoder).encode(EventData(0, {"x": StreamData("STINS", [b"{}"])}))

    command = [str(Path(sys.executable).parent / "penstock"), "replay", "-w", "mine:Worker", "-r", "mine:Reducer", "-f", "one.cbors"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout == "{'depth': 3}\n" * 2, done.stderr


def test_it_is_replaced_where_that_is_asked_for(installed: Path) -> None:
    done = run(f"{INSTALL}print(install(instead=True))\nimport dranspose\nprint('penstock' in dranspose.__version__)", path=installed)

    assert done.stdout == "True\nTrue\n", done.stderr


def test_it_is_not_replaced_once_it_is_imported(installed: Path) -> None:
    done = run(f"import dranspose\n{INSTALL}print(install())\ninstall(instead=True)", path=installed)

    assert done.stdout == "False\n"
    assert f"dranspose has been imported from {installed}/dranspose/__init__.py already." in done.stderr
    assert "Call penstock.compat.dranspose.install(instead=True) before any import of it." in done.stderr


def test_a_name_that_is_not_served_says_so() -> None:
    done = run(f"{INSTALL}install()\nfrom dranspose.protocol import RedisKeys")

    expected = "dranspose.protocol.RedisKeys: not served by penstock.compat.dranspose. Install dranspose, if you need its own code."
    assert f"ImportError: {expected}" in done.stderr
