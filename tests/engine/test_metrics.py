"""What every metric must hold to. A new one adds its row to ROWS."""

from typing import NamedTuple

import pytest
import torch

from pipeline.config import registry
from pipeline.engine.metrics import Metric, metrics_of_split

LABELS = torch.arange(3).repeat_interleave(200)


def predictions() -> torch.Tensor:
    """Five members: always right; class 2 never, in 50 % and in 49.5 % recognised; always 0."""
    perfect, never_two, half, less_than_half = (LABELS.clone() for _ in range(4))
    never_two[LABELS == 2] = 0
    half[500:600] = 1
    less_than_half[499:600] = 1
    members = [perfect, never_two, half, less_than_half, LABELS * 0]
    return torch.stack(members).to(torch.uint8)


class Row(NamedTuple):
    values: list[float]
    """Of the members of `predictions`."""
    splits: tuple[str, ...] = ("train", "val", "test")


ROWS = {
    "accuracy": Row([1.0, 400 / 600, 500 / 600, 499 / 600, 200 / 600]),
    "lost_classes": Row([0, 1, 0, 1, 2], splits=("test",)),
}


def metric(name: str) -> Metric:
    return metrics_of_split("test")[name]


def test_every_metric_has_a_row():
    for name in registry.names("metric"):
        assert name in ROWS, f"add a row for {name} to ROWS in tests/engine/test_metrics.py"
    assert set(ROWS) == set(registry.names("metric"))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("num_classes", [3, 4])
def test_is_the_number_that_one_counts(name, num_classes):
    """A class without examples counts for nothing."""
    found = metric(name)(predictions(), LABELS.to(torch.uint8), num_classes)
    assert found.tolist() == pytest.approx(ROWS[name].values)


@pytest.mark.parametrize("name", ROWS)
def test_is_measured_where_it_says(name):
    splits = [split for split in ("train", "val", "test") if name in metrics_of_split(split)]
    assert tuple(splits) == ROWS[name].splits
