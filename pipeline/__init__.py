"""Train small neural networks over any grid of choices, tracked in MLflow, compared honestly."""

import os
from pathlib import Path

__path__.append(str(Path(__file__).with_name("tools")))  # `python -m pipeline.ui` is tools/ui.py

# Threads that wait for each other spin, and two programs that do so at once come to a standstill:
# let them spin shortly and then sleep, unless the user says otherwise. Read when torch is loaded.
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "30000"
