"""PONI files: versions, sources, detectors, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import ConfigError
from penstock.formats.poni import DETECTORS, format_poni, named_detector, read_poni
from penstock.kernels.geometry import Detector, Geometry

PLACE = "Distance: 0.2\nPoni1: 0.01\nPoni2: -0.02\nRot1: 0.1\nRot2: -0.2\nRot3: 3e-3\nWavelength: 1.5e-10\n"
V1 = "# made by hand\nPixelSize1: 7.5e-05\nPixelSize2: 0.0001\n" + PLACE
V2 = 'poni_version: 2\nDetector: Detector\nDetector_config: {"pixel1": 7.5e-05, "pixel2": 0.0001, "max_shape": [10, 20]}\n' + PLACE
V21 = V2.replace("poni_version: 2", "poni_version: 2.1").replace("[10, 20]", '[10, 20], "orientation": 2')
V3 = V21.replace("2.1", "3").replace('"orientation"', '"sensor": {"material": "Si"}, "orientation"') + "Parallax: False\n"


def placed(detector: Detector) -> Geometry:
    return Geometry(detector, 0.2, 0.01, -0.02, 0.1, -0.2, 3e-3, 1.5e-10)


@pytest.mark.parametrize(
    ("text", "shape", "orientation"), [(V1, (10, 20), 3), (V2, None, 3), (V21, None, 2), (V3, None, 2)], ids=["1", "2", "2.1", "3"]
)
def test_every_version_is_read(text: str, shape: tuple[int, int] | None, orientation: Any) -> None:
    assert read_poni(text, shape) == placed(Detector(7.5e-5, 1e-4, (10, 20), orientation))


def test_path_text_and_bytes_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "beam.poni"
    path.write_text(V2)

    assert read_poni(path) == read_poni(str(path)) == read_poni(V2) == read_poni(V2.encode())


def test_the_last_of_equal_keys_counts_and_capitals_do_not() -> None:
    assert read_poni("DISTANCE: 7\nno colon here\n" + V2.replace("Distance", "distance")) == read_poni(V2)


@pytest.mark.parametrize("name", ["Eiger4M", "Eiger 4M", "eiger_4m"])
def test_a_detector_is_known_by_name(name: str) -> None:
    text = f"poni_version: 2\nDetector: {name}\nDetector_config: {{}}\n{PLACE}"

    assert read_poni(text) == placed(Detector(75e-6, 75e-6, (2167, 2070)))


def test_names_with_cdte_are_those_without() -> None:
    assert named_detector("Eiger2 CdTe 1M-W") == named_detector("Eiger2_1MW") == Detector(75e-6, 75e-6, (512, 2068))
    assert named_detector("Pilatus 300k CdTe") == named_detector("Pilatus300k")


def test_every_detector_is_that_of_pyfai() -> None:
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    from pyFAI.detectors import detector_factory

    for name, (side, shape) in DETECTORS.items():
        peer = detector_factory("PilatusCdTe900kw" if name == "Pilatus900kw" else name)
        assert (peer.pixel1, peer.pixel2, tuple(peer.max_shape)) == (side, side, shape), name


def test_a_file_that_pyfai_saves_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    from pyFAI.detectors import detector_factory
    from pyFAI.io.ponifile import PoniFile

    saved = {"dist": 0.2, "poni1": 0.01, "poni2": -0.02, "rot1": 0.1, "rot2": -0.2, "rot3": 3e-3, "wavelength": 1.5e-10}
    detector = detector_factory("Pilatus1M", {"orientation": 2})
    poni = PoniFile({**saved, "poni_version": 2.1, "detector": "Pilatus1M", "detector_config": detector.get_config()})
    with (tmp_path / "saved.poni").open("w") as stream:
        poni.write(stream)

    assert read_poni(tmp_path / "saved.poni") == placed(Detector(172e-6, 172e-6, (1043, 981), 2))


def test_a_generic_family_has_its_pixels_and_the_shape_that_is_given() -> None:
    assert read_poni("Detector: Pilatus\n" + PLACE, (4, 5)).detector == Detector(172e-6, 172e-6, (4, 5))


def test_a_file_without_wavelength_is_a_geometry_without_one() -> None:
    assert read_poni(V2.replace("Wavelength: 1.5e-10", "Wavelength: None")).wavelength_m is None
    assert read_poni(V2.replace("Wavelength: 1.5e-10", "")).wavelength_m is None


lengths = st.floats(1e-9, 1e3)
angles = st.floats(-10, 10)


@given(
    st.builds(
        Geometry,
        st.builds(Detector, lengths, lengths, st.tuples(st.integers(1, 9999), st.integers(1, 9999)), st.sampled_from([1, 2, 3, 4])),
        lengths,
        angles,
        angles,
        angles,
        angles,
        angles,
        st.none() | lengths,
    )
)
def test_what_is_written_is_read_back(geometry: Geometry) -> None:
    assert read_poni(format_poni(geometry)) == geometry


def config(**values: Any) -> str:
    return f"Detector: Detector\nDetector_config: {json.dumps({'pixel1': 1e-4, 'pixel2': 1e-4, 'max_shape': [3, 4], **values})}\n{PLACE}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (V2.replace("1.5e-10", "abc"), "PONI content, line 10, field Wavelength: 'abc' is not a finite number above 0."),
        (V2.replace("Poni1: 0.01", "Poni1: nan"), "line 5, field Poni1: 'nan' is not a finite number."),
        (V2.replace("Distance: 0.2", "Distance: -1"), "line 4, field Distance: '-1' is not a finite number above 0."),
        (V2.replace("Rot3: 3e-3\n", ""), "PONI content, after line 9: field Rot3 is missing."),
        (V2.replace("poni_version: 2", "poni_version: 4"), "line 1, field poni_version: '4' is newer than 3"),
        (V3.replace("False", "True"), "line 11, field Parallax: 'True' asks for the correction of parallax"),
        (V1, "says no shape of frames, nor does another field. Add max_shape to Detector_config, or give the shape."),
        ("Detector: Eiger5M\n" + PLACE, "line 1, field Detector: 'Eiger5M' is not known. Did you mean 'Eiger"),
        ("Detector: Detector\n" + PLACE, "line 1, field Detector: 'Detector' says no size of pixels along axis 1."),
        ("Detector: Detector\nDetector_config: {'a'}\n" + PLACE, "line 2, field Detector_config: \"{'a'}\" is not JSON"),
        ("Detector: Detector\nDetector_config: [1]\n" + PLACE, "line 2, field Detector_config: '[1]' is not a JSON object."),
        (config(pixel1="x"), "has pixel1 'x'; it must be a length in m, above 0."),
        (config(max_shape=[3]), "has max_shape [3]; it must be two whole numbers above 0, rows and columns."),
        (config(orientation=7), "has orientation 7; it must be 1, 2, 3 or 4."),
        (config(x_offset_file="a.edf"), "has 'x_offset_file', which may change the geometry and is not known."),
        ("SplineFile: a.spline\n" + V1, "line 1, field SplineFile: 'a.spline' is a file with a distortion, which is not read."),
        ("PixelSize1: 0\n" + V1[V1.index("PixelSize2") :], "line 1, field PixelSize1: '0' is not a finite number above 0."),
        ("nothing\nat all", "PONI content: there is no line 'Key: value' in it; this is no PONI file."),
        (b"\xff\xfe\n", "PONI content: byte 0 is not UTF-8; this is no PONI file."),
    ],
)
def test_a_wrong_field_is_told_with_its_line(text: str | bytes, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_poni(text)

    assert said in str(error.value)


def test_a_shape_other_than_the_files_is_told() -> None:
    with pytest.raises(ConfigError, match=r"has frames of 10 rows and 20 columns, and shape \(1, 2\) was asked for"):
        read_poni(V2, (1, 2))


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"absent\.poni: the PONI file cannot be read: No such file or directory"):
        read_poni("absent.poni")


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ConfigError, match=r"detector 'Eiger3M' is not known\. Did you mean 'Eiger"):
        named_detector("Eiger3M")
