"""``python -m penstock.compat.spyral script.py``: run a script that was written for Spyral, as it is.

Exit codes: 0 done, 1 a run failed, 2 wrong usage or configuration; what the script itself raises is shown as always.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import NoReturn

from penstock.compat.spyral.serving import install
from penstock.core.errors import ConfigError, PenstockError


def main() -> None:
    """Run the script with its own folder first on the path, as Python does."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        _end("usage: python -m penstock.compat.spyral SCRIPT.py [ARGUMENTS]", 2)
    script = Path(sys.argv[1]).resolve()
    install()
    sys.argv = [str(script), *sys.argv[2:]]
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except PenstockError as error:
        _end(f"error: {error}", 2 if isinstance(error, ConfigError) else 1)


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
