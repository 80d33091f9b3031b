"""The functions of Problem 3 a second time: in 50 digits, with derivatives by differences.

Nothing here is shared with the code that trains, nor with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from decimal import Decimal, localcontext

__all__ = [
    "Function",
    "cross_entropy",
    "curvature",
    "fifty_digits",
    "sigmoid",
    "slope",
]

Function = Callable[[Decimal], Decimal]

STEP = Decimal("1e-15")
"""h of the difference quotients: their error is some h², 1e-30, and 50 digits leave as much."""


@contextmanager
def fifty_digits() -> Generator[None]:
    """Compute with 50 digits while the context lasts, or in all of a function that it decorates."""
    with localcontext(prec=50):
        yield


def sigmoid(z: Decimal) -> Decimal:
    """Return σ(z) = 1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + (-z).exp())


def cross_entropy(a: Decimal, y: Decimal) -> Decimal:
    """Return -[y ln a + (1 - y) ln(1 - a)] for a in (0, 1) and y in [0, 1]."""
    return -(y * a.ln() + (1 - y) * (1 - a).ln())


def slope(function: Function, at: Decimal) -> Decimal:
    """Return the derivative of a function, [f(v + h) - f(v - h)] / 2h."""
    return (function(at + STEP) - function(at - STEP)) / (2 * STEP)


def curvature(function: Function, at: Decimal) -> Decimal:
    """Return the second derivative of a function, [f(v + h) - 2f(v) + f(v - h)] / h²."""
    return (function(at + STEP) - 2 * function(at) + function(at - STEP)) / STEP**2
