"""Phases as groups write them, for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.compat.spyral.phase import PhaseLike
from penstock.compat.spyral.runs import form_run_string
from penstock.compat.spyral.schema import CLUSTER_SCHEMA, ESTIMATE_SCHEMA, POINTCLOUD_SCHEMA, PhaseResult, ResultSchema

SOLVED_SCHEMA = '{"solved": {"extension": ".parquet", "data": {"event": "int", "energy": "float"}}}'


@dataclass
class SolverParameters:
    """Parameters of a solver."""

    factor: float = 2.0
    asset: str = "weights.npy"


class Solver(PhaseLike):
    """Reads estimates and an asset, hands on metadata; some things it does only where it is told to."""

    def __init__(self, params: SolverParameters, fault: str = "") -> None:
        super().__init__("Solver", ResultSchema(ESTIMATE_SCHEMA), ResultSchema(SOLVED_SCHEMA))
        self.params = params
        self.fault = fault

    def create_assets(self, workspace_path: Path) -> bool:
        self.asset = self.get_asset_storage_path(workspace_path) / self.params.asset
        if not self.asset.exists():
            np.save(self.asset, np.array([self.params.factor]))
        if self.fault == "opaque member":
            self.loaded = iter(np.load(self.asset))
        return self.fault != "no assets"

    def create_shared_data(self, workspace_path: Path, handles: dict[str, SharedMemory]) -> None:
        handles["solver"] = SharedMemory(create=True, size=8)
        handles["solver"].buf[0] = 3
        self.shared = handles["solver"].name

    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        path = self.get_artifact_path(workspace_path) / f"{form_run_string(payload.run_number)}.parquet"
        return PhaseResult({"solved": path, "cluster": payload.artifacts["cluster"]}, True, payload.run_number)

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        if self.fault == "not successful":
            return PhaseResult.invalid_result(payload.run_number)
        result = self.construct_artifact(payload, workspace_path)
        msg_queue.put("begun")
        weight = next(self.loaded) if self.fault == "opaque member" else np.load(self.asset)[0]
        shared = SharedMemory(self.shared)
        rows = pq.read_table(payload.artifacts["estimation"], columns=["event", "brho"])
        energy = np.asarray(rows["brho"]) * weight * shared.buf[0]
        shared.close()
        table = pa.table({"event": rows["event"], "energy": energy, "random": rng.random(rows.num_rows)})
        if self.fault != "no file":
            pq.write_table(table, result.artifacts["solved"])
        (self.get_artifact_path(workspace_path) / "log.txt").write_text("side file")
        result.metadata["tracks"] = rows.num_rows
        result.metadata["asset"] = self.asset
        if self.fault == "odd metadata":
            result.metadata["handle"] = {"of": open}
        return result


class Reader(PhaseLike):
    """Stands behind another phase; writes down what it was handed. It has no schema."""

    def __init__(self) -> None:
        super().__init__("Reader")

    def create_assets(self, workspace_path: Path) -> bool:
        return True

    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        return PhaseResult({"text": self.get_artifact_path(workspace_path) / "text.txt"}, True, payload.run_number)

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        result = self.construct_artifact(payload, workspace_path)
        with h5py.File(payload.artifacts["cluster"]) as file:
            events = len(file["cluster"])
        rows = pq.read_table(payload.artifacts["solved"]).num_rows
        asset = payload.metadata["asset"]
        told = f"{payload.metadata['tracks']} tracks, {asset.relative_to(workspace_path)} {np.load(asset)}"
        result.artifacts["text"].write_text(f"run {payload.run_number}: {events} events, {rows} rows, {told}")
        return result


class Tail(PhaseLike):
    """Between stages: keeps the last `keep` points or clusters of each event, and drops events as it is told."""

    def __init__(self, kind: str, keep: int = 2, drop: int = -1, stranger: bool = False) -> None:
        schema = ResultSchema(POINTCLOUD_SCHEMA)
        super().__init__("Tail", schema, schema if kind == "points" else ResultSchema(CLUSTER_SCHEMA))
        self.kind, self.keep, self.drop, self.stranger = kind, keep, drop, stranger

    def create_assets(self, workspace_path: Path) -> bool:
        return True

    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        name = "pointcloud" if self.kind == "points" else "cluster"
        return PhaseResult({name: self.get_artifact_path(workspace_path) / "out.h5"}, True, payload.run_number)

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        result = self.construct_artifact(payload, workspace_path)
        with h5py.File(payload.artifacts["pointcloud"]) as old, h5py.File(next(iter(result.artifacts.values())), "w") as new:
            group = new.create_group("cloud" if self.kind == "points" else "cluster")
            group.attrs.update(old["cloud"].attrs)
            for name, cloud in old["cloud"].items():
                number = int(name.removeprefix("cloud_"))
                if number != self.drop:
                    self._write(group, number + 1000 * self.stranger, cloud)
        return result

    def _write(self, group: h5py.Group, number: int, cloud: h5py.Dataset) -> None:
        if self.kind == "points":
            group.create_dataset(f"cloud_{number}", data=cloud[-self.keep :]).attrs.update(cloud.attrs)
            return
        event = group.create_group(f"event_{number}")
        event.attrs.update(cloud.attrs)
        event.attrs["nclusters"] = 1
        cluster = event.create_group("cluster_0")
        cluster.attrs.update({"label": 5, "direction": 1})
        cluster.create_dataset("cloud", data=cloud[-self.keep :][:, [0, 1, 2, 4, 7]])


class Plain(PhaseLike):
    """A phase with the schemas that a test gives it."""

    def __init__(self, incoming: str = "", outgoing: str = "") -> None:
        super().__init__("Plain", ResultSchema(incoming) if incoming else None, ResultSchema(outgoing) if outgoing else None)

    def create_assets(self, workspace_path: Path) -> bool:
        return True

    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        return payload

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        return payload


@dataclass
class ForeignResult:
    """A result as Spyral 1.1 has it, without metadata."""

    artifacts: dict[str, Path]
    successful: bool
    run_number: int


class Foreign:
    """A phase whose base class is not ours, but that of an installed Spyral: the protocol, and nothing else."""

    name = "Foreign"
    incoming_schema = ResultSchema(CLUSTER_SCHEMA)
    outgoing_schema = ResultSchema(SOLVED_SCHEMA)

    def get_artifact_path(self, workspace_path: Path) -> Path:
        return workspace_path / self.name

    def get_asset_storage_path(self, workspace_path: Path) -> Path:
        return workspace_path / f"{self.name}_assets"

    def create_assets(self, workspace_path: Path) -> bool:
        return True

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> ForeignResult:
        path = self.get_artifact_path(workspace_path) / "run_0094.parquet"
        with h5py.File(payload.artifacts["cluster"]) as file:
            pq.write_table(pa.table({"event": list(file["cluster"])}), path)
        return ForeignResult({"solved": path}, True, payload.run_number)
