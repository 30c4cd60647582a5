"""Names in a workspace of Spyral: a folder a phase, a file a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from penstock.core.errors import ConfigError

__all__ = ["CLUSTERS", "ESTIMATES", "FITS", "FOLDERS", "POINTS", "find_runs", "isotope_name", "parse_isotope", "run_name"]

POINTS, CLUSTERS, ESTIMATES, FITS = "Pointcloud", "Cluster", "Estimation", "InterpSolver"
FOLDERS: Mapping[str, str] = {POINTS: "h5", CLUSTERS: "h5", ESTIMATES: "parquet", FITS: "parquet"}
"""Folder of each phase, and the suffix of its files."""

_ELEMENTS = (
    "n H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag "
    "Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U "
    "Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
_SYMBOLS = tuple(_ELEMENTS.split())
_RUN = re.compile(r"run_(?P<run>\d{4,})(?:_(?P<isotope>\d+[A-Z][a-z]?))?\.(?P<suffix>h5|parquet)$")


def run_name(run: int) -> str:
    """``run_0094``: how files of a run begin."""
    return f"run_{run:04d}"


def isotope_name(charge: int, mass: int) -> str:
    """``4He`` for charge number 2 and mass number 4, as it stands in the names of fitted runs."""
    return f"{mass}{_SYMBOLS[charge]}"


def parse_isotope(name: str) -> tuple[int, int]:
    """Charge and mass number of ``4He``.

    Raises
    ------
    ConfigError
        No such element.
    """
    found = re.fullmatch(r"(\d+)([A-Z][a-z]?)", name)
    if found is None or found[2] not in _SYMBOLS:
        raise ConfigError(f"isotope {name!r}: not of the form 1H or 4He.")
    return _SYMBOLS.index(found[2]), int(found[1])


def find_runs(workspace: Path) -> dict[int, dict[str, Path]]:
    """The files of each run of a workspace, by run and role, both ascending; no file is opened.

    The role is the name of the phase's folder; for fits with the isotope, ``InterpSolver.1H``.
    """
    found: dict[int, dict[str, Path]] = {}
    for folder, suffix in FOLDERS.items():
        for path in sorted((workspace / folder).glob(f"run_*.{suffix}")):
            match = _RUN.match(path.name)
            if match is None or (match["isotope"] is None) is (folder == FITS):
                continue
            role = f"{folder}.{match['isotope']}" if match["isotope"] else folder
            found.setdefault(int(match["run"]), {})[role] = path
    return {run: found[run] for run in sorted(found)}
