"""A table such as users have: numbers, categories, true and false, postal codes, missing values."""

from __future__ import annotations

import csv
import random
from pathlib import Path

__all__ = ["HEADER", "OVERRIDES", "read", "write"]

HEADER = ("age", "city", "member", "zip", "it's a name", "mood")

OVERRIDES = (
    "data=table",
    "data.target=mood",
    "data.missing=mean",
    "data.categories=[zip]",
    "model=mlp",
    "model.hidden=[16]",
    "optimizer.lr=0.1",
    "trainer.max_epochs=40",
    "trainer=cpu",
)
"""How it is trained on."""


def write(path: Path, num_rows: int = 400) -> Path:
    """Write a table in which age and city decide the mood, and the other columns say nothing."""
    draw = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in range(num_rows):
            age, city = draw.randint(18, 90), draw.choice(["Köln", "Paris", "Oslo"])
            mood = "happy" if age < (70 if city == "Oslo" else 40) else "sad"
            others = (draw.random() < 0.5, draw.choice(["80331", "01067"]), draw.gauss(0, 1))
            seen = ("" if row % 40 == 0 else age, "" if row % 50 == 0 else city)
            writer.writerow([*seen, *others, mood])
    return path


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as texts."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
