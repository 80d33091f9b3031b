"""The figures of a chosen cell: what it takes for what, class by class, and what it looks for."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from jaxtyping import Float, Int

from pipeline.report.charts.spec import TOLD, Spec, quantity

__all__ = ["classes_chart", "confusion_chart", "weights_chart"]


def confusion_chart(counts: Int[np.ndarray, "classes classes"]) -> Spec:
    """Return the table of confusions: counts, and shares of the true class as colour.

    Args:
        counts: examples by true class (rows) and predicted class (columns).
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    data = [
        {"true": int(true), "predicted": int(predicted), "count": int(count), "share": float(share)}
        for ((true, predicted), count), share in zip(
            np.ndenumerate(counts), shares.ravel(), strict=True
        )
    ]
    color = quantity("share", "share of the true class")
    color["scale"] = {"type": "pow", "exponent": 0.4, "scheme": "blues", "domain": [0, 1]}
    is_dark = {"condition": {"test": "datum.share > 0.3", "value": "white"}, "value": "black"}
    return {
        "width": 380,
        "height": 320,
        "data": {"values": data},
        "encoding": {
            "x": {"field": "predicted", "type": "ordinal", "title": "predicted class"},
            "y": {"field": "true", "type": "ordinal", "title": "true class"},
        },
        "layer": [
            {"mark": {"type": "rect", "tooltip": TOLD}, "encoding": {"color": color}},
            {
                "mark": {"type": "text", "fontSize": 9},
                "encoding": {"text": {"field": "count"}, "color": is_dark},
            },
        ],
    }


def classes_chart(counts: Int[np.ndarray, "classes classes"]) -> Spec:
    """Return the accuracy of each class."""
    accuracies = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
    data = [{"class": number, "accuracy": float(it)} for number, it in enumerate(accuracies)]
    return {
        "width": 260,
        "height": 320,
        "data": {"values": data},
        "mark": {"type": "point", "filled": True, "size": 70, "tooltip": TOLD},
        "encoding": {
            "x": quantity("accuracy", "share answered rightly"),
            "y": {"field": "class", "type": "ordinal", "title": "class"},
        },
    }


def weights_chart(weight: Float[np.ndarray, "classes pixels"]) -> Spec | None:
    """Return what each class looks for, as an image; None where inputs are no square images.

    Args:
        weight: of a network without a hidden layer.
    """
    side = round(weight.shape[1] ** 0.5)
    if side * side != weight.shape[1]:
        return None
    largest = float(np.abs(weight).max()) or 1.0
    data = [
        {"class": number, "image": _image(row.reshape(side, side) / largest), "x": 0, "y": 0}
        for number, row in enumerate(weight)
    ]
    return {
        "data": {"values": data},
        "facet": {"field": "class", "type": "ordinal", "title": "class: red for it, blue against"},
        "columns": 5,
        "spec": {
            "width": 90,
            "height": 90,
            "mark": {"type": "image", "width": 88, "height": 88},
            "encoding": {
                "url": {"field": "image", "type": "nominal"},
                "x": {"field": "x", "type": "quantitative", "axis": None},
                "y": {"field": "y", "type": "quantitative", "axis": None},
            },
        },
    }


def _image(values: Float[np.ndarray, "side side"]) -> str:
    """Return values between -1 and 1 as an image, blue to red, inside an address."""
    from matplotlib import colormaps
    from matplotlib.image import imsave  # pyright: ignore[reportUnknownVariableType]

    content = BytesIO()
    imsave(content, colormaps["RdBu_r"]((values + 1) / 2), format="png")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
