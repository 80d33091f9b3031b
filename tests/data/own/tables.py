"""Small tables in files, read as `data=table` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.config.schema.data import DataConfig
from pipeline.data.layout import Table
from pipeline.data.own.table import read_table
from pipeline.data.pool import Pool

GOOD = "age,color,ok,y\n30,red,true,1\n41.5,blue,false,0\n27,red,true,1\n19,blue,true,0\n"


def config(path: Path, **keys: Any) -> DataConfig:
    """data=table, as conf/data/table.yaml has it."""
    usual: dict[str, Any] = {
        "target": "y",
        "num_train": None,
        "num_val": None,
        "val_share": 0.15,
        "test_share": 0.15,
    }
    return DataConfig("table", path=str(path), batch_size=1, **(usual | keys))


def read(folder: Path, content: str | bytes, name: str = "t.csv", **keys: Any) -> Pool:
    raw = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(raw)
    return read_table(config(folder / name, **keys))


def read_parquet(folder: Path, columns: Mapping[str, Any], **keys: Any) -> Pool:
    parquet.write_table(pa.table(dict(columns)), folder / "t.parquet")
    return read_table(config(folder / "t.parquet", **keys))


def features(pool: Pool) -> np.ndarray:
    return np.concatenate([np.asarray(block, np.float64) for block in pool.blocks()], axis=1)


def names(pool: Pool) -> list[str]:
    assert isinstance(pool.layout, Table)
    return [feature for column in pool.layout.columns for feature in column.features]
