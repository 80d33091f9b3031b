"""Image files as a network's inputs: of one size, and centred where the data set's images are."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data.layout import Images
from pipeline.errors import UserError

__all__ = ["Picture", "Pixels", "quiet_decoding", "read_picture", "read_pixels"]

Pixels = (
    UInt8[NDArray[np.uint8], "height width"] | UInt8[NDArray[np.uint8], "height width channels"]
)
"""Brightness, or red, green and blue."""

Grey = Float[NDArray[np.float64], "height width"]
"""Brightness from 0 (black) to 1 (white)."""

FAINT = 0.15
"""Share of the strongest ink, below which uneven paper counts as empty."""


@dataclass(frozen=True)
class Picture:
    """An image file as a network reads it."""

    pixels: Pixels
    """From 0 to the layout's largest pixel."""
    was_dark_on_light: bool
    """It was turned round."""


def read_picture(path: Path, layout: Images) -> Picture:
    """Return an image file as an image that a network reads.

    Where a data set's images each show one thing, centred, an image of their own size is taken as
    it is. Of any other, what it shows is cut out, made as large as the data set's images show
    things, and moved so that its centre of mass is the image's centre, as MNIST's were made (LeCun
    et al., 1998, section III.A). Dark on light is turned round. All other images are `read_pixels`.

    Args:
        path: a file that Pillow reads: PNG, JPEG, GIF, BMP, WebP, …; of any size, grey or colour.
        layout: what the network reads.

    Raises:
        UserError: it can't be read, is no image, or shows nothing where something is centred.
    """
    with quiet_decoding():
        if layout.is_centred:
            return _read_centred(path, layout)
        pixels = read_pixels(path, layout) * (layout.max_pixel / 255)
    return Picture(np.rint(pixels).astype(np.uint8), was_dark_on_light=False)


def read_pixels(path: Path, layout: Images) -> Pixels:
    """Return an image file as pixels from 0 to 255, resized to a layout's height and width.

    It is turned as its EXIF orientation says, what is transparent lies on white, 16 bits become 8,
    and pixels are averaged where it shrinks. Its proportions may change.

    Args:
        path: a file that Pillow reads.
        layout: height, width, and whether pixels have 1 channel or 3.

    Raises:
        UserError: it can't be read, is no image or too large to be decoded.
    """
    mode = "L" if layout.channels == 1 else "RGB"
    size = (layout.width, layout.height)
    with _decoded(path, draft=(mode, 2 * max(size))) as image:
        return np.asarray(_flat(image).convert(mode).resize(size, Image.Resampling.BILINEAR))


@contextmanager
def quiet_decoding() -> Generator[None]:
    """Let Pillow refuse images that are too large, and say nothing else, in all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _decoded(path: Path, draft: tuple[str, int] | None = None) -> Generator[Image.Image]:
    """Open an image file, upright, and say what is wrong if it can't be decoded.

    Args:
        path: of the file.
        draft: a mode and the least side in pixels that are enough; large JPEGs decode faster then.
    """
    try:
        with Image.open(path, formats=_formats()) as file:
            if draft is not None:
                mode, side = draft
                file.draft(mode, (side, side))
            yield ImageOps.exif_transpose(file)
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is no image that can be read, such as a PNG or JPEG.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{path}: is too large ({error}).") from error
    except Exception as error:  # decoders meet damaged files with errors of all kinds
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{path}: can't be read ({why}).") from error


@cache
def _formats() -> list[str]:
    """Return the formats that Pillow decodes by itself, without running another program."""
    Image.init()
    return sorted(Image.OPEN.keys() - {"EPS"})


def _read_centred(path: Path, layout: Images) -> Picture:
    grey = _read_grey(path)
    if np.ptp(grey) == 0:
        raise UserError(f"{path}: shows nothing: all of its pixels are alike.")
    background = float(np.median(_border(grey)))
    is_dark_on_light = background > float(grey.min() + grey.max()) / 2
    if is_dark_on_light:
        grey, background = 1 - grey, 1 - background
    if grey.shape != (layout.height, layout.width):
        grey = _centred(_cut_out(grey, background), layout)
    pixels = np.rint(grey * layout.max_pixel).astype(np.uint8)
    return Picture(pixels, is_dark_on_light)


def _read_grey(path: Path) -> Grey:
    """Return an image's brightness; what is transparent is white, or black if all else is white."""
    with _decoded(path) as upright:
        if _is_deep(upright):
            return _brightness(upright)
        image = upright.convert("RGBA")
    on_white = _as_grey(_on(image, "white"))
    return on_white if np.ptp(on_white) else _as_grey(_on(image, "black"))


def _is_deep(image: Image.Image) -> bool:
    """Return whether an image has more than 8 bits a pixel and channel."""
    return image.mode.startswith(("I", "F"))


def _flat(image: Image.Image) -> Image.Image:
    """Return an image on white, of 8 bits a channel."""
    if _is_deep(image):
        return Image.fromarray(np.rint(_brightness(image) * 255).astype(np.uint8))
    return _on(image, "white") if image.has_transparency_data else image


def _brightness(deep: Image.Image) -> Grey:
    """Return the brightness of an image of more than 8 bits a pixel, which may use few of them."""
    values = np.asarray(deep, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("some of its pixels are no numbers")
    if deep.mode.startswith("I;16"):
        return values / 65_535
    top = next(top for top in (1, 255, 65_535, values.max()) if values.max() <= top)
    return (values / top).clip(0, 1)


def _on(image: Image.Image, colour: str) -> Image.Image:
    paper = Image.new("RGBA", image.size, colour)
    return Image.alpha_composite(paper, image.convert("RGBA"))


def _as_grey(image: Image.Image) -> Grey:
    return np.asarray(image.convert("L"), dtype=np.float64) / 255


def _border(grey: Grey) -> Float[NDArray[np.float64], " pixels"]:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _cut_out(grey: Grey, background: float) -> Grey:
    """Return the smallest rectangle that holds all ink, as ink from 0 to 1."""
    ink = (grey - background).clip(0)
    ink /= ink.max()
    ink[ink < FAINT] = 0
    rows, columns = np.nonzero(ink)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _centred(ink: Grey, layout: Images) -> Grey:
    """Return ink in the middle of an image, its longer side as long as the margin leaves room."""
    shape = layout.height, layout.width
    room = min(shape) - 2 * layout.margin
    scale = room / max(ink.shape)
    size = [max(1, round(side * scale)) for side in ink.shape]
    small = Image.fromarray(ink.astype(np.float32)).resize(
        (size[1], size[0]), Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    )
    shown = np.asarray(small, dtype=np.float64)
    shown = shown / shown.max()
    middle = _centre_of_mass(shown) if layout.margin else [side / 2 for side in size]
    result = np.zeros(shape)
    top, left = (
        min(max(0, round(whole / 2 - at)), whole - side)
        for whole, at, side in zip(shape, middle, size, strict=True)
    )
    result[top : top + size[0], left : left + size[1]] = shown
    return result


def _centre_of_mass(ink: Grey) -> list[float]:
    """Return the row and the column around which the ink lies."""
    by_axis = [ink.sum(axis=1), ink.sum(axis=0)]
    return [float(np.average(np.arange(len(mass)), weights=mass)) for mass in by_axis]
