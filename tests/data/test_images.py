"""Image files as images of a data set: of any size, colour and polarity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.data.images import read_picture
from pipeline.data.layout import Images
from pipeline.errors import UserError

MNIST = Images(28, 28, margin=4, is_centred=True)
GREY, COLOUR = Images(30, 20), Images(30, 20, channels=3)


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
    pixels = read_picture(tmp_path / "l.png", Images(8, 8, max_pixel=16, is_centred=True)).pixels
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


@pytest.mark.parametrize("layout", [GREY, COLOUR])
def test_other_images_are_resized_as_they_are(tmp_path: Path, layout: Images):
    halves = np.zeros((60, 40, 3), np.uint8)
    halves[:30] = (255, 0, 0)
    Image.fromarray(halves).save(tmp_path / "halves.png")
    picture = read_picture(tmp_path / "halves.png", layout)
    upper = 76 if layout is GREY else (255, 0, 0)  # 0.299 of white is the brightness of red
    assert picture.pixels.shape[:2] == (30, 20)
    assert np.all(picture.pixels[:14] == upper)
    assert not picture.pixels[16:].any()
    assert not picture.was_dark_on_light


def test_pixels_are_averaged_where_an_image_shrinks(tmp_path: Path):
    board = (np.indices((300, 200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "board.png")
    pixels = read_picture(tmp_path / "board.png", GREY).pixels
    assert np.abs(pixels.astype(int) - 127).max() <= 2


def test_an_image_of_the_right_size_keeps_every_pixel(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    assert np.array_equal(read_picture(tmp_path / "own.png", COLOUR).pixels, pixels)
    half = Images(30, 20, channels=3, max_pixel=51)
    assert np.array_equal(
        read_picture(tmp_path / "own.png", half).pixels, np.rint(pixels / 5).astype(np.uint8)
    )


@pytest.mark.parametrize(
    ("mode", "colour", "brightness"),
    [
        ("RGBA", (0, 0, 0, 0), 255),
        ("RGBA", (0, 0, 0, 255), 0),
        ("LA", (0, 128), 127),
        ("I;16", 51 * 257, 51),
        ("I;16", 255, 1),  # dark, not a byte
        ("I", 65_535, 255),
        ("F", 0.2, 51),
        ("1", 1, 255),
        ("CMYK", (0, 0, 0, 0), 255),
    ],
)
def test_every_kind_of_pixel_becomes_a_byte_on_white(
    tmp_path: Path, mode: str, colour: tuple[int, ...] | float, brightness: int
):
    path = tmp_path / "own.tiff"
    Image.new(mode, (40, 60), colour).save(path)
    for layout in (GREY, COLOUR):
        assert np.all(read_picture(path, layout).pixels == brightness)


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path):
    palette = Image.new("P", (40, 60), 1)
    palette.putpalette([0, 0, 0, 10, 10, 10])
    palette.save(tmp_path / "own.gif", transparency=1)
    assert np.all(read_picture(tmp_path / "own.gif", GREY).pixels == 255)


def test_a_photo_that_lies_on_its_side_is_turned(tmp_path: Path):
    photo = np.zeros((400, 640), np.uint8)
    photo[:, :320] = 255  # bright on the left, which is above after a quarter turn to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "own.jpg", exif=exif, quality=95)
    pixels = read_picture(tmp_path / "own.jpg", GREY).pixels
    assert pixels[:14].min() > 250
    assert pixels[16:].max() < 5


@pytest.mark.parametrize("layout", [MNIST, GREY])
@pytest.mark.parametrize("side", [10_000, 20_000])
def test_an_image_that_takes_too_much_memory_is_refused(tmp_path: Path, layout: Images, side: int):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match=r"bomb\.png: is too large"):
        read_picture(tmp_path / "bomb.png", layout)


def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path):
    Image.new("F", (10, 10), float("nan")).save(tmp_path / "nan.tiff")
    for layout in (MNIST, GREY):
        with pytest.raises(UserError, match="some of its pixels are no numbers"):
            read_picture(tmp_path / "nan.tiff", layout)


def test_no_other_program_is_run_for_an_image(tmp_path: Path):
    Image.new("L", (10, 10)).save(tmp_path / "own.eps")
    with pytest.raises(UserError, match="is no image that can be read"):
        read_picture(tmp_path / "own.eps", GREY)
