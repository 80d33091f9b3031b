"""`python -m pipeline.predict [SWEEP|RUN] IMAGE …`: what a trained network sees in image files.

Of a sweep, the run that validation chose answers. An image may be of any size, grey or in colour,
light on dark or dark on light; what it shows is centred and scaled as in the data set.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image

from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import make_parser, parse
from pipeline.data.catalog import Dataset, find_dataset
from pipeline.data.images import Picture, read_picture
from pipeline.data.layout import Images
from pipeline.errors import UserError
from pipeline.tracking.lookup import LAST, open_tracked
from pipeline.trained.classifier import Classifier
from pipeline.trained.stored import fetch_weights

__all__ = ["main"]

Outputs = Float[NDArray[np.floating], " classes"]

NUM_SHOWN = 3
"""Classes of an image that a line tells, the most probable ones."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image file."""

    path: Path
    picture: Picture
    outputs: Outputs


def main() -> None:
    """Say what each image shows; exit 1 if one of them can't be read."""
    arguments, place = parse(_parser())
    wanted, paths = _divided(arguments.words, place.named or LAST)
    if not paths:
        sys.exit("error: no image: name at least one file, such as three.png.")
    try:
        store = open_tracked(place)
        run = choose_run(store, wanted).run
        network = fetch_weights(store, run).network()
    except UserError as error:
        sys.exit(f"error: {error}")
    dataset = find_dataset(run.params["data.name"])
    predictions, errors = _predict(network, paths)
    if arguments.json:
        images = [_as_json(prediction) for prediction in predictions]
        print(json.dumps({"run_id": run.run_id, "images": images}, indent=2))
    elif predictions:
        print("\n".join(map(_line, predictions)))
        told = "" if network.output == "softmax" else "; its sigmoid outputs don't add up to 100%"
        print(f"Run {run.run_id[:14]}, {run.name}, trained on {dataset.name}{told}")
    if arguments.seen:
        for prediction in predictions:
            _keep(prediction, arguments.seen, dataset)
    if errors:
        sys.exit("\n".join(f"error: {error}" for error in errors))


def _predict(
    network: Classifier, paths: Sequence[Path]
) -> tuple[list[Prediction], list[UserError]]:
    """Return what a network says of the images, and what is wrong with those it can't read."""
    assert isinstance(network.layout, Images)
    predictions: list[Prediction] = []
    errors: list[UserError] = []
    for path in paths:
        try:
            picture = read_picture(path, network.layout)
        except UserError as error:
            errors.append(error)
        else:
            outputs = network.outputs(picture.pixels[np.newaxis])[0]
            predictions.append(Prediction(path, picture, outputs))
    return predictions, errors


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("predict", __doc__)
    add = parser.add_argument
    parser.usage = f"{parser.prog} [SWEEP|RUN] IMAGE [IMAGE ...] [--json] [--seen FOLDER]"
    add("words", nargs="+", metavar="[SWEEP|RUN] IMAGE", help="default: last")
    add("--json", action="store_true", help="all classes, for machines")
    add(
        "--seen", type=Path, metavar="FOLDER", help="keep the images there as the network sees them"
    )
    return parser


def _divided(words: Sequence[str], otherwise: str) -> tuple[str, list[Path]]:
    """Return the sweep or run and the images; a first word that is a file is an image, too."""
    first = Path(words[0])
    is_image = first.is_file() or first.suffix.lower() in Image.registered_extensions()
    wanted, images = (otherwise, words) if is_image else (words[0], words[1:])
    return wanted, [Path(image) for image in images]


def _line(prediction: Prediction) -> str:
    outputs = prediction.outputs
    best = np.argsort(-outputs)[:NUM_SHOWN]
    first, *others = (f"{label} ({outputs[label]:.1%})" for label in best)
    turned = "; dark on light, so turned round" if prediction.picture.was_dark_on_light else ""
    return f"{prediction.path}: {first}, then {', '.join(others)}{turned}"


def _as_json(prediction: Prediction) -> dict[str, object]:
    return {
        "file": str(prediction.path),
        "class": int(prediction.outputs.argmax()),
        "outputs": prediction.outputs.tolist(),
        "turned_round": prediction.picture.was_dark_on_light,
    }


def _keep(prediction: Prediction, folder: Path, dataset: Dataset) -> None:
    """Write what the network sees as an image of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    bright = prediction.picture.pixels * (255 / dataset.max_pixel)
    Image.fromarray(np.rint(bright).astype(np.uint8)).save(folder / f"{prediction.path.stem}.png")


if __name__ == "__main__":
    main()
