"""``penstock new-worker``: a worker and a reducer to begin with, from a capture."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from penstock.cli._options import json_option, print_json

__all__ = ["new_worker"]


@click.command("new-worker", epilog="Example: penstock new-worker --from raw/run_0001.xrd.cbors")
@click.option(
    "--from",
    "first",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Capture whose streams are to be read; several are joined on event number.",
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--out",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder in which src/worker.py and src/reducer.py are made.",
)
@json_option
def new_worker(first: tuple[Path, ...], more: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Write a worker that reads the streams of captures, and a reducer that keeps what it returns as HDF5.

    They run at once, and are there to be changed. Files that are there already are not written over.
    """
    from penstock.events.skeleton import make_skeleton, write_skeleton

    files = [*first, *more]
    skeleton = make_skeleton(files)
    worker, reducer = write_skeleton(skeleton, out / "src")
    named = " ".join(shlex.quote(_seen_from(out, path)) for path in files)
    command = f"penstock replay -w src.worker:Worker -r src.reducer:Reducer -f {named}"
    if as_json:
        print_json(
            {"worker": str(worker), "reducer": str(reducer), "streams": dict(skeleton.streams), "folder": str(out), "command": command}
        )
        return
    click.echo(f"{worker} and {reducer} written, for {', '.join(f'{name} ({typ})' for name, typ in skeleton.streams.items())}.")
    place = "" if out.resolve() == Path.cwd() else f"cd {shlex.quote(str(out))} && "
    click.echo(f"Next: {place}{command}")


def _seen_from(folder: Path, path: Path) -> str:
    """The path as it is named from the folder."""
    return str(path) if path.is_absolute() else Path(os.path.relpath(path, folder)).as_posix()
