"""pyarrow, which says nothing of its types, as far as tables are read by it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["ArrowError", "compute", "csv", "pa", "parquet", "types"]

pa: Any = import_module("pyarrow")
compute: Any = import_module("pyarrow.compute")
csv: Any = import_module("pyarrow.csv")
parquet: Any = import_module("pyarrow.parquet")
types: Any = import_module("pyarrow.types")

ArrowError: type[Exception] = pa.ArrowException
"""What pyarrow raises of its own; of what it can't read it may raise ValueError, too."""
