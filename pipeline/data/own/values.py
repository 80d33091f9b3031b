"""The values of one column, gathered batch by batch: as numbers, or as positions of texts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.own.arrow import compute, pa

__all__ = ["MISSING", "UNKNOWN", "Values", "as_text", "is_number"]

MISSING = frozenset(
    spelling
    for word in ("", "NA", "N/A", "#N/A", "#NA", "#N/A N/A", "<NA>", "NaN", "-NaN", "null")
    for spelling in (word, word.lower(), word.upper(), word.capitalize())
)
"""Texts that stand for a missing value."""

NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)

UNKNOWN = -1
"""The position of a missing value."""


def is_number(text: str) -> bool:
    """Return whether a text is a number as programs write them, with a decimal point."""
    return NUMBER.fullmatch(text) is not None


def as_text(value: object) -> str | None:
    """Return a value as the name of a category; None if it is missing.

    A whole number has no decimal point: tools make 3 into 3.0 where a value is missing.
    """
    match value:
        case bool():
            return str(value).lower()
        case float() | Decimal() if not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        case float() | Decimal():
            return str(int(value)) if value == int(value) else str(value)
        case _:
            text = str(value).strip()
            return None if text in MISSING else text


class Values:
    """What one column holds: numbers, as far as all of its texts are some, or texts."""

    def __init__(self, *, is_text: bool, max_texts: float, decimal_comma: bool) -> None:
        """Begin with nothing.

        Args:
            is_text: numbers are names, too.
            max_texts: so many different texts are of use; when there are more, no more is kept.
            decimal_comma: 1,5 is a number.
        """
        self.num_missing = self.num_numbers = self.num_texts = 0
        self.first: dict[str, tuple[int, str]] = {}
        """Row and value of the first that is "missing", "infinite", a "number" or a "text"."""
        self.texts: dict[str, int] = {}
        """The position of each different text."""
        self._is_text = is_text
        self._max_texts = max_texts
        self._decimal_comma = decimal_comma
        self._num_rows = 0
        self._cells: NDArray[Any] = np.empty(0, np.int32 if is_text else np.float64)

    @property
    def are_numbers(self) -> bool:
        """Return whether there is no text."""
        return not self._is_text and not self.num_texts

    @property
    def are_mixed(self) -> bool:
        """Return whether some are numbers and some are texts."""
        return self.num_numbers > 0 and self.num_texts > 0

    @property
    def are_too_many(self) -> bool:
        """Return whether there are more different texts than are of use."""
        return len(self.texts) > self._max_texts

    def add(self, cells: Any) -> None:
        """Take the next rows, an array of pyarrow."""
        numbers = None if self._is_text else self._numbers(cells)
        if numbers is None:
            self._add_texts(cells)
        else:
            self._add_numbers(numbers)
        self._num_rows += len(cells)

    def take(self) -> NDArray[Any]:
        """Return what each row holds, and forget it.

        Returns:
            Numbers, NaN where one is missing; or positions in `texts`, UNKNOWN there.
        """
        cells, self._cells = self._cells, np.empty(0)
        cells.resize(self._num_rows, refcheck=False)
        return cells

    def _numbers(self, cells: Any) -> NDArray[np.float64] | None:
        """Return cells as numbers; None if one of them is none."""
        for form in (lambda: cells, lambda: self._tidied(cells)):
            try:
                numbers = compute.cast(form(), pa.float64(), safe=False)
            except pa.ArrowInvalid:
                continue
            return numbers.to_numpy(zero_copy_only=False)
        return None

    def _tidied(self, cells: Any) -> Any:
        tidy = compute.utf8_trim_whitespace(cells)
        return compute.replace_substring(tidy, ",", ".") if self._decimal_comma else tidy

    def _add_numbers(self, numbers: NDArray[np.float64]) -> None:
        is_missing = np.isnan(numbers)
        num_known = len(numbers) - int(is_missing.sum())
        self.num_missing += len(numbers) - num_known
        self.num_numbers += num_known
        self._note("missing", is_missing, lambda _: "")
        self._note("infinite", np.isinf(numbers), lambda row: str(numbers[row]))
        self._note("number", ~is_missing, lambda row: f"{numbers[row]:g}")
        self._keep(np.full(len(numbers), UNKNOWN, np.int32) if self.num_texts else numbers)

    def _add_texts(self, cells: Any) -> None:
        if self.are_too_many:
            self.num_missing += cells.null_count
            return
        positions, texts = _encoded(cells)
        numbers = [] if self._is_text else [self._number(text) for text in texts]
        is_text = np.array([number is None for number in numbers] or [True] * len(texts), bool)
        if not self._is_text and not is_text.any():
            self._add_numbers(np.array([*numbers, np.nan], np.float64)[positions])
            return
        is_known, is_text = positions != UNKNOWN, np.append(is_text, False)[positions]
        self.num_missing += len(positions) - int(is_known.sum())
        self.num_texts += int(is_text.sum())
        self.num_numbers += int((is_known & ~is_text).sum())

        def text_in(row: int) -> str:
            return [*texts, ""][int(positions[row])]

        self._note("missing", ~is_known, text_in)
        self._note("text", is_text, text_in)
        self._note("number", is_known & ~is_text, text_in)
        if self._cells.dtype == np.float64:  # the rows so far had no value
            self._cells = np.full(len(self._cells), UNKNOWN, np.int32)
        known = [self.texts.setdefault(text, len(self.texts)) for text in texts]
        self._keep(np.array([*known, UNKNOWN], np.int32)[positions])

    def _number(self, text: str) -> float | None:
        plain = text.replace(",", ".") if self._decimal_comma else text
        return float(plain) if is_number(plain) else None

    def _note(self, what: str, holds: NDArray[np.bool_], value: Callable[[int], str]) -> None:
        """Remember the first row of which something holds."""
        if what not in self.first and holds.any():
            row = int(holds.argmax())
            self.first[what] = self._num_rows + row, value(row)

    def _keep(self, cells: NDArray[Any]) -> None:
        """Add cells to those that are kept, in memory that grows in place, little by little."""
        if self.are_mixed:
            return
        end = self._num_rows + len(cells)
        if end > len(self._cells):
            self._cells.resize(max(end, len(self._cells) * 9 // 8), refcheck=False)
        self._cells[self._num_rows : end] = cells


def _encoded(cells: Any) -> tuple[NDArray[np.int32], list[str]]:
    """Return each cell's position among the different texts, and these."""
    encoded = cells.dictionary_encode()
    names = [as_text(value) for value in encoded.dictionary.to_pylist()]
    texts = {name: at for at, name in enumerate(dict.fromkeys(filter(None, names)))}
    known = [UNKNOWN if name is None else texts[name] for name in names]
    indices = encoded.indices.fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    return np.array([*known, UNKNOWN], np.int32)[indices], list(texts)
