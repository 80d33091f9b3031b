"""Image files as images of a data set: of any size, colour and polarity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.data.catalog import DATASETS
from pipeline.data.images import read_picture
from pipeline.errors import UserError

MNIST = DATASETS["mnist"]


def drawn(size: tuple[int, int], ink: str, paper: str, mode: str = "RGB") -> Image.Image:
    """A thick L in the upper left of a sheet, 60 pixels high."""
    sheet = Image.new(mode, size, paper)
    draw = ImageDraw.Draw(sheet)
    draw.line([(20, 20), (20, 80), (50, 80)], fill=ink, width=8)
    return sheet


def centre(pixels: np.ndarray) -> list[float]:
    return [float((axis * pixels).sum() / pixels.sum()) for axis in np.indices(pixels.shape)]


def test_an_image_of_the_data_sets_own_size_is_taken_as_it_is(tmp_path: Path):
    own = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    own[[0, -1]] = own[:, [0, -1]] = 0
    Image.fromarray(own).save(tmp_path / "own.png")
    picture = read_picture(tmp_path / "own.png", MNIST)
    assert np.array_equal(picture.pixels, own)
    assert not picture.was_dark_on_light


@pytest.mark.parametrize(
    ("ink", "paper", "turned"),
    [
        ("black", "white", True),
        ("white", "black", False),
        ("#203080", "#f0e8c0", True),
        ("#ffe080", "#206030", False),
    ],
)
@pytest.mark.parametrize("size", [(100, 100), (640, 480), (90, 300)])
def test_what_an_image_shows_is_centred_and_as_large_as_mnists(
    tmp_path: Path, ink: str, paper: str, turned: bool, size: tuple[int, int]
):
    drawn(size, ink, paper).save(tmp_path / "l.png")
    picture = read_picture(tmp_path / "l.png", MNIST)
    assert picture.was_dark_on_light == turned
    pixels = picture.pixels
    assert (pixels.shape, pixels.max()) == ((28, 28), 255)
    rows, columns = np.nonzero(pixels)
    assert np.ptp(rows) + 1 == 20  # the longer side; a margin of 4 remains
    assert np.ptp(columns) < 14
    assert centre(pixels) == pytest.approx([14, 14], abs=0.6)  # where MNIST's are


def test_every_colour_and_polarity_of_the_same_drawing_looks_the_same(tmp_path: Path):
    for number, (ink, paper) in enumerate([("black", "white"), ("white", "black")]):
        drawn((200, 200), ink, paper).save(tmp_path / f"{number}.png")
    one, other = (read_picture(tmp_path / f"{number}.png", MNIST).pixels for number in (0, 1))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("ink", ["black", "white"])
def test_transparent_paper_takes_the_colour_that_shows_the_ink(tmp_path: Path, ink: str):
    drawn((100, 100), ink, "#00000000", "RGBA").save(tmp_path / "clear.png")
    picture = read_picture(tmp_path / "clear.png", MNIST)
    assert picture.was_dark_on_light == (ink == "black")
    assert picture.pixels.max() == 255


def test_uneven_paper_and_jpegs_noise_count_as_empty(tmp_path: Path):
    sheet = np.asarray(drawn((300, 300), "black", "white").convert("L"), dtype=float)
    shade = np.linspace(0, 20, 300)  # darker to the right
    Image.fromarray((sheet * 0.9 - shade * (sheet > 99)).astype(np.uint8)).save(
        tmp_path / "p.jpg", quality=60
    )
    pixels = read_picture(tmp_path / "p.jpg", MNIST).pixels
    drawn((300, 300), "black", "white").save(tmp_path / "p.png")
    clean = read_picture(tmp_path / "p.png", MNIST).pixels
    assert np.abs(pixels.astype(int) - clean).mean() < 8


def test_more_bits_a_pixel_and_a_photo_that_lies_on_its_side(tmp_path: Path):
    sheet = drawn((100, 120), "black", "white").convert("L")
    Image.fromarray(np.asarray(sheet).astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(np.asarray(sheet).astype(np.float32) / 255).save(tmp_path / "float.tiff")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    sheet.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    sheet.save(tmp_path / "plain.png")
    plain = read_picture(tmp_path / "plain.png", MNIST).pixels.astype(int)
    Image.fromarray(np.asarray(sheet).astype(np.int32)).save(tmp_path / "32.tiff")
    for same in ("16.png", "32.tiff", "float.tiff"):
        assert np.array_equal(read_picture(tmp_path / same, MNIST).pixels, plain)
    assert np.abs(read_picture(tmp_path / "turned.jpg", MNIST).pixels - plain).max() < 40


def test_pixels_of_digits_go_up_to_sixteen(tmp_path: Path):
    drawn((100, 100), "black", "white").save(tmp_path / "l.png")
    pixels = read_picture(tmp_path / "l.png", DATASETS["digits"]).pixels
    assert (pixels.shape, pixels.max()) == ((8, 8), 16)


def test_what_shows_nothing_or_is_no_image_is_refused(tmp_path: Path):
    Image.new("L", (50, 50), 200).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "blank.png").read_bytes()[:60])
    for name, why in {
        "blank.png": "shows nothing",
        "text.png": "is no image",
        "cut.png": "",
        "missing.png": "No such file",
    }.items():
        with pytest.raises(UserError, match=f"{name}: .*{why}"):
            read_picture(tmp_path / name, MNIST)
