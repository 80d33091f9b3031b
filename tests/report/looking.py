"""What a person would notice in a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray


def pixels(path: Path) -> NDArray[np.float64]:
    """What the eye sees, checked to be a modest PNG with nothing clipped at its edges."""
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.stat().st_size < 500_000
    image = imread(path)[..., :3].astype(np.float64)
    for edge in (image[:4], image[-4:], image[:, :4], image[:, -4:]):
        assert (edge == 1).all()
    assert image.min() < 0.5
    return image


def assert_nothing_overlaps(figure: Figure) -> None:
    """Neither do panels with their labels, legend and title overlap, nor is one cut off."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    texts = [text for text in figure.texts if text.get_text()]
    boxes += [part.get_window_extent(renderer) for part in (*figure.legends, *texts)]
    extents = np.array([box.extents for box in boxes if box])
    assert len(extents) == len(boxes)
    assert extents[:, :2].min() >= 0
    assert extents[:, 2].max() <= figure.bbox.x1
    assert extents[:, 3].max() <= figure.bbox.y1
    for low_x, low_y, high_x, high_y in extents:
        beside = (extents[:, 0] >= high_x) | (extents[:, 2] <= low_x)
        above = (extents[:, 1] >= high_y) | (extents[:, 3] <= low_y)
        assert (~(beside | above)).sum() == 1  # itself


def legend(figure: Figure) -> list[str]:
    (only,) = figure.legends
    return [text.get_text() for text in only.get_texts()]
