"""The results that the problem set prints, read from `problem_set.yaml` and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import UserError

__all__ = ["PROBLEM_SET", "Losses", "Penalties", "Reference", "SgdNetwork", "read_reference"]

PROBLEM_SET = Path(__file__).with_name("problem_set.yaml")

Five = Annotated[tuple[StrictFloat, ...], Field(min_length=5, max_length=5)]
Seven = Annotated[tuple[StrictFloat, ...], Field(min_length=7, max_length=7)]


class _Entry(BaseModel):
    """An entry of the file: none of its own may be missing, and there are no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SgdNetwork(_Entry):
    """Problem 1.3: how many of `test_size` images are recognised, epoch by epoch."""

    test_size: StrictInt
    correct: Annotated[tuple[StrictInt, ...], Field(min_length=30, max_length=30)]


class Curves(_Entry):
    """The curves of a loss, epoch by epoch."""

    test_accuracy: Five
    train_loss: Five


class Losses(_Entry):
    """Problem 4.1: the curves of every loss."""

    mse: Curves
    ce: Curves
    nll: Curves


class Penalties(_Entry):
    """Problem 4.2: test accuracies for each strength λ."""

    strength: Seven
    l1: Seven
    l2: Seven


class Dropout(_Entry):
    """Problem 4.2: test accuracies for each probability that a unit is kept."""

    p_keep: Seven
    test_accuracy: Seven


class Reference(_Entry):
    """All results that the problem set prints, by the study that answers them."""

    sgd_network: SgdNetwork
    losses: Losses
    penalties: Penalties
    dropout: Dropout


def read_reference(path: Path = PROBLEM_SET) -> Reference:
    """Read the published numbers.

    Raises:
        UserError: an entry or a value is missing, is one too many or isn't a number.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return Reference.model_validate(content or {})
    except ValidationError as error:
        raise UserError(f"{path}: {_describe(error.errors()[0])}.") from error


def _describe(problem: ErrorDetails) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]]
    key = "".join(parts).removeprefix(".")
    match problem["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} is not an entry that a report uses"
        case "too_short" | "too_long":
            limits = problem.get("ctx", {})
            wanted = limits.get("min_length") or limits["max_length"]
            return f"{key} has {len(problem['input'])} values; the text prints {wanted}"
        case _:
            return f"{key}: {problem['msg']}"
