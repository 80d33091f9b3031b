"""Train small neural networks over any grid of choices, tracked in MLflow, compared honestly."""

from pathlib import Path

__path__.append(str(Path(__file__).with_name("tools")))  # `python -m pipeline.ui` is tools/ui.py
