"""How a number of ours and a number of another library follow from each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import UserError

__all__ = ["SAME", "Complement", "Conversion", "Inverse", "Proportional", "Scale", "Sizes"]

SYMBOLS = {"n": "n", "batch": "m", "classes": "K"}
"""Training examples, examples of a mini-batch and outputs of the network, and their letters."""


@dataclass(frozen=True)
class Sizes:
    """The sizes that are known, and under which keys the others can be told."""

    known: Mapping[str, float]
    keys: Mapping[str, str]

    def get(self, symbol: str) -> float:
        """Return a size by its symbol: "n", "batch" or "classes".

        Raises:
            UserError: it wasn't told.
        """
        if symbol not in self.known:
            key = self.keys[symbol]
            raise UserError(f"{key}: is needed for this translation. Say {key}=NUMBER as well.")
        return self.known[symbol]


@dataclass(frozen=True)
class Scale:
    """A factor: a number times powers of the sizes."""

    number: Fraction = Fraction(1)
    n: int = 0
    batch: int = 0
    classes: int = 0

    def __truediv__(self, other: Scale) -> Scale:
        powers = (getattr(self, symbol) - getattr(other, symbol) for symbol in SYMBOLS)
        return Scale(self.number / other.number, *powers)

    def __str__(self) -> str:
        above = [letter for symbol, letter in SYMBOLS.items() if getattr(self, symbol) > 0]
        below = [letter for symbol, letter in SYMBOLS.items() if getattr(self, symbol) < 0]
        number = {Fraction(1): "", Fraction(1, 2): "½"}.get(self.number, str(self.number))
        factors = "·".join([number, *above] if number else above)
        return (factors or ("1" if below else "")) + "".join(f"/{letter}" for letter in below)

    @property
    def num_sizes(self) -> int:
        """How many sizes it takes to know the factor."""
        return sum(getattr(self, symbol) != 0 for symbol in SYMBOLS)

    def value(self, sizes: Sizes) -> float:
        """Return the factor as a number.

        Raises:
            UserError: a size that it takes wasn't told.
        """
        value = float(self.number)
        for symbol in SYMBOLS:
            power: int = getattr(self, symbol)
            value *= sizes.get(symbol) ** power if power else 1
        return value


class Conversion(ABC):
    """A number of ours as another library has it, and back."""

    @abstractmethod
    def theirs(self, ours: float, sizes: Sizes) -> float:
        """Return the other library's number."""

    @abstractmethod
    def ours(self, theirs: float, sizes: Sizes) -> float:
        """Return our number."""

    @abstractmethod
    def formula(self, symbol: str) -> str:
        """Return the other library's number as a formula of ours."""


@dataclass(frozen=True)
class Proportional(Conversion):
    """theirs = scale · ours."""

    scale: Scale = Scale()

    def theirs(self, ours: float, sizes: Sizes) -> float:
        """Return the product with the scale."""
        return ours * self.scale.value(sizes)

    def ours(self, theirs: float, sizes: Sizes) -> float:
        """Return the quotient by the scale."""
        return theirs / self.scale.value(sizes)

    def formula(self, symbol: str) -> str:
        """Return "n·λ"."""
        return "·".join(filter(None, [str(self.scale), symbol]))


@dataclass(frozen=True)
class Inverse(Conversion):
    """theirs = 1 / (scale · ours)."""

    scale: Scale = Scale()

    def theirs(self, ours: float, sizes: Sizes) -> float:
        """Return the inverse of the product; infinity for 0."""
        return self.ours(ours, sizes)

    def ours(self, theirs: float, sizes: Sizes) -> float:
        """Return the inverse of the product; infinity for 0."""
        product = theirs * self.scale.value(sizes)
        return 1 / product if product else float("inf")

    def formula(self, symbol: str) -> str:
        """Return "1/(n·λ)"."""
        return f"1/({Proportional(self.scale).formula(symbol)})"


@dataclass(frozen=True)
class Complement(Conversion):
    """theirs = 1 - ours: a probability to drop for one to keep."""

    def theirs(self, ours: float, sizes: Sizes) -> float:
        """Return 1 - ours."""
        del sizes
        return 1 - ours

    def ours(self, theirs: float, sizes: Sizes) -> float:
        """Return 1 - theirs."""
        return self.theirs(theirs, sizes)

    def formula(self, symbol: str) -> str:
        """Return "1 - p"."""
        return f"1 - {symbol}"


SAME = Proportional()
