"""Make an installed environment smaller: ``slim.py FOLDER``. Takes away tests, C headers, debug symbols and one library that nothing here calls."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

UNUSED = ("tests", "pyarrow/include", "pyarrow/src", "pyarrow/*flight*")
"""By name anywhere, or below a folder of packages. Arrow Flight is a network protocol, a fifth of pyarrow."""
LEAST = 1 << 20
"""A shared library is rewritten where that saves a mebibyte."""


def remove_unused(packages: Path) -> None:
    """Remove what no image runs."""
    for pattern in UNUSED:
        for found in list(packages.rglob(pattern) if "/" not in pattern else packages.glob(pattern)):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink(missing_ok=True)


def strip_library(path: Path) -> int:
    """Cut a 64-bit ELF file behind what a program maps, so that symbols and debug sections go; returns the bytes saved.

    The loader reads program headers only (System V ABI, "Program Loading"); section headers serve linkers and debuggers.
    """
    content = path.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01":
        return 0
    table, width, count = struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54)
    headers = (struct.unpack_from("<IIQQQQ", content, table + i * width) for i in range(count))
    end = max(table + width * count, *(offset + size for _, _, offset, _, _, size in headers))
    saved = len(content) - end
    if saved < LEAST:
        return 0
    head = bytearray(content[:end])
    struct.pack_into("<Q", head, 40, 0)  # no section headers:
    struct.pack_into("<HH", head, 60, 0, 0)  # neither their number nor that of their names
    path.write_bytes(head)
    return saved


def slim(home: Path) -> int:
    """Make the environment at `home` smaller; returns the bytes that went from libraries."""
    saved = 0
    for packages in home.glob("lib/python*/site-packages"):
        remove_unused(packages)
        saved += sum(strip_library(p) for p in packages.rglob("*.so*") if p.is_file() and not p.is_symlink())
    return saved


if __name__ == "__main__":
    sys.stdout.write(f"{slim(Path(sys.argv[1])) / 1e6:.0f} MB of symbols taken away\n")
