"""Those of MLflow's tables that runs are kept in."""

from __future__ import annotations

from typing import cast

from mlflow.store.tracking.dbmodels import models
from sqlalchemy import Table

__all__ = [
    "DATASETS",
    "INPUTS",
    "INPUT_TAGS",
    "LATEST_METRICS",
    "METRICS",
    "PARAMS",
    "RUNS",
    "TAGS",
]

RUNS = cast("Table", models.SqlRun.__table__)
TAGS = cast("Table", models.SqlTag.__table__)
PARAMS = cast("Table", models.SqlParam.__table__)
METRICS = cast("Table", models.SqlMetric.__table__)
LATEST_METRICS = cast("Table", models.SqlLatestMetric.__table__)
DATASETS = cast("Table", models.SqlDataset.__table__)
INPUTS = cast("Table", models.SqlInput.__table__)
INPUT_TAGS = cast("Table", models.SqlInputTag.__table__)
