"""Image files as a data set's own images: grey, light on dark, centred, of its size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data.catalog import Dataset
from pipeline.errors import UserError

__all__ = ["Picture", "read_picture"]

Grey = Float[NDArray[np.float64], "height width"]
"""Brightness from 0 (black) to 1 (white)."""

FAINT = 0.15
"""Share of the strongest ink, below which uneven paper counts as empty."""


@dataclass(frozen=True)
class Picture:
    """An image file as a network reads it."""

    pixels: UInt8[NDArray[np.uint8], "height width"]
    """From 0 to the data set's largest pixel."""
    was_dark_on_light: bool
    """It was turned round."""


def read_picture(path: Path, dataset: Dataset) -> Picture:
    """Return an image file as an image of a data set.

    An image of the data set's own size is taken as it is. Of any other, what it shows is cut out,
    made as large as the data set's images show things, and moved so that its centre of mass is the
    image's centre, as MNIST's were made (LeCun et al., 1998, section III.A). Dark on light is
    turned round.

    Args:
        path: a file that Pillow reads: PNG, JPEG, GIF, BMP, WebP, …; of any size, grey or colour.
        dataset: whose size, margin and largest pixel to take.

    Raises:
        UserError: it can't be read, is no image, or shows nothing.
    """
    grey = _read_grey(path)
    if np.ptp(grey) == 0:
        raise UserError(f"{path}: shows nothing: all of its pixels are alike.")
    background = float(np.median(_border(grey)))
    is_dark_on_light = background > float(grey.min() + grey.max()) / 2
    if is_dark_on_light:
        grey, background = 1 - grey, 1 - background
    if grey.shape != dataset.image_shape:
        grey = _centred(_cut_out(grey, background), dataset)
    pixels = np.rint(grey * dataset.max_pixel).astype(np.uint8)
    return Picture(pixels, is_dark_on_light)


def _read_grey(path: Path) -> Grey:
    """Return an image's brightness; what is transparent is white, or black if all else is white."""
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            if upright.mode.startswith(("I", "F")):  # 16 bits a pixel or more
                values = np.asarray(upright, dtype=np.float64)
                return values / next(
                    top for top in (1, 255, 65_535, values.max()) if values.max() <= top
                )
            image = upright.convert("RGBA")
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: is no image that can be read, such as a PNG or JPEG.") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: is too large ({error}).") from error
    except (OSError, SyntaxError, ValueError) as error:  # as Pillow says that a file is damaged
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: can't be read ({why}).") from error
    on_white = _on(image, "white")
    return on_white if np.ptp(on_white) else _on(image, "black")


def _on(image: Image.Image, colour: str) -> Grey:
    paper = Image.new("RGBA", image.size, colour)
    return np.asarray(Image.alpha_composite(paper, image).convert("L"), dtype=np.float64) / 255


def _border(grey: Grey) -> Float[NDArray[np.float64], " pixels"]:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _cut_out(grey: Grey, background: float) -> Grey:
    """Return the smallest rectangle that holds all ink, as ink from 0 to 1."""
    ink = (grey - background).clip(0)
    ink /= ink.max()
    ink[ink < FAINT] = 0
    rows, columns = np.nonzero(ink)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _centred(ink: Grey, dataset: Dataset) -> Grey:
    """Return ink in the middle of an image, its longer side as long as the margin leaves room."""
    height, width = dataset.image_shape
    room = min(height, width) - 2 * dataset.margin
    scale = room / max(ink.shape)
    size = [max(1, round(side * scale)) for side in ink.shape]
    small = Image.fromarray(ink.astype(np.float32)).resize(
        (size[1], size[0]), Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    )
    shown = np.asarray(small, dtype=np.float64)
    shown = shown / shown.max()
    middle = _centre_of_mass(shown) if dataset.margin else [side / 2 for side in size]
    result = np.zeros(dataset.image_shape)
    top, left = (
        min(max(0, round(whole / 2 - at)), whole - side)
        for whole, at, side in zip(dataset.image_shape, middle, size, strict=True)
    )
    result[top : top + size[0], left : left + size[1]] = shown
    return result


def _centre_of_mass(ink: Grey) -> list[float]:
    """Return the row and the column around which the ink lies."""
    by_axis = [ink.sum(axis=1), ink.sum(axis=0)]
    return [float(np.average(np.arange(len(mass)), weights=mass)) for mass in by_axis]
