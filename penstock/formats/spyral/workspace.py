"""Export: the artifacts of a run as the files of a Spyral workspace, for the scripts and notebooks that read those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import ConfigError
from penstock.core.schema import Records
from penstock.formats.spyral.clouds import write_clusters, write_points
from penstock.formats.spyral.layout import CLUSTERS, ESTIMATES, FITS, POINTS, find_runs, run_name
from penstock.formats.spyral.tables import count_gated_downscale, write_estimates, write_fits, write_scalers
from penstock.store import Manifest, Store

__all__ = ["Exported", "Source", "export_run"]

DOWNSCALE = 2
"""V977 register of an event that only the down-scaled ion-chamber trigger took."""
_EVENTS = 1024
"""Events in memory at a time."""


@dataclass(frozen=True, slots=True)
class Source:
    """An artifact of a run, and the schema that it has."""

    manifest: Manifest
    schema: type[Records]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written of a run, and what could not be and why."""

    run: int
    files: tuple[Path, ...]
    left_out: tuple[str, ...]


def export_run(
    store: Store, run: int, sources: Mapping[str, Source], workspace: Path, *, most_pulses: int = 1, overwrite: bool = False
) -> Exported:
    """Write the artifacts of one run in the layout of a workspace.

    Parameters
    ----------
    sources
        Artifacts by the name of their schema: ``tpc.points``, ``tpc.clusters``, ``tpc.estimates``, ``tpc.fits``,
        ``tpc.scalers``; those that are not there are left out, others have no place in a workspace.
    most_pulses
        Events with more ion-chamber pulses are marked as having none, as Spyral's `ic_multiplicity` does.
    overwrite
        Replace files of this run that are there already.

    Raises
    ------
    ConfigError
        The workspace has files of this run already.
    """
    _refuse_present(workspace, run, sources, overwrite)
    name = run_name(run)
    files: list[Path] = []
    left_out: list[str] = []

    def blocks(schema: str) -> Iterator[Records]:
        return _blocks(store, sources[schema])

    writers: dict[str, tuple[Path, Callable[[Iterator[Records], Path], None]]] = {
        "tpc.points": (workspace / POINTS / f"{name}.h5", lambda b, p: write_points(b, p, most_pulses=most_pulses)),
        "tpc.clusters": (workspace / CLUSTERS / f"{name}.h5", lambda b, p: write_clusters(b, p, most_pulses=most_pulses)),
        "tpc.estimates": (workspace / ESTIMATES / f"{name}.parquet", lambda b, p: write_estimates(b, p, most_pulses=most_pulses)),
    }
    for schema, (path, write) in writers.items():
        if schema in sources:
            write(blocks(schema), path)
            files.append(path)
    if "tpc.fits" in sources:
        written = write_fits(blocks("tpc.fits"), workspace / FITS, run)
        files += written
        left_out += [] if written else [f"run {run}: no track was fitted, so there is no file in {FITS}, as in Spyral"]
    if "tpc.scalers" in sources:
        path = workspace / POINTS / f"{name}_scaler.parquet"
        scalers = next(blocks("tpc.scalers"))["scalers"]
        if len(next(iter(scalers.values()))):
            write_scalers(scalers, path)
            files.append(path)
    if "tpc.points" in sources:
        count = count_gated_downscale(blocks("tpc.points"), DOWNSCALE, most_pulses)
        path = workspace / POINTS / f"{name}_gated_ic_scaler.txt"
        path.write_text(f"IC counts with multiplicity <= {most_pulses}\n{count}")
        files.append(path)
    return Exported(run, tuple(files), tuple(left_out))


def _blocks(store: Store, source: Source) -> Iterator[Records]:
    size = max(1, _EVENTS // source.manifest.block) * source.manifest.block
    for start in range(0, source.manifest.n_events, size):
        yield store.read(source.manifest, source.schema, start, start + size)


def _refuse_present(workspace: Path, run: int, sources: Mapping[str, Source], overwrite: bool) -> None:
    folders = {"tpc.points": POINTS, "tpc.clusters": CLUSTERS, "tpc.estimates": ESTIMATES, "tpc.fits": FITS}
    wanted = {folders[schema] for schema in sources if schema in folders}
    present = [path for role, path in find_runs(workspace).get(run, {}).items() if role.partition(".")[0] in wanted]
    if present and not overwrite:
        raise ConfigError(f"run {run}: {present[0]} is there already. Export into another folder, or replace it with --force.")
    for path in present:
        path.unlink()
