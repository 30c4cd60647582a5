"""``penstock cluster``: what would be asked of a batch system."""

from __future__ import annotations

import json
from pathlib import Path

import click

from penstock.core.errors import ConfigError, nearest

__all__ = ["cluster"]


@click.group()
def cluster() -> None:
    """Jobs of a batch system that compute."""


@cluster.command(epilog="Example: penstock cluster script maxwell.toml --job tpc")
@click.argument("profile", type=click.Path(path_type=Path))
@click.option("--job", "kind", help="Only this kind of job.")
@click.option("--json", "as_json", is_flag=True, help="The scripts by kind of job, as JSON.")
def script(profile: Path, kind: str | None, as_json: bool) -> None:
    """The job scripts of a SLURM profile, without submitting any."""
    from penstock.execute._jobqueue_jobs import job_scripts
    from penstock.execute._jobqueue_profile import load_profile

    scripts = job_scripts(load_profile(profile))
    if kind is not None and kind not in scripts:
        raise ConfigError(f"SLURM profile {profile} has no job {kind!r} ({', '.join(scripts)}).{nearest(kind, scripts)}")
    wanted = {name: text for name, text in scripts.items() if kind in (None, name)}
    if as_json:
        click.echo(json.dumps(wanted, indent=2))
        return
    for name, text in wanted.items():
        click.echo(f"# {name}\n{text}")
