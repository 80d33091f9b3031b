"""What a network says of image files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data.images import Picture, read_picture
from pipeline.data.layout import Images
from pipeline.errors import UserError
from pipeline.tools.predict.telling import Outputs, Teller

__all__ = ["tell_images"]


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image file."""

    path: Path
    picture: Picture
    outputs: Outputs


def tell_images(
    teller: Teller, layout: Images, paths: Sequence[Path], *, seen: Path | None
) -> None:
    """Say what each image shows; exit 1 if one of them can't be read.

    Args:
        teller: of the network.
        layout: of the images that it reads.
        paths: the image files.
        seen: a folder to keep the images in as the network sees them.
    """
    predictions, errors = _predict(teller, layout, paths)
    if teller.as_json:
        teller.print_json("images", [_said(teller, it) for it in predictions])
    elif predictions:
        print("\n".join(_line(teller, it) for it in predictions))
        teller.print_source()
    if seen:
        for prediction in predictions:
            _keep(prediction, seen, layout)
    if errors:
        sys.exit("\n".join(f"error: {error}" for error in errors))


def _predict(
    teller: Teller, layout: Images, paths: Sequence[Path]
) -> tuple[list[Prediction], list[UserError]]:
    """Return what a network says of the images, and what is wrong with those it can't read."""
    predictions: list[Prediction] = []
    errors: list[UserError] = []
    for path in paths:
        try:
            picture = read_picture(path, layout)
        except UserError as error:
            taken = f"The network reads images of {layout.height} x {layout.width} pixels."
            errors.append(UserError(f"{error} {taken}") if _is_no_image(path) else error)
        else:
            outputs = teller.network.outputs(picture.pixels[np.newaxis])[0]
            predictions.append(Prediction(path, picture, outputs))
    return predictions, errors


def _is_no_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in Image.registered_extensions()


def _line(teller: Teller, prediction: Prediction) -> str:
    turned = "; dark on light, so turned round" if prediction.picture.was_dark_on_light else ""
    return f"{prediction.path}: {teller.line(prediction.outputs)}{turned}"


def _said(teller: Teller, prediction: Prediction) -> dict[str, object]:
    return {
        "file": str(prediction.path),
        **teller.said(prediction.outputs),
        "turned_round": prediction.picture.was_dark_on_light,
    }


def _keep(prediction: Prediction, folder: Path, layout: Images) -> None:
    """Write what the network sees as an image of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    bright = prediction.picture.pixels * (255 / layout.max_pixel)
    Image.fromarray(np.rint(bright).astype(np.uint8)).save(folder / f"{prediction.path.stem}.png")
