"""Problem 3.3: the worked 2-2-2 example, by the code that trains, and what is wrong in the text.

Its targets are soft, y = (0.01, 0.99), where our losses take labels. But the cross-entropy is
linear in y, and this y is 0.01 of the one label and 0.99 of the other: so the example passes
through as a batch of two, once with each label, with those weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.config.schema import LossConfig
from pipeline.engine.backprop import Sharing, add_gradient, errors, forward, output_error
from pipeline.engine.losses import make_loss
from pipeline.reproduce.reference import WorkedExample
from pipeline.theory.claim import Claim, Verdict
from pipeline.theory.cross_entropy import cross_entropy

__all__ = ["central_differences", "check_worked_example", "compute", "numerical_gradients"]

CE = LossConfig("ce")
ALONE = Sharing([1])
LABELS = torch.arange(2)
IS_TARGET = torch.eye(2, dtype=torch.bool).unsqueeze(0)
HALF_UNIT = 0.5e-4 + 1e-9
"""Of the last of four printed digits."""
CARRIED = 2e-4
"""What rounding the numbers before may do to a number; a slip of the text does more."""
PROOF = 1e-8
"""How near our gradients must come to central differences."""

NAMES = {
    "z1": "z¹",
    "a1": "a¹",
    "z2": "z²",
    "a2": "a²",
    "cost": "C",
    "delta2": "δ²",
    "dw2": "∂C/∂w²",
    "db2": "∂C/∂b²",
    "delta1": "δ¹",
    "dw1": "∂C/∂w¹",
    "db1": "∂C/∂b¹",
    "delta0": "δ⁰ = ∂C/∂x",
}
DERIVATIVE_BY = {
    "delta2": "b2",
    "dw2": "w2",
    "db2": "b2",
    "delta1": "b1",
    "dw1": "w1",
    "db1": "b1",
    "delta0": "x",
}
"""What C is differentiated by; δ^l = ∂C/∂z^l is ∂C/∂b^l, for z^l = w^l a^(l-1) + b^l."""

Numbers = dict[str, Float[Tensor, "*shape"]]


def check_worked_example(example: WorkedExample) -> list[Claim]:
    """Check every printed quantity of Problem 3.3.

    A quantity holds if ours rounds to the printed digits, or if these come from the rounded numbers
    before. It is an erratum if a slip gives the printed digits and central differences of C prove
    ours. In all other cases the check fails.
    """
    ours, proofs = compute(example), numerical_gradients(example)
    printed = {name: _tensor(example.published[name]) for name in NAMES}
    in_text = _arithmetic_of_text(_given(example), printed)
    return [
        _claim(name, example, printed[name], in_text[name], ours[name], proofs.get(name))
        for name in NAMES
    ]


def _claim(
    name: str,
    example: WorkedExample,
    printed: Tensor,
    in_text: Tensor,
    ours: Tensor,
    proof: Tensor | None,
) -> Claim:
    error = 0.0 if proof is None else _distance(ours, proof)
    verdict = _judge(printed, in_text, ours) if error < PROOF else Verdict.FAILS
    statement, notes = NAMES[name], [_text(ours, 5)]
    if verdict is Verdict.ERRATUM:
        statement += f": {example.errata[name]}"
    elif _distance(ours, printed) > HALF_UNIT:
        notes.append(f"{_text(in_text, 5)} from the rounded numbers before")
    if proof is not None:
        notes.append(f"central differences are within {error:.0e}")
    return Claim("3.3", statement, _text(printed, 4), "; ".join(notes), verdict)


def _judge(printed: Tensor, in_text: Tensor, ours: Tensor) -> Verdict:
    if _distance(ours, printed) <= HALF_UNIT:
        return Verdict.HOLDS
    if _distance(in_text, printed) > HALF_UNIT:
        return Verdict.FAILS
    return Verdict.HOLDS if _distance(ours, printed) <= CARRIED else Verdict.ERRATUM


def compute(example: WorkedExample) -> Numbers:
    """Return every quantity of NAMES by the functions of `pipeline.engine.backprop`, in float64."""
    given = _given(example)
    inputs = given["x"].expand(1, 2, 2)
    weights = [given["w1"].unsqueeze(0), given["w2"].unsqueeze(0)]
    biases = [given["b1"].unsqueeze(0), given["b2"].unsqueeze(0)]
    done = forward(weights, biases, inputs, ALONE, "sigmoid", {})
    found: Numbers = {
        "z1": done.weighted[0][0, :, 0],
        "a1": done.activations[0][0, :, 0],
        "z2": done.logits[0, :, 0],
        "a2": done.logits[0, :, 0].sigmoid(),
        "cost": _cost(given),
    }
    delta = output_error(CE, "sigmoid", done.logits, IS_TARGET) * given["target"]
    for layer, error in errors(delta, done, weights, "sigmoid", {}):
        gradient = torch.empty_like(weights[layer - 1])
        add_gradient(gradient, error, layer, done, inputs, ALONE, accumulate=False)
        found[f"dw{layer}"] = gradient[0]
        found[f"delta{layer}"] = found[f"db{layer}"] = error.sum(-1)[0]
    found["delta0"] = given["w1"].mT @ found["delta1"]
    return found


def _given(example: WorkedExample) -> Numbers:
    names = ("x", "target", "w1", "b1", "w2", "b2")
    return {name: _tensor(getattr(example, name)) for name in names}


def _tensor(numbers: Any) -> Float[Tensor, "*shape"]:
    return torch.tensor(numbers, dtype=torch.float64)


def _cost(given: Numbers) -> Float[Tensor, ""]:
    """Return C by our loss, each label with its share of the target."""
    hidden = (given["w1"] @ given["x"] + given["b1"]).sigmoid()
    logits = given["w2"] @ hidden + given["b2"]
    return given["target"] @ make_loss(CE, "sigmoid")(logits.expand(2, 2), LABELS)


def numerical_gradients(example: WorkedExample) -> Numbers:
    """Return every quantity of DERIVATIVE_BY by central differences of C."""
    given = _given(example)
    return {
        name: central_differences(lambda v, by=by: _cost({**given, by: v}), given[by])
        for name, by in DERIVATIVE_BY.items()
    }


def central_differences(
    function: Callable[[Float[Tensor, "*shape"]], Float[Tensor, ""]],
    at: Float[Tensor, "*shape"],
    step: float = 1e-5,
) -> Float[Tensor, "*shape"]:
    """Return the derivative of a function, [f(v + h) - f(v - h)] / 2h for each entry of v.

    Args:
        function: f.
        at: v, float64.
        step: h; its square is the error, its reciprocal magnifies the rounding of f.
    """
    steps = step * torch.eye(at.numel(), dtype=at.dtype).view(-1, *at.shape)
    slopes = [(function(at + h) - function(at - h)) / (2 * step) for h in steps]
    return torch.stack(slopes).view(at.shape)


def _arithmetic_of_text(given: Numbers, printed: Numbers) -> Numbers:
    """Return what the text's way gives, slips included, from the numbers printed before.

    Its δ¹ adds where BP2 subtracts, so that |δ²| is carried back; its δ⁰ has the inputs as factor.
    """
    x, y = given["x"], given["target"]
    a1, a2, delta1, delta2 = (printed[name] for name in ("a1", "a2", "delta1", "delta2"))
    return {
        "z1": given["w1"] @ x + given["b1"],
        "a1": printed["z1"].sigmoid(),
        "z2": given["w2"] @ a1 + given["b2"],
        "a2": printed["z2"].sigmoid(),
        "cost": cross_entropy(a2, y).mean(),
        "delta2": (a2 - y) / 2,
        "dw2": torch.outer(delta2, a1),
        "db2": delta2,
        "delta1": (given["w2"].mT @ delta2.abs()) * a1 * (1 - a1),
        "dw1": torch.outer(delta1, x),
        "db1": delta1,
        "delta0": (given["w1"].mT @ delta1) * x,
    }


def _distance(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


def _text(values: Tensor, digits: int) -> str:
    """Return numbers as "0.1", "(0.1, 0.2)" or "((0.1, 0.2), (0.3, 0.4))"."""
    if values.ndim == 0:
        return f"{values.item():.{digits}f}"
    return f"({', '.join(_text(value, digits) for value in values)})"
