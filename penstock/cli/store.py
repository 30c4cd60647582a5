"""``penstock store``: list, show, check, clean and export artifacts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from penstock.cli._options import json_option, open_store, print_json, print_table
from penstock.cli.explain import store_option
from penstock.core.canonical import Key
from penstock.core.errors import ConfigError
from penstock.store import Store, collect, empty_trash, find_garbage

__all__ = ["store"]


@click.group()
def store() -> None:
    """The artifact store: of --store, or of the nearest experiment.toml."""


@store.command(epilog="Example: penstock store ls --stage tpc.clusters")
@store_option
@click.option("--stage", default=None, help="Artifacts of one stage only.")
@json_option
def ls(store_path: Path | None, stage: str | None, as_json: bool) -> None:
    """List artifacts, oldest first; a star marks those that a name refers to."""
    with open_store(store_path) as opened:
        found = [a for a in opened.index.artifacts().values() if stage in (None, a.stage)]
        named = set(opened.index.refs().values())
    if as_json:
        print_json(
            [
                {
                    "key": a.key,
                    "stage": a.stage,
                    "subject": a.subject,
                    "events_in": a.events_in,
                    "events_out": a.events_out,
                    "bytes": a.size,
                    "created": a.created,
                    "named": a.key in named,
                }
                for a in found
            ]
        )
    else:
        rows = [
            [a.key.short + ("*" if a.key in named else ""), a.stage, a.subject, str(a.events_out), f"{a.size / 1e6:.2f}", a.created[:19]]
            for a in found
        ]
        print_table(["key", "stage", "subject", "events", "MB", "created (UTC)"], rows)


@store.command(epilog="Example: penstock store show 4f2k9cqx7d")
@click.argument("key")
@store_option
def show(key: str, store_path: Path | None) -> None:
    """Print the manifest of an artifact as JSON."""
    with open_store(store_path) as opened:
        print_json(asdict(opened.manifest(opened.resolve(key))))


@store.command(epilog="Example: h5ls -r $(penstock store path 4f2k9cqx7d)/points.h5")
@click.argument("key")
@store_option
@json_option
def path(key: str, store_path: Path | None, as_json: bool) -> None:
    """Print the folder that holds the data files of an artifact."""
    with open_store(store_path) as opened:
        folder = opened.data_folder(opened.resolve(key)).resolve()
    if as_json:
        print_json({"path": str(folder), "files": sorted(p.name for p in folder.iterdir() if p.name != "manifest.json")})
    else:
        click.echo(str(folder))


@store.command(epilog="Example: penstock store add maps/pad_time.csv --schema tpc.pads/1")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--schema", required=True, help="What the file holds, such as tpc.pads/1.")
@store_option
@json_option
def add(file: Path, schema: str, store_path: Path | None, as_json: bool) -> None:
    """Keep a calibration or geometry file as an artifact; name it in [assets] as "artifact:KEY"."""
    with open_store(store_path) as opened:
        key = opened.add(file, schema)
    if as_json:
        print_json({"key": key})
    else:
        click.echo(key)


@store.command(epilog="Example: penstock store verify")
@click.argument("keys", nargs=-1)
@store_option
@json_option
def verify(keys: tuple[str, ...], store_path: Path | None, as_json: bool) -> None:
    """Re-hash artifacts (all, or those named). A damaged one is set aside, and the next run recomputes it.

    Exit code 1 where anything is damaged.
    """
    with open_store(store_path) as opened:
        found = list(opened.verify([opened.resolve(k) for k in keys] or None))
    damaged = [d for _, d in found if d is not None]
    if as_json:
        print_json({"verified": len(found), "damaged": [{"key": d.key, "problem": d.problem} for d in damaged]})
    else:
        for damage in damaged:
            click.echo(f"damaged: {damage.key.short}: {damage.problem}; set aside, the next run recomputes it")
        click.echo(f"{len(found)} artifacts verified, {len(damaged)} damaged")
    if damaged:
        sys.exit(1)


@store.command(epilog="Example: penstock store gc --yes")
@store_option
@click.option("--yes", is_flag=True, help="Move the garbage to the trash; without, it is only listed.")
@click.option("--empty-trash", "empty", is_flag=True, help="Remove what lies in the trash for good.")
@click.option("--hours", type=click.FloatRange(min=0), default=24.0, show_default=True, help="Younger things are spared.")
@click.option("--cache", "cache", is_flag=True, help="Of a store in a bucket: remove local copies, those unused for longest first.")
@click.option("--keep-gb", type=click.FloatRange(min=0), default=0.0, show_default=True, help="With --cache: so much may stay.")
@json_option
def gc(store_path: Path | None, yes: bool, empty: bool, hours: float, cache: bool, keep_gb: float, as_json: bool) -> None:
    """List what no name, claim or younger artifact needs; with --yes move it to the trash."""
    if cache:
        with open_store(store_path) as opened:
            count, left = opened.evict(spare_s=hours * 3600, keep_bytes=int(keep_gb * 1e9))
        if as_json:
            print_json({"removed": count, "bytes_left": left})
        else:
            click.echo(f"{count} copies removed from the cache, {left / 1e6:.2f} MB left")
        return
    with open_store(store_path) as opened:
        garbage = find_garbage(opened, spare_s=hours * 3600)
        if yes:
            garbage = collect(opened, garbage)
        removed = empty_trash(opened) if empty else 0
    if as_json:
        print_json({"garbage": [{"key": g.key, "what": g.what, "bytes": g.size} for g in garbage], "moved": yes, "removed": removed})
        return
    for item in garbage:
        click.echo(f"{item.key.short}  {item.what}  {item.size / 1e6:.2f} MB")
    click.echo(
        f"{len(garbage)} folders, {sum(g.size for g in garbage) / 1e6:.2f} MB{' moved to the trash' if yes else '; move them with --yes'}"
    )
    if empty:
        click.echo(f"{removed} folders removed from the trash")


@store.command(epilog="Example: penstock store export 4f2k9cqx7d --out results")
@click.argument("key")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the copies.")
@click.option(
    "--layout",
    type=click.Choice(["own", "merger-2.0"]),
    default="own",
    show_default=True,
    help="own: the files as they are, with the manifest. merger-2.0: traces as a run file of the AT-TPC's merger.",
)
@store_option
@json_option
def export(key: str, out: Path, layout: str, store_path: Path | None, as_json: bool) -> None:
    """Copy an artifact out of the store, under names that say what it is.

    \b
    In layout merger-2.0 the scalers of the run come along where the store has them (stage tpc.scalers).
    """  # noqa: D301  click wants the character itself
    with open_store(store_path) as opened:
        found = opened.resolve(key)
        copies = opened.export(found, out) if layout == "own" else [_export_merged(opened, found, out)]
    if as_json:
        print_json({"files": [str(p) for p in copies]})
    else:
        for copy in copies:
            click.echo(str(copy))


def _export_merged(opened: Store, key: Key, out: Path) -> Path:
    from penstock.formats.attpc_export import export_merged
    from penstock.formats.scalers import Scalers
    from penstock.formats.traces import Traces

    manifest = opened.manifest(key)
    if manifest.schema != Traces.schema_id() or manifest.run is None:
        raise ConfigError(
            f"artifact {key.short} has schema {manifest.schema!r}; layout merger-2.0 holds {Traces.schema_id()!r}. Export a result of tpc.merge."
        )
    same_run = [a.key for a in opened.index.artifacts().values() if a.stage == "tpc.scalers" and a.subject == manifest.subject]
    scalers: Any = opened.read(opened.manifest(same_run[-1]), Scalers) if same_run else None
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"run_{manifest.run:04d}.h5"
    source: Any = SimpleNamespace(n_events=manifest.n_events, read=partial(opened.read, manifest, Traces))
    export_merged(source, scalers, path, block=manifest.block)
    return path


@store.command(epilog="Example: penstock store rebuild")
@store_option
@json_option
def rebuild(store_path: Path | None, as_json: bool) -> None:
    """Make the index anew from the manifests and names."""
    with open_store(store_path) as opened:
        count = opened.rebuild()
    if as_json:
        print_json({"artifacts": count})
    else:
        click.echo(f"{count} artifacts entered into the index")
