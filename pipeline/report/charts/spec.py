"""What all figures of sweeps share: colours, labels, and how they become a PNG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

__all__ = [
    "COLORS",
    "DASHES",
    "LIGHT",
    "MAX_LABEL",
    "TOLD",
    "Spec",
    "headed",
    "interval",
    "quantity",
    "save_png",
    "shortened",
]

Spec = dict[str, Any]
"""A figure in the Vega-Lite language (https://vega.github.io/vega-lite/)."""

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
"""Okabe and Ito's, which colour-blind people can tell apart."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3]]
"""Dashes of lines, so that they differ without colour too."""

MAX_LABEL = 420
"""Pixels of a cell's name; what is longer is cut when it is drawn."""

TOLD = {"content": "data"}
"""As a mark's tooltip: all its numbers, on hover."""

FONT = "DejaVu Sans"
"""It has every letter that is used, and comes with matplotlib."""

LIGHT: Spec = {"background": "white", "axis": {"gridOpacity": 0.5}, "view": {"stroke": None}}
"""The look of a figure on white."""


def shortened(label: str, length: int) -> str:
    """Return a text cut in its middle: what sets cells apart is often at the end."""
    half = length // 2
    return label if len(label) <= length else f"{label[: half - 1]}…{label[-half:]}"


def headed(text: str) -> Spec:
    """Return what puts a line of text above a figure; nothing for ""."""
    return {"title": {"text": text, "anchor": "start", "fontWeight": "normal"}} if text else {}


def quantity(field: str, title: str, *, from_zero: bool = False) -> Spec:
    """Return the encoding of a number along an axis."""
    scale = {"zero": from_zero}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def interval(value: float, low: float, high: float) -> dict[str, float]:
    """Return a mean with the ends of its interval; where nobody knows them, the mean."""
    ends = {"low": low, "high": high}
    return {"mean": value, **{key: value if math.isnan(it) else it for key, it in ends.items()}}


def save_png(spec: Spec, path: Path) -> None:
    """Draw a figure into a PNG file."""
    import matplotlib as mpl
    import vl_convert

    vl_convert.register_font_directory(str(Path(mpl.get_data_path(), "fonts", "ttf")))
    config = LIGHT | {"font": FONT}
    path.write_bytes(vl_convert.vegalite_to_png(json.dumps(spec), scale=1.5, config=config))
