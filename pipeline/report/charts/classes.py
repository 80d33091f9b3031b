"""The figures of a chosen cell: what it takes for what, class by class, and what it looks for."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from pipeline.report.charts.spec import TOLD, Spec, headed, quantity, shortened
from pipeline.report.confusion import distinct_labels, shares_of_true, shown_classes

__all__ = ["classes_chart", "confusion_chart", "weights_chart"]

MAX_NAME = 32
"""Letters of a class's name."""

CELL, SMALL_CELL = 34, 14
"""Pixels of a cell with a count, and of one with colour alone."""

MIN_SIDE, MAX_SIDE = 200, 900
"""Pixels of all cells beside each other; a page shows so many without scrolling."""

MAX_HEADER = 14
"""Letters of a class's name above an image."""

IMAGE_SIDE = 88
"""Pixels of the longer side of a weight image."""

MAX_IMAGES = 30
"""Weight images, at most."""

CHANNELS = ("red", "green", "blue")


def confusion_chart(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str]) -> Spec:
    """Return the table of confusions: counts, and shares of the true class as colour.

    Of more classes than fit on an axis it shows those with the most frequent confusions.

    Args:
        counts: examples by true class (rows) and predicted class (columns).
        classes: their names.
    """
    shown, which = shown_classes(counts)
    shares = shares_of_true(counts)
    labels = _labels(classes)
    data = [
        {
            "true": labels[true],
            "predicted": labels[predicted],
            "count": int(counts[true, predicted]),
            "share": float(shares[true, predicted]),
        }
        for true in shown
        for predicted in shown
    ]
    names = [labels[number] for number in shown]
    longest_count = len(str(max(it["count"] for it in data)))
    cell = max(CELL, 6 * longest_count + 8, MIN_SIDE // len(names))
    has_counts = cell * len(names) <= MAX_SIDE
    step = cell if has_counts else SMALL_CELL
    color = quantity("share", "share of the true class")
    color["scale"] = {"type": "pow", "exponent": 0.4, "scheme": "blues", "domain": [0, 1]}
    is_dark = {"condition": {"test": "datum.share > 0.3", "value": "white"}, "value": "black"}
    text: Spec = {
        "mark": {"type": "text", "fontSize": 9, "tooltip": TOLD},
        "encoding": {"text": {"field": "count"}, "color": is_dark},
    }
    x = _names("predicted", "predicted class", names)
    x["axis"]["labelAngle"] = 0 if max(map(len, names)) * 7 < step else -90
    return {
        **headed(which),
        "width": {"step": step},
        "height": {"step": step},
        "data": {"values": data},
        "encoding": {"x": x, "y": _names("true", "true class", names)},
        "layer": [
            {"mark": {"type": "rect", "tooltip": TOLD}, "encoding": {"color": color}},
            *([text] if has_counts else []),
        ],
    }


def classes_chart(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str]) -> Spec:
    """Return the accuracy of each class that there are examples of.

    Of more classes than fit on an axis it shows those that `confusion_chart` shows.

    Args:
        counts: examples by true class (rows) and predicted class (columns).
        classes: their names.
    """
    shown, which = shown_classes(counts)
    shares = np.diag(shares_of_true(counts))
    examples = counts.sum(axis=1)
    labels = _labels(classes)
    data = [
        {
            "class": labels[number],
            "accuracy": float(shares[number]),
            "examples": int(examples[number]),
        }
        for number in shown
        if examples[number]
    ]
    names = [labels[number] for number in shown]
    return {
        **headed(which),
        "width": 320,
        "height": {"step": max(SMALL_CELL, min(CELL, 320 // len(names)))},
        "data": {"values": data},
        "mark": {"type": "point", "filled": True, "size": 70, "tooltip": TOLD},
        "encoding": {
            "x": quantity("accuracy", "share answered rightly"),
            "y": _names("class", "class", names),
        },
    }


def _labels(classes: Sequence[str]) -> list[str]:
    return distinct_labels(classes, lambda name: shortened(name, MAX_NAME))


def _names(field: str, title: str, names: Sequence[str]) -> Spec:
    """Return the encoding of classes along an axis, all named, in the order of the names."""
    axis = {"labelOverlap": False, "labelLimit": 0}
    scale = {"domain": list(names)}
    return {"field": field, "type": "nominal", "title": title, "axis": axis, "scale": scale}


def weights_chart(
    weight: Float[np.ndarray, "classes features"],
    classes: Sequence[str],
    image_shape: tuple[int, int, int],
) -> Spec:
    """Return what each class looks for, an image for each channel.

    Args:
        weight: of a network without a hidden layer.
        classes: the names of the classes.
        image_shape: height, width and channels (1 for grey, 3 for colour) of the images, which are
            flattened in this order.
    """
    largest = float(np.abs(weight).max()) or 1.0
    images = (weight / largest).reshape(-1, *image_shape)
    channels = CHANNELS if image_shape[-1] == len(CHANNELS) else ("grey",)
    labels = distinct_labels(classes, lambda name: shortened(name, MAX_HEADER))
    shown = labels[: MAX_IMAGES // len(channels)]
    data = [
        {"class": label, "channel": name, "image": _image(image[:, :, channel]), "x": 0, "y": 0}
        for label, image in zip(shown, images, strict=False)
        for channel, name in enumerate(channels)
    ]
    which = f"the first {len(shown)} of {len(labels):,} classes" if len(shown) < len(labels) else ""
    height, width, _ = image_shape
    size = {
        "width": max(1, IMAGE_SIDE * width // max(height, width)),
        "height": max(1, IMAGE_SIDE * height // max(height, width)),
    }
    return {
        **headed(which),
        "data": {"values": data},
        **_facets(shown, channels),
        "spec": {
            **size,
            "mark": {"type": "image", **size},
            "encoding": {
                "url": {"field": "image", "type": "nominal"},
                "x": {"field": "x", "type": "quantitative", "axis": None},
                "y": {"field": "y", "type": "quantitative", "axis": None},
            },
        },
    }


def _facets(labels: Sequence[str], channels: Sequence[str]) -> Spec:
    """Return where the images of classes lie: of colours, a row for each class."""
    title = "class: red for it, blue against"
    row: Spec = {"field": "class", "type": "nominal", "sort": list(labels), "title": title}
    if len(channels) == 1:
        return {"facet": row, "columns": 5}
    row["header"] = {"labelAngle": 0, "labelAlign": "left"}
    column = {"field": "channel", "type": "nominal", "sort": list(channels), "title": None}
    return {"facet": {"row": row, "column": column}}


def _image(values: Float[np.ndarray, "height width"]) -> str:
    """Return values between -1 and 1 as an image, blue to red, inside an address.

    An image that is larger than it is drawn is made as small.
    """
    from matplotlib import colormaps
    from matplotlib.image import imsave  # pyright: ignore[reportUnknownVariableType]

    image = Image.fromarray(values.astype(np.float32))
    image.thumbnail((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BOX)
    content = BytesIO()
    imsave(content, colormaps["RdBu_r"]((np.asarray(image) + 1) / 2), format="png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
