"""``python -m penstock.cli``: the command line, where the script is not on the PATH."""

from __future__ import annotations

from penstock.cli import main

main()
