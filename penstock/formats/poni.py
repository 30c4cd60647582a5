"""PONI files: detector, place and wavelength as pyFAI saves them, versions 1, 2, 2.1 and 3, read and written.

Layout: https://pyfai.readthedocs.io/en/stable/geometry.html. A line is ``Key: value``; capitals do not matter, the last of equal keys counts,
and lines that begin with ``#`` or have no colon are remarks.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from penstock.core.errors import ConfigError, nearest
from penstock.kernels.geometry import Detector, Geometry, Orientation

__all__ = ["DETECTORS", "format_poni", "named_detector", "read_poni"]

DETECTORS: dict[str, tuple[float, tuple[int, int]]] = {
    "Eiger500k": (75e-6, (514, 1030)),
    "Eiger1M": (75e-6, (1065, 1030)),
    "Eiger4M": (75e-6, (2167, 2070)),
    "Eiger9M": (75e-6, (3269, 3110)),
    "Eiger16M": (75e-6, (4371, 4150)),
    "Eiger2_250k": (75e-6, (512, 512)),
    "Eiger2_500k": (75e-6, (512, 1028)),
    "Eiger2_1M": (75e-6, (1062, 1028)),
    "Eiger2_1MW": (75e-6, (512, 2068)),
    "Eiger2_2MW": (75e-6, (512, 4148)),
    "Eiger2_4M": (75e-6, (2162, 2068)),
    "Eiger2_9M": (75e-6, (3262, 3108)),
    "Eiger2_16M": (75e-6, (4362, 4148)),
    "Pilatus100k": (172e-6, (195, 487)),
    "Pilatus200k": (172e-6, (407, 487)),
    "Pilatus300k": (172e-6, (619, 487)),
    "Pilatus300kw": (172e-6, (195, 1475)),
    "Pilatus900k": (172e-6, (619, 1475)),
    "Pilatus900kw": (172e-6, (195, 4439)),
    "Pilatus1M": (172e-6, (1043, 981)),
    "Pilatus2M": (172e-6, (1679, 1475)),
    "Pilatus6M": (172e-6, (2527, 2463)),
    "Pilatus4_260k": (150e-6, (530, 513)),
    "Pilatus4_260kw": (150e-6, (255, 1033)),
    "Pilatus4_1M": (150e-6, (1080, 1033)),
    "Pilatus4_2M": (150e-6, (1630, 1553)),
    "Pilatus4_4M": (150e-6, (2180, 2073)),
}
"""Detectors known by name: side of a pixel in m, rows and columns. ``CdTe`` in a name changes neither."""

_FAMILIES = {"detector": None, "eiger": 75e-6, "eiger2": 75e-6, "pilatus": 172e-6, "pilatus4": 150e-6}
"""Names that say no shape, and the side of their pixels in m."""

_WITHOUT_EFFECT = {"module_size", "sensor"}
_GREATEST_VERSION = 3.0


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of a PONI file, and where it stands."""

    file: str
    line: int
    key: str
    text: str

    def wrong(self, expected: str) -> ConfigError:
        return ConfigError(f"{self.file}, line {self.line}, field {self.key}: {self.text!r} {expected}")

    def number(self, *, positive: bool = False) -> float:
        try:
            value = float(self.text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (positive and value <= 0.0):
            raise self.wrong(f"is not a finite number{' above 0' if positive else ''}.")
        return value


def read_poni(source: Path | str | bytes, shape: tuple[int, int] | None = None) -> Geometry:
    """The geometry that a PONI file says.

    Parameters
    ----------
    source
        A path; or the content of a file, as bytes (such as the value of a binary parameter) or as text with a line break in it.
    shape
        Rows and columns, for files that name only the size of pixels.

    Raises
    ------
    ConfigError
        The file cannot be read, or a field is missing or wrong; the message names line and field.
    """
    fields = _read_fields(source)
    version = fields["poni_version"].number() if "poni_version" in fields else 1.0
    if version > _GREATEST_VERSION:
        raise fields["poni_version"].wrong(f"is newer than {_GREATEST_VERSION:g}, the last version that is known here.")
    if "parallax" in fields and fields["parallax"].text.lower() == "true":
        raise fields["parallax"].wrong("asks for the correction of parallax, which is not offered. Save the geometry without it.")
    wavelength = fields.get("wavelength")
    return Geometry(
        _detector(fields, shape),
        _wanted(fields, "distance", "dist").number(positive=True),
        _wanted(fields, "poni1").number(),
        _wanted(fields, "poni2").number(),
        _wanted(fields, "rot1").number(),
        _wanted(fields, "rot2").number(),
        _wanted(fields, "rot3").number(),
        None if wavelength is None or wavelength.text.lower() == "none" else wavelength.number(positive=True),
    )


def named_detector(name: str) -> Detector:
    """The detector of that name, as pyFAI writes it or near it (``Eiger2 CdTe 4M``, ``eiger2_4m``).

    Raises
    ------
    ConfigError
        It is not known.
    """
    known = {_plain(k): k for k in DETECTORS}
    found = known.get(_plain(name))
    if found is None:
        raise ConfigError(f"detector {name!r} is not known.{nearest(name, DETECTORS)} Give the size of its pixels and its shape.")
    side, shape = DETECTORS[found]
    return Detector(side, side, shape)


def format_poni(geometry: Geometry) -> str:
    """The geometry as the content of a PONI file, version 2.1."""
    detector = geometry.detector
    config = {"pixel1": detector.pixel1_m, "pixel2": detector.pixel2_m, "max_shape": detector.shape, "orientation": detector.orientation}
    lines = {
        "poni_version": 2.1,
        "Detector": "Detector",
        "Detector_config": json.dumps(config),
        "Distance": geometry.distance_m,
        "Poni1": geometry.poni1_m,
        "Poni2": geometry.poni2_m,
        "Rot1": geometry.rot1_rad,
        "Rot2": geometry.rot2_rad,
        "Rot3": geometry.rot3_rad,
        "Wavelength": geometry.wavelength_m,
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value is not None)


def _read_fields(source: Path | str | bytes) -> dict[str, _Field]:
    """Fields by name in small letters."""
    name = "PONI content"
    if isinstance(source, Path) or (isinstance(source, str) and "\n" not in source):
        name = str(source)
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise ConfigError(f"{name}: the PONI file cannot be read: {error.strerror}. Give a path, or the content of a file.") from error
    try:
        text = source if isinstance(source, str) else source.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8; this is no PONI file.") from None
    fields = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon:
            continue
        fields[key.strip().lower()] = _Field(name, number, key.strip(), value.strip())
    if not fields:
        raise ConfigError(f"{name}: there is no line 'Key: value' in it; this is no PONI file.")
    return fields


def _wanted(fields: dict[str, _Field], *names: str) -> _Field:
    for name in names:
        if name in fields:
            return fields[name]
    last = max(fields.values(), key=lambda field: field.line)
    raise ConfigError(f"{last.file}, after line {last.line}: field {names[0].capitalize()} is missing.")


def _detector(fields: dict[str, _Field], shape: tuple[int, int] | None) -> Detector:
    """The detector by name and configuration."""
    name = fields.get("detector")
    config_field, config = _config(fields)
    where = name or config_field or max(fields.values(), key=lambda field: field.line)
    known = {_plain(k): v for k, v in DETECTORS.items()}
    kind = _plain(name.text) if name else "detector"
    if kind not in known and kind not in _FAMILIES:
        assert name is not None
        raise name.wrong(f"is not known.{nearest(name.text, [*DETECTORS, 'Detector'])} Use 'Detector' with pixel1, pixel2 and max_shape.")
    side, named_shape = known.get(kind, (_FAMILIES.get(kind), None))
    sizes = [_size(fields, config_field, config, axis, side, where) for axis in "12"]
    told = named_shape
    if config.get("max_shape") is not None:
        assert config_field is not None
        told = _shape(config["max_shape"], config_field)
    if told is None and shape is None:
        raise where.wrong("says no shape of frames, nor does another field. Add max_shape to Detector_config, or give the shape.")
    if told is not None and shape is not None and tuple(shape) != told:
        raise where.wrong(
            f"has frames of {told[0]} rows and {told[1]} columns, and shape {tuple(shape)!r} was asked for. Leave the shape out."
        )
    return Detector(sizes[0], sizes[1], told or shape or (0, 0), _orientation(config.get("orientation") or 3, config_field or where))


def _config(fields: dict[str, _Field]) -> tuple[_Field | None, dict[str, Any]]:
    """What Detector_config says, by name in small letters."""
    spline = fields.get("splinefile")
    if spline is not None and spline.text.lower() not in ("", "none", "null"):
        raise spline.wrong("is a file with a distortion, which is not read. Correct the frames and give a geometry without it.")
    field = fields.get("detector_config")
    if field is None:
        return None, {}
    try:
        config = json.loads(field.text)
    except ValueError as error:
        raise field.wrong(f"is not JSON: {error}.") from None
    if not isinstance(config, dict):
        raise field.wrong("is not a JSON object.")
    known = {"pixel1", "pixel2", "max_shape", "orientation"} | _WITHOUT_EFFECT
    for key, value in config.items():
        if key not in known and value is not None:
            raise field.wrong(f"has {key!r}, which may change the geometry and is not known. Known are {', '.join(sorted(known))}.")
    return field, config


def _size(
    fields: dict[str, _Field], config_field: _Field | None, config: dict[str, Any], axis: str, side: float | None, where: _Field
) -> float:
    """Size of a pixel along an axis, in m."""
    value = config.get(f"pixel{axis}")
    if value is not None:
        assert config_field is not None
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0.0):
            raise config_field.wrong(f"has pixel{axis} {value!r}; it must be a length in m, above 0.")
        return float(value)
    field = fields.get(f"pixelsize{axis}")
    if field is not None and field.text.lower() != "none":
        return field.number(positive=True)
    if side is None:
        raise where.wrong(f"says no size of pixels along axis {axis}. Add pixel{axis} to Detector_config, or PixelSize{axis}.")
    return side


def _shape(value: Any, field: _Field) -> tuple[int, int]:
    if not (isinstance(value, list) and len(value) == 2 and all(type(n) is int and n > 0 for n in value)):
        raise field.wrong(f"has max_shape {value!r}; it must be two whole numbers above 0, rows and columns.")
    return value[0], value[1]


def _orientation(value: Any, field: _Field) -> Orientation:
    for known in get_args(Orientation):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise field.wrong(f"has orientation {value!r}; it must be 1, 2, 3 or 4.")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("cdte", "")
