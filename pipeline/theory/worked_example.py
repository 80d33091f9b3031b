"""Problem 3.3: the worked 2-2-2 example, by the code that trains, and what is wrong in the text.

Its targets are soft, y = (0.01, 0.99), where our losses take labels. But the cross-entropy is
linear in y, and this y is 0.01 of the one label and 0.99 of the other: so the example passes
through as a batch of two, once with each label, with those weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory.claim import Claim, Outcome
from pipeline.theory.cross_entropy import cross_entropy
from pipeline.theory.one_network import Loss, Pass

__all__ = [
    "PRINTED",
    "Quantity",
    "central_differences",
    "check_worked_example",
    "compute",
    "numerical_gradients",
]

Numbers = dict[str, Float[Tensor, "*shape"]]

CE = Loss("ce", "sigmoid")
LABELS = torch.tensor([[0, 1]])
HALF_UNIT = 0.5e-4 + 1e-9
"""Half a unit of the last of four printed digits."""
CARRIED = 2e-4
"""What rounding the numbers before may do to a number; a slip of the text does more."""
PROOF = 1e-8
"""How near our gradients must come to central differences."""


def _tensor(numbers: Any) -> Float[Tensor, "*shape"]:
    return torch.tensor(numbers, dtype=torch.float64)


GIVEN: Numbers = {
    "x": _tensor([0.05, 0.10]),
    "target": _tensor([0.01, 0.99]),
    "w1": _tensor([[0.15, 0.20], [0.25, 0.30]]),
    "b1": _tensor([0.35, 0.35]),
    "w2": _tensor([[0.40, 0.45], [0.50, 0.55]]),
    "b2": _tensor([0.60, 0.60]),
}
"""The network of sigmoids and its example. Row j of a matrix: the weights into neuron j. The cost C
is the cross-entropy, averaged over the two outputs."""


@dataclass(frozen=True)
class Quantity:
    """A number, vector or matrix that the text prints to four digits."""

    symbol: str
    printed: Any
    by: str = ""
    """What of GIVEN it differentiates C by, if it is a gradient."""
    erratum: str = ""
    """Why the printed value is wrong, if it is."""


PRINTED = {
    "z1": Quantity("z¹", [0.3775, 0.3925]),
    "a1": Quantity("a¹", [0.5933, 0.5969]),
    "z2": Quantity("z²", [1.1059, 1.2249]),
    "a2": Quantity("a²", [0.7514, 0.7729]),
    "cost": Quantity("C", 0.8254),
    "delta2": Quantity("δ²", [0.3707, -0.1086], "b2"),
    "dw2": Quantity("∂C/∂w²", [[0.2199, 0.2213], [-0.0644, -0.0648]], "w2"),
    "db2": Quantity("∂C/∂b²", [0.3707, -0.1086], "b2"),
    "delta1": Quantity(
        "δ¹",
        [0.0489, 0.0545],
        "b1",
        "a sign slip; it adds 0.50 · 0.1086 (and 0.55 · 0.1086) where BP2 subtracts",
    ),
    "dw1": Quantity("∂C/∂w¹", [[0.0024, 0.0049], [0.0027, 0.0055]], "w1", "follows from δ¹"),
    "db1": Quantity("∂C/∂b¹", [0.0489, 0.0545], "b1", "follows from δ¹"),
    "delta0": Quantity(
        "δ⁰ = ∂C/∂x",
        [0.0010, 0.0026],
        "x",
        "multiplies by the inputs, a factor that BP2 doesn't have where nothing is activated",
    ),
}
"""All that the text prints, in its order. δ^l = ∂C/∂z^l is ∂C/∂b^l, for z^l = w^l a^(l-1) + b^l."""


def check_worked_example(printed: Mapping[str, Quantity] = PRINTED) -> list[Claim]:
    """Check every printed quantity of Problem 3.3.

    A quantity holds if ours rounds to the printed digits, or if these come from the rounded numbers
    before. It is an erratum if a slip gives the printed digits and central differences of C prove
    ours. In all other cases the check fails.
    """
    ours, proofs = compute(), numerical_gradients()
    in_text = _arithmetic_of_text({name: _tensor(q.printed) for name, q in printed.items()})
    return [
        _check(quantity, ours[name], in_text[name], proofs.get(name))
        for name, quantity in printed.items()
    ]


def _check(quantity: Quantity, ours: Tensor, in_text: Tensor, proof: Tensor | None) -> Claim:
    printed = _tensor(quantity.printed)
    error = 0.0 if proof is None else _distance(ours, proof)
    outcome = _judge(printed, in_text, ours) if error < PROOF else Outcome.FAILS
    statement, notes = quantity.symbol, [_text(ours, 5)]
    if outcome is Outcome.ERRATUM:
        statement += f": {quantity.erratum}"
    elif _distance(ours, printed) > HALF_UNIT:
        notes.append(f"{_text(in_text, 5)} from the rounded numbers before")
    if proof is not None:
        notes.append(f"central differences are within {error:.0e}")
    return Claim("3.3", statement, _text(printed, 4), "; ".join(notes), outcome)


def _judge(printed: Tensor, in_text: Tensor, ours: Tensor) -> Outcome:
    if _distance(ours, printed) <= HALF_UNIT:
        return Outcome.HOLDS
    if _distance(in_text, printed) > HALF_UNIT:
        return Outcome.FAILS
    return Outcome.HOLDS if _distance(ours, printed) <= CARRIED else Outcome.ERRATUM


def compute() -> Numbers:
    """Return every quantity of PRINTED by the code that trains, in float64."""
    passed = _pass(GIVEN)
    z1, z2 = (z[0, :, 0] for z in passed.weighted)
    a1 = passed.activations[0][0, :, 0]
    found = {"z1": z1, "a1": a1, "z2": z2, "a2": z2.sigmoid(), "cost": _cost(GIVEN)}
    delta = CE.error(passed.logits, LABELS) * GIVEN["target"]
    for layer, error in passed.errors(delta).items():
        found[f"dw{layer}"] = passed.weight_gradient(layer, error)[0]
        found[f"delta{layer}"] = found[f"db{layer}"] = error.sum(-1)[0]
    found["delta0"] = GIVEN["w1"].mT @ found["delta1"]
    return found


def _pass(given: Numbers) -> Pass:
    """Pass the example forward twice, once for each label."""
    weights, biases = ([given[f"{kind}{layer}"][None] for layer in (1, 2)] for kind in "wb")
    return Pass(weights, biases, given["x"].expand(1, 2, 2), "sigmoid")


def _cost(given: Numbers) -> Float[Tensor, ""]:
    """Return C by our loss, each label with its share of the target."""
    return CE.value(_pass(given).logits, LABELS)[0] @ given["target"]


def numerical_gradients() -> Numbers:
    """Return every gradient of PRINTED by central differences of C."""
    return {
        name: central_differences(lambda v, by=quantity.by: _cost({**GIVEN, by: v}), GIVEN[by])
        for name, quantity in PRINTED.items()
        if (by := quantity.by)
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


def _arithmetic_of_text(printed: Numbers) -> Numbers:
    """Return what the text's way gives, slips included, from the numbers printed before.

    Its δ¹ adds where BP2 subtracts, so that |δ²| is carried back; its δ⁰ has the inputs as factor.
    """
    x, y, w1, b1, w2, b2 = GIVEN.values()
    a1, a2, delta1, delta2 = (printed[name] for name in ("a1", "a2", "delta1", "delta2"))
    return {
        "z1": w1 @ x + b1,
        "a1": printed["z1"].sigmoid(),
        "z2": w2 @ a1 + b2,
        "a2": printed["z2"].sigmoid(),
        "cost": cross_entropy(a2, y).mean(),
        "delta2": (a2 - y) / 2,
        "dw2": torch.outer(delta2, a1),
        "db2": delta2,
        "delta1": (w2.mT @ delta2.abs()) * a1 * (1 - a1),
        "dw1": torch.outer(delta1, x),
        "db1": delta1,
        "delta0": (w1.mT @ delta1) * x,
    }


def _distance(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


def _text(values: Tensor, digits: int) -> str:
    """Return numbers as "0.1", "(0.1, 0.2)" or "((0.1, 0.2), (0.3, 0.4))"."""
    if values.ndim == 0:
        return f"{values.item():.{digits}f}"
    return f"({', '.join(_text(value, digits) for value in values)})"
