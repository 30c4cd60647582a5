"""``penstock explain`` and ``penstock diff``: what made an artifact, and what differs between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from penstock.cli._options import json_option, open_store, print_json, print_table
from penstock.config import nested
from penstock.core.plan import differences

__all__ = ["diff", "explain"]

store_option = click.option(
    "--store",
    "store_path",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the store, or s3://bucket/prefix; that of the nearest experiment.toml without.",
)


@click.command(epilog="Example: penstock explain 4f2k9cqx7d")
@click.argument("key")
@store_option
@json_option
def explain(key: str, store_path: Path | None, as_json: bool) -> None:
    """Print what made the artifact under KEY: inputs, code, and each parameter with where its value came from."""
    with open_store(store_path) as store:
        manifest = store.manifest(store.resolve(key))
    if as_json:
        print_json(asdict(manifest))
        return
    counts = manifest.counts
    click.echo(f"{manifest.key}\n  {manifest.stage} of {manifest.subject}, schema {manifest.schema}")
    click.echo(
        f"  {counts.events_in} events in, {counts.events_out} out, {manifest.size / 1e6:.1f} MB, finished {manifest.times['finished']}"
    )
    for reason, number in {**counts.rejected, **counts.excluded}.items():
        click.echo(f"  {number} events without a result: {reason}")
    click.echo(
        f"  code: version {manifest.code['version']}, fingerprint {manifest.code['fingerprint']}{'' if manifest.code['locked'] else ' (not the locked one)'}"
    )
    for slot, source in manifest.inputs.items():
        click.echo(f"  input {slot}: {source[:10]}")
    click.echo(f"  made on {manifest.environment['host']}, numerics {manifest.environment['numerics']}")
    params = nested(manifest.recipe["params"]) if isinstance(manifest.recipe["params"], Mapping) else {}
    print_table(
        ["  parameter", "value", "from"],
        [[f"  {path}", str(value), manifest.origins.get(path, "default")] for path, value in params.items()],
    )


@click.command(epilog="Example: penstock diff 4f2k9cqx7d 7d0a1bq2mm")
@click.argument("one")
@click.argument("other")
@store_option
@json_option
def diff(one: str, other: str, store_path: Path | None, as_json: bool) -> None:
    """Print every field in which the recipes of two artifacts differ."""
    with open_store(store_path) as store:
        first, second = (store.manifest(store.resolve(key)) for key in (one, other))
    found = list(differences(first.recipe, second.recipe))
    if as_json:
        print_json([{"field": field, "one": left, "other": right} for field, left, right in found])
    elif not found:
        click.echo("the same recipe")
    else:
        print_table(["field", first.key.short, second.key.short], [[field, str(left), str(right)] for field, left, right in found])
