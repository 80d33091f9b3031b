"""Problem 3.3: the worked 2-2-2 example, by the code that trains, and what is wrong in the text.

Every number is computed a second time in 50 digits, from the cost alone: gradients by central
differences.

Its targets are soft, y = (0.01, 0.99), where our losses take labels. But the cross-entropy is
linear in y, and this y is 0.01 of the one label and 0.99 of the other: so the example passes
through as a batch of two, once with each label, with those weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import getitem
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.theory import decimals
from pipeline.theory.claim import Claim, Outcome, are_equal
from pipeline.theory.cross_entropy import cross_entropy
from pipeline.theory.decimals import fifty_digits
from pipeline.theory.one_network import Pass, find_loss

__all__ = [
    "PRINTED",
    "Quantity",
    "check_worked_example",
    "compute",
    "compute_in_digits",
    "wrong_values",
]

Numbers = dict[str, Float[Tensor, "*shape"]]

CE = find_loss("ce", "sigmoid")
LABELS = torch.tensor([[0, 1]])
HALF_UNIT = 0.5e-4 + 1e-9
"""Half a unit of the last of four printed digits."""
CARRIED = 2e-4
"""What rounding the numbers before may do to a number; a slip of the text does more."""


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


FOLLOWS = "no slip of its own; it follows from the first one, in δ¹"

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
        "the first slip, a sign; it adds 0.50 · 0.1086 (and 0.55 · 0.1086) where BP2 subtracts",
    ),
    "dw1": Quantity("∂C/∂w¹", [[0.0024, 0.0049], [0.0027, 0.0055]], "w1", FOLLOWS),
    "db1": Quantity("∂C/∂b¹", [0.0489, 0.0545], "b1", FOLLOWS),
    "delta0": Quantity(
        "δ⁰ = ∂C/∂x",
        [0.0010, 0.0026],
        "x",
        "the second slip, a factor; it multiplies by the inputs, but they are no activations, so "
        "that BP2 has no σ′ there. And its δ¹ follows from the first slip",
    ),
}
"""All that the text prints, in its order. δ^l = ∂C/∂z^l is ∂C/∂b^l, for z^l = w^l a^(l-1) + b^l."""


def check_worked_example(printed: Mapping[str, Quantity] = PRINTED) -> list[Claim]:
    """Check every printed quantity of Problem 3.3, and what of it is a slip.

    A quantity holds if ours rounds to the printed digits, or if these come from the rounded numbers
    before. It is an erratum if a slip gives the printed digits and ours are proved in 50 digits. It
    is not decided if nothing gives the printed digits, but rounding might. In all other cases the
    check fails.
    """
    ours, proofs = compute(), compute_in_digits()
    values = {name: _tensor(quantity.printed) for name, quantity in printed.items()}
    in_text = _arithmetic_of_text(values)
    claims = [
        _check(quantity, ours[name], in_text[name], proofs[name])
        for name, quantity in printed.items()
    ]
    return [*claims, _two_slips(values, ours)]


def _check(quantity: Quantity, ours: Tensor, in_text: Tensor, proof: Tensor) -> Claim:
    printed = _tensor(quantity.printed)
    error = _distance(ours, proof)
    is_proved = are_equal(error)
    outcome = _judge(printed, in_text, ours) if is_proved else Outcome.proved(is_proved)
    statement, notes = quantity.symbol, [_text(ours, 5)]
    if outcome is Outcome.ERRATUM:
        statement += f": {quantity.erratum}"
    elif _distance(ours, printed) > HALF_UNIT:
        notes.append(f"{_text(in_text, 5)} from the rounded numbers before")
    notes.append(f"within {error:.0e} of 50 digits")
    return Claim("3.3", statement, _text(printed, 4), "; ".join(notes), outcome)


def _judge(printed: Tensor, in_text: Tensor, ours: Tensor) -> Outcome:
    is_near = _distance(ours, printed) <= CARRIED
    if _distance(ours, printed) <= HALF_UNIT:
        return Outcome.HOLDS
    if _distance(in_text, printed) > HALF_UNIT:
        return Outcome.UNDECIDED if is_near else Outcome.FAILS
    return Outcome.HOLDS if is_near else Outcome.ERRATUM


def _two_slips(printed: Numbers, ours: Numbers) -> Claim:
    cases = {
        "as printed": (True, True),
        "with the sign put right": (False, True),
        "without the factor": (True, False),
        "with both put right": (False, False),
    }
    found = {
        case: wrong_values(printed, ours, sign=sign, factor=factor)
        for case, (sign, factor) in cases.items()
    }
    as_printed, right_sign, no_factor, both = found.values()
    listed = {
        case: ", ".join(PRINTED[name].symbol for name in names) or "nothing"
        for case, names in found.items()
    }
    return Claim(
        "3.3",
        "four printed values are wrong because of two slips: the sign in δ¹, from which ∂C/∂w¹, "
        "∂C/∂b¹ and part of δ⁰ follow, and the factor in δ⁰",
        "",
        "; ".join(f"{case}, wrong are {names}" for case, names in listed.items()),
        Outcome.proved(
            as_printed == no_factor == ["delta1", "dw1", "db1", "delta0"]
            and right_sign == ["delta0"]
            and both == []
        ),
    )


def wrong_values(printed: Numbers, ours: Numbers, *, sign: bool, factor: bool) -> list[str]:
    """Return the names of what the text's arithmetic gets wrong, from its printed δ² and a¹ on.

    Args:
        printed: the text's numbers, of which δ² and a¹ are used.
        ours: the right numbers.
        sign: whether it makes the slip of sign in δ¹.
        factor: whether it makes the slip of the factor in δ⁰.
    """
    found = _backward_of_text(printed["delta2"], printed["a1"], sign=sign)
    found["delta0"] = _carried_to_inputs(found["delta1"], factor=factor)
    return [name for name, value in found.items() if _distance(value, ours[name]) > CARRIED]


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


@fifty_digits()
def compute_in_digits() -> Numbers:
    """Return every quantity of PRINTED a second time: in 50 digits, gradients by differences."""
    given = {name: _decimals(values.tolist()) for name, values in GIVEN.items()}
    found = {name: _floats(values) for name, values in _forward(given).items()}
    for name, quantity in PRINTED.items():
        if quantity.by:
            found[name] = _gradient(given, quantity.by)
    return found


def _forward(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return z¹, a¹, z², a² and C, number by number."""
    found: dict[str, Any] = {}
    a = given["x"]
    for layer in "12":
        rows = zip(given[f"w{layer}"], given[f"b{layer}"], strict=True)
        z = [sum(w * v for w, v in zip(row, a, strict=True)) + bias for row, bias in rows]
        a = [decimals.sigmoid(number) for number in z]
        found |= {f"z{layer}": z, f"a{layer}": a}
    costs = [decimals.cross_entropy(*pair) for pair in zip(a, given["target"], strict=True)]
    return found | {"cost": sum(costs) / len(costs)}


def _gradient(given: Mapping[str, Any], name: str) -> Float[Tensor, "*shape"]:
    """Return the derivative of C by every entry of a vector or matrix of the example."""
    places = itertools.product(*map(range, GIVEN[name].shape))
    slopes = [float(_slope(given, name, place)) for place in places]
    return _tensor(slopes).view_as(GIVEN[name])


def _slope(given: Mapping[str, Any], name: str, place: Sequence[int]) -> Decimal:
    """Return the derivative of C by one entry."""

    def cost(value: Decimal) -> Decimal:
        return _forward({**given, name: _replaced(given[name], place, value)})["cost"]

    return decimals.slope(cost, reduce(getitem, place, given[name]))


def _replaced(values: Any, place: Sequence[int], value: Decimal) -> Any:
    """Return nested lists with another number in one place."""
    if not place:
        return value
    first, *rest = place
    copy: list[Any] = [*values]
    copy[first] = _replaced(values[first], rest, value)
    return copy


def _decimals(values: Any) -> Any:
    """Return nested lists of numbers as they are written: 0.1 is a tenth."""
    return Decimal(repr(values)) if isinstance(values, float) else [_decimals(v) for v in values]


def _floats(values: Any) -> Float[Tensor, "*shape"]:
    return _tensor(float(values) if isinstance(values, Decimal) else [float(v) for v in values])


def _arithmetic_of_text(printed: Numbers) -> Numbers:
    """Return what the text's way gives, slips included, from the numbers printed before."""
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
        **_backward_of_text(delta2, a1, sign=True),
        "dw1": torch.outer(delta1, x),
        "db1": delta1,
        "delta0": _carried_to_inputs(delta1, factor=True),
    }


def _backward_of_text(delta2: Tensor, a1: Tensor, *, sign: bool) -> Numbers:
    """Return δ¹ and what follows; with the slip of sign |δ²| is carried back, so that it adds."""
    carried = GIVEN["w2"].mT @ (delta2.abs() if sign else delta2)
    delta1 = carried * a1 * (1 - a1)
    return {"delta1": delta1, "dw1": torch.outer(delta1, GIVEN["x"]), "db1": delta1}


def _carried_to_inputs(delta1: Tensor, *, factor: bool) -> Tensor:
    """Return δ⁰; with the slip of the factor it has the inputs where nothing belongs."""
    carried = GIVEN["w1"].mT @ delta1
    return carried * GIVEN["x"] if factor else carried


def _distance(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


def _text(values: Tensor, digits: int) -> str:
    """Return numbers as "0.1", "(0.1, 0.2)" or "((0.1, 0.2), (0.3, 0.4))"."""
    if values.ndim == 0:
        return f"{values.item():.{digits}f}"
    return f"({', '.join(_text(value, digits) for value in values)})"
