"""Export of the artifacts of a run as a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from penstock.core.errors import ConfigError
from penstock.core.schema import Records
from penstock.formats.scalers import ScalerRecord, Scalers
from penstock.formats.spyral.workspace import Source, export_run


@dataclass(frozen=True)
class KeptRecords:
    """Stands for a manifest: records that are kept in memory."""

    records: Records
    block: int = 2

    @property
    def n_events(self) -> int:
        return self.records.n_events


class MemoryStore:
    """A store that hands out parts of records."""

    def read(self, manifest: Any, schema: type[Records], start: int, stop: int) -> Records:
        return manifest.records.part(start, min(stop, manifest.n_events))


def sources(*records: Records) -> dict[str, Any]:
    return {type(r).name: Source(KeptRecords(r), type(r)) for r in records}  # type: ignore[arg-type]


def export(folder: Path, *records: Records, **options: Any) -> Any:
    return export_run(MemoryStore(), 94, sources(*records), folder, **options)  # type: ignore[arg-type]


def test_every_kind_of_result_has_its_place(points, clusters, estimates, fits, tmp_path) -> None:
    scalers = Scalers.of([ScalerRecord(np.arange(11) + k, 0, 1, 2) for k in (1, 5)], {})
    done = export(tmp_path, points, clusters, estimates, fits, scalers)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in done.files) == [
        "Cluster/run_0094.h5",
        "Estimation/run_0094.parquet",
        "InterpSolver/run_0094_1H.parquet",
        "InterpSolver/run_0094_4He.parquet",
        "Pointcloud/run_0094.h5",
        "Pointcloud/run_0094_gated_ic_scaler.txt",
        "Pointcloud/run_0094_scaler.parquet",
    ]
    assert all(p.is_file() for p in done.files)
    assert pq.read_table(tmp_path / "Pointcloud/run_0094_scaler.parquet").to_pydict()["ic_cfd"] == [11, 15]
    assert (tmp_path / "Pointcloud/run_0094_gated_ic_scaler.txt").read_text() == "IC counts with multiplicity <= 1\n1"


def test_a_run_without_fits_has_no_file_of_them_and_says_so(fits, tmp_path) -> None:
    done = export(tmp_path, fits.part(1, 3))
    assert done.files == ()
    assert done.left_out == ("run 94: no track was fitted, so there is no file in InterpSolver, as in Spyral",)


def test_a_run_without_scaler_records_has_no_file_of_them(tmp_path) -> None:
    assert export(tmp_path, Scalers.of([], {})).files == ()


def test_what_is_there_is_kept_unless_it_may_be_replaced(estimates, tmp_path) -> None:
    export(tmp_path, estimates)
    with pytest.raises(ConfigError, match=r"run 94: .*Estimation/run_0094.parquet is there already"):
        export(tmp_path, estimates)
    assert len(export(tmp_path, estimates, overwrite=True).files) == 1


def test_fits_of_a_particle_that_is_no_longer_fitted_are_removed(fits, tmp_path) -> None:
    export(tmp_path, fits)
    fits["fits"]["Z"][2], fits["fits"]["A"][2] = 1, 1
    export(tmp_path, fits, overwrite=True)
    assert [p.name for p in (tmp_path / "InterpSolver").iterdir()] == ["run_0094_1H.parquet"]
