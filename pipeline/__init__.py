"""Train small neural networks over any grid of choices, tracked in MLflow, compared honestly."""

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.report.frame import load
    from pipeline.tools.trained import network, weights

__all__ = ["load", "network", "weights"]

_FOUND_IN = {
    "load": "pipeline.report.frame",
    "network": "pipeline.tools.trained",
    "weights": "pipeline.tools.trained",
}
"""For notebooks, but not imported with the package, whose commands start quickly."""

__path__.append(str(Path(__file__).with_name("tools")))  # `python -m pipeline.ui` is tools/ui.py

# Threads that wait for each other spin, and two programs that do so at once come to a standstill:
# let them spin shortly and then sleep, unless the user says otherwise. Read when torch is loaded.
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "30000"


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_FOUND_IN[name]), name)
