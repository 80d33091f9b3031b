"""Tables that scikit-learn brings: breast_cancer, wine and iris."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pipeline.data.layout import NUMBER, Column, Table
from pipeline.data.pool import UNDIVIDED, Pool, one_block

__all__ = ["read_bundled"]

TARGETS = {"breast_cancer": "diagnosis", "wine": "cultivar", "iris": "species"}
"""What the class of an example is called, by the name of the data set."""


def read_bundled(name: str) -> Pool:
    """Return the examples of breast_cancer (569, of 30 numbers), wine (178, 13) or iris (150, 4).

    They are not divided. The classes have scikit-learn's names, the columns, too.
    """
    from sklearn import datasets  # pyright: ignore[reportMissingTypeStubs]  # has none

    bunch: Any = getattr(datasets, f"load_{name}")()
    inputs = np.ascontiguousarray(bunch.data, np.float64)
    labels = np.ascontiguousarray(bunch.target, np.int64)
    columns = [Column(str(feature), NUMBER) for feature in bunch.feature_names]
    return Pool(
        labels=labels,
        parts=np.full(len(labels), UNDIVIDED, np.int8),
        classes=tuple(map(str, bunch.target_names)),
        layout=Table((*columns, Column(TARGETS[name], "target"))),
        blocks=one_block(inputs),
        num_bytes=inputs.nbytes + labels.nbytes,
        digest=hashlib.sha256(inputs.tobytes() + labels.tobytes()).hexdigest(),
        source="scikit-learn",
    )
