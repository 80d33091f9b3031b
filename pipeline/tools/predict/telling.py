"""How predictions are told: as lines for people, as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from pipeline.tracking.record import RunResult
from pipeline.trained.classifier import Classifier

__all__ = ["Outputs", "Teller"]

Outputs = Float[NDArray[np.floating], " classes"]

NUM_SHOWN = 3
"""Classes of an example that a line tells, those with the highest outputs."""


@dataclass(frozen=True)
class Teller:
    """Tells what the network of a run says."""

    run: RunResult
    network: Classifier
    as_json: bool

    def line(self, outputs: Outputs) -> str:
        """Return the class of an example and the next ones: "7 (98.2%), then 1 (1.1%)"."""
        best = np.argsort(-outputs, kind="stable")[:NUM_SHOWN]
        first, *others = (f"{self.network.classes[at]} ({outputs[at]:.1%})" for at in best)
        return f"{first}, then {', '.join(others)}"

    def said(self, outputs: Outputs) -> dict[str, object]:
        """Return the class of an example and all outputs, as JSON can hold them."""
        classes = self.network.classes
        return {
            "class": classes[int(outputs.argmax())],
            "outputs": dict(zip(classes, outputs.tolist(), strict=True)),
        }

    def print_json(self, what: str, said: Sequence[dict[str, object]]) -> None:
        """Print what is said of each example under a name such as "images"."""
        told = {"run_id": self.run.run_id, what: said}
        print(json.dumps(told, indent=2, ensure_ascii=False))

    def print_source(self) -> None:
        """Print which network has answered."""
        is_sigmoid = self.network.output == "sigmoid"
        told = "; its sigmoid outputs don't add up to 100%" if is_sigmoid else ""
        trained_on = self.run.trained_on
        print(f"Run {self.run.run_id[:14]}, {self.run.name}, trained on {trained_on}{told}")
