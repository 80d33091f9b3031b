"""Readers of files that anyone may have written: examples or a line that says why not, soon."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.config.schema.data import DataConfig
from pipeline.data.images import read_picture
from pipeline.data.layout import Images
from pipeline.data.own.arrays import read_npz
from pipeline.data.own.folder import read_folder
from pipeline.data.pool import Pool
from pipeline.errors import UserError

FUZZED = settings(
    max_examples=200,
    deadline=5_000,  # milliseconds
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)


def config(name: str, path: Path) -> DataConfig:
    size = [3, 4] if name == "images" else None
    return DataConfig(
        name,
        path=str(path),
        num_train=None,
        num_val=None,
        val_share=0.2,
        test_share=0.2,
        image_size=size,
    )


def is_read_or_refused(read: Callable[[], Pool]) -> None:
    """Read examples that agree with what is said of them, or fail by the one error for users."""
    with warnings.catch_warnings(), suppress(UserError):
        warnings.simplefilter("error")
        pool = read()
        (inputs,) = pool.blocks()
        assert inputs.shape == (len(pool.labels), pool.layout.num_features)
        assert np.isfinite(inputs).all()
        assert len(pool.parts) == len(pool.labels)
        assert set(pool.labels) == set(range(len(pool.classes)))


def archive(compression: int, names: tuple[str, ...] = ("x_train", "y_train")) -> bytes:
    stream = io.BytesIO()
    arrays = {"x": np.arange(12.0).reshape(6, 2), "y": np.array([0, 1] * 3)}
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name in names:
            array = io.BytesIO()
            np.save(array, arrays[name[0]])
            file.writestr(f"{name}.npy", array.getvalue())
    return stream.getvalue()


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind)
    return stream.getvalue()


ARCHIVES = [
    archive(compression)
    for compression in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    )
]
PICTURES = [picture(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "TGA", "PPM")]


@st.composite
def mutated(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """A good file with some bytes changed, a piece cut out, or its end cut off."""
    content = bytearray(draw(st.sampled_from(contents)))
    places = st.integers(0, len(content) - 1)
    for place, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[place] = value
    if draw(st.booleans()):
        first, last = sorted(draw(st.tuples(places, places)))
        del content[first:last]
    return bytes(content)


@FUZZED
@given(content=st.binary(max_size=400) | mutated(ARCHIVES))
def test_files_of_arrays(tmp_path: Path, content: bytes):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    is_read_or_refused(lambda: read_npz(config("arrays", path)))


SHAPES = st.lists(st.integers(-1, 6) | st.integers(), max_size=4).map(tuple)
TYPES = st.sampled_from(
    [
        "<f8",
        ">f4",
        "|u1",
        "<i8",
        "|b1",
        "<U3",
        "<U0",
        "|S2",
        "|O",
        "<c16",
        "<M8[s]",
        "<f8,<f8",
        "V0",
    ]
)


@FUZZED
@given(
    headers=st.lists(st.tuples(TYPES, SHAPES, st.binary(max_size=200)), min_size=2, max_size=2),
    whole=st.booleans(),
)
def test_arrays_that_are_not_what_they_say(
    tmp_path: Path, headers: list[tuple[str, tuple[int, ...], bytes]], whole: bool
):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name, (dtype, shape, values) in zip(("x_train", "y_train"), headers, strict=True):
            stream = io.BytesIO()
            described = {"descr": dtype, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, described)
            num_bytes = abs(int(np.prod(shape, dtype=float))) * 8 if whole else len(values)
            content = (values or b"\0") * (min(num_bytes, 800) // max(1, len(values)) + 1)
            file.writestr(f"{name}.npy", stream.getvalue() + content[:num_bytes])
    is_read_or_refused(lambda: read_npz(config("arrays", path)))


@FUZZED
@given(content=st.binary(max_size=400) | mutated(PICTURES))
def test_files_among_images(tmp_path: Path, content: bytes):
    for name in ("cat/1", "cat/2", "dog/1", "dog/2"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PICTURES[0])
    (tmp_path / "dog/own").write_bytes(content)
    is_read_or_refused(lambda: read_folder(config("images", tmp_path)))


@FUZZED
@given(content=st.binary(max_size=400) | mutated(PICTURES))
@pytest.mark.parametrize("layout", [Images(8, 8, is_centred=True), Images(8, 8, channels=3)])
def test_pictures_to_predict(tmp_path: Path, layout: Images, content: bytes):
    path = tmp_path / "own"
    path.write_bytes(content)
    with suppress(UserError):
        assert read_picture(path, layout).pixels.shape[:2] == (8, 8)
