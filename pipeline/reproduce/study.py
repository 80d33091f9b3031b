"""A study as a file: a question, grids of runs, published numbers, claims and figures.

No code is needed for one of your own: `python -m pipeline.reproduce my_study.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    model_validator,
)

from pipeline.config.options import did_you_mean
from pipeline.errors import UserError

__all__ = [
    "FOLDER",
    "Bands",
    "Claim",
    "Comparison",
    "Curves",
    "Published",
    "Spread",
    "Study",
    "Where",
    "Worth",
    "read_study",
]

FOLDER = Path(__file__).with_name("studies")
"""The project's own studies."""


def _number(value: object) -> float:
    """Return a finite number; YAML takes 1e-4, without a point, for text."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{value} must be a number")
    return number


def _choice(value: object) -> object:
    """Return a value of the config as it is, text that is a number as that."""
    if isinstance(value, bool | int | list):
        return cast("object", value)
    if isinstance(value, str | float):
        try:
            return _number(value)
        except ValueError:
            if isinstance(value, str):
                return value
    raise ValueError(f"{value} must be a name, a number, true, false or a list")


def _side(value: object) -> object:
    """Return a cell of runs, checked, or a number."""
    if not isinstance(value, dict):
        return _number(value)
    return {str(key): _choice(one) for key, one in cast("dict[Any, Any]", value).items()}


Number = Annotated[float, PlainValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Choice = Annotated[bool | float | str | list[int], PlainValidator(_choice)]
Where = dict[str, Choice]
"""Values by the config's keys that runs have, as typed: loss, optimizer.lr, …; besides, `grid` and
`reading` name one of the study's."""
Side = Annotated[Where | float, PlainValidator(_side)]
"""A cell of runs, or a number."""
Overrides = list[StrictStr]
"""What one types for a sweep after `python -m pipeline -m`."""


class _Entry(BaseModel):
    """An entry of the file: it has no keys but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Entry):
    """A published number, several along one key, or a curve."""

    label: StrictStr
    where: Where = {}
    along: StrictStr | None = None
    """The key of the config by which `at` and `values` go on; with it each value is a number of
    its own."""
    at: list[Choice] = []
    values: Annotated[list[Number], Field(min_length=1)]
    """One number, one for each of `at`, or those of a curve from the first epoch on."""
    metric: StrictStr = "test/accuracy"
    kind: Literal["single", "mean", "best", "peak", "curve"] = "single"
    """What it is: of a single run; the mean of several, or the best of several; the highest of a
    run's epochs (with `of`, the best of so many runs'); every epoch of a single run."""
    of: Annotated[StrictInt, Field(ge=1)] = 1
    """How many runs a mean or a best is of."""
    epoch: Annotated[StrictInt, Field(ge=1)] | None = None
    """The epoch at whose end it counts, from 1; the last one otherwise."""
    rounding: Annotated[Number, Field(ge=0)] = 0.0
    """By how much it may be off because it was printed rounded: 0.0005 of 99.9 %."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        expected = len(self.at) if self.along else None if self.kind == "curve" else 1
        if expected is not None and len(self.values) != expected:
            raise ValueError(f"{len(self.values)} values for {expected} places")
        if self.along and self.kind == "curve":
            raise ValueError("kind=curve goes on by epochs, not along a key")
        if (self.of > 1) and self.kind in ("single", "curve"):
            raise ValueError(f"of={self.of}: a {self.kind} is of one run; say mean, best or peak")
        if self.of == 1 and self.kind in ("mean", "best"):
            raise ValueError(f"kind={self.kind}: say of how many runs by `of`, at least 2")
        if self.at and not self.along:
            raise ValueError("at: say by `along` which key's values they are")
        return self

    def cells(self) -> list[Where]:
        """Return the cell of each number; of a curve, its one."""
        if self.along is None:
            return [self.where]
        return [{**self.where, self.along: value} for value in self.at]


class Worth(_Entry):
    """What a comparison compares: a metric of a cell's runs."""

    metric: StrictStr = "test/accuracy"
    epoch: Annotated[StrictInt, Field(ge=1)] | None = None
    """The last one, if none is said."""
    share_of_epoch: Annotated[StrictInt, Field(ge=1)] | None = None
    """What it is divided by: the same metric at the end of that epoch."""
    less: StrictStr | None = None
    """What is subtracted: another metric of the same run."""

    @model_validator(mode="after")
    def _is_one_measure(self) -> Self:
        if self.less and self.share_of_epoch:
            raise ValueError("less and share_of_epoch: say one of them")
        return self


class Comparison(_Entry):
    """Something is higher than something else, by more than `by`: cells of runs, or numbers."""

    higher: Side
    lower: Side
    worth: Worth = Worth()
    by: Number = 0

    @model_validator(mode="after")
    def _has_runs(self) -> Self:
        if not any(isinstance(side, dict) for side in (self.higher, self.lower)):
            raise ValueError("one of higher and lower must be a cell of runs")
        return self


class Spread(_Entry):
    """The runs of a cell, which differ in their seeds alone, have a standard deviation above."""

    spread: Where
    exceeds: Positive
    worth: Worth = Worth()


def _kind(value: Any) -> str:
    is_spread = "spread" in value if isinstance(value, dict) else isinstance(value, Spread)
    return "is a spread" if is_spread else "is a comparison"


Part = Annotated[
    Annotated[Comparison, Tag("is a comparison")] | Annotated[Spread, Tag("is a spread")],
    Discriminator(_kind),
]
TAGS = ("is a comparison", "is a spread")


class Claim(_Entry):
    """A statement that holds if all that it consists of does."""

    says: StrictStr
    all: Annotated[list[Part], Field(min_length=1)]

    def cells(self) -> list[Where]:
        """Return the cells that it is about."""
        sides = [
            side
            for part in self.all
            for side in ([part.spread] if isinstance(part, Spread) else [part.higher, part.lower])
        ]
        return [side for side in sides if isinstance(side, dict)]


class Curves(_Entry):
    """A figure: what the seeds gave, along the epochs or a key, beside what was published."""

    title: StrictStr
    metrics: Annotated[list[StrictStr], Field(min_length=1)] = ["test/accuracy"]
    """A panel for each."""
    along: StrictStr = "epoch"
    """The key of the config on the x axis, or epoch."""
    at: list[Number] = []
    lines: dict[StrictStr, Where] = {"all runs": {}}
    """A line for each, with its label."""
    x_scale: Literal["linear", "categories"] = "linear"
    log: list[StrictStr] = []
    """Metrics that are drawn on a logarithmic scale."""

    @model_validator(mode="after")
    def _has_places(self) -> Self:
        if (self.along != "epoch") != bool(self.at):
            raise ValueError(f"along={self.along}: `at` lists the values of a key, none of epoch")
        return self

    def cells(self) -> list[Where]:
        """Return the cells of its lines, point by point if it isn't along the epochs."""
        if self.along == "epoch":
            return list(self.lines.values())
        return [{**line, self.along: place} for line in self.lines.values() for place in self.at]


class Bands(_Entry):
    """Final values that fall into bands, told by the count that sets them apart."""

    title: StrictStr
    metric: StrictStr = "test/accuracy"
    gap: Number
    """A band ends where the next value is farther away than this."""
    counted: StrictStr
    """The metric that counts."""
    counts: StrictStr
    """What it counts, its first word in the singular, such as "digit lost"."""
    saturation: bool = False
    """Whether to measure, on the kept weights, if the neurons of lost classes are saturated."""


class Study(_Entry):
    """A study as its file says it; see docs/studies.md."""

    title: StrictStr
    question: StrictStr
    source: StrictStr
    about: StrictStr = ""
    """The protocol, as Markdown. What came out is no part of it: that is written from the runs."""
    fitted: StrictStr = ""
    """What was chosen by looking at the published numbers, out of how many."""
    seeds: Annotated[StrictInt, Field(ge=1)] = 20
    grids: Annotated[dict[StrictStr, Overrides], Field(min_length=1)]
    readings: dict[StrictStr, Overrides] = {}
    """What an underspecified protocol may mean, by name; every grid is trained by each of them."""
    published: list[Published] = []
    claims: list[Claim] = []
    figures: list[Curves] = []
    bands: Bands | None = None
    search: dict[StrictStr, dict[StrictStr, Overrides]] = {}
    """What --search tries: by the name of a choice its options, each with what it overrides."""

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for where in self.cells():
            _check_name(where, "grid", self.grids)
            _check_name(where, "reading", self.readings)
        return self

    def cells(self) -> list[Where]:
        """Return every cell that its numbers, by each reading, claims and figures name."""
        readings: list[Where] = [{"reading": name} for name in self.readings] or [{}]
        cells: list[Where] = [
            {**cell, **reading}
            for entry in self.published
            for cell in entry.cells()
            for reading in readings
        ]
        cells += [cell for claim in self.claims for cell in claim.cells()]
        cells += [cell for figure in self.figures for cell in figure.cells()]
        return [*cells, {}] if self.bands else cells

    def metrics(self) -> set[str]:
        """Return every metric that it asks for."""
        names = {entry.metric for entry in self.published}
        for part in (part for claim in self.claims for part in claim.all):
            names |= {part.worth.metric, part.worth.less or part.worth.metric}
        for figure in self.figures:
            names |= set(figure.metrics)
        if self.bands:
            names |= {self.bands.metric, self.bands.counted}
        return names


def _check_name(where: Where, key: str, known: Mapping[str, object]) -> None:
    name = str(where.get(key, ""))
    if key in where and name not in known:
        meant = did_you_mean(name, list(known))
        raise ValueError(f"{key}={name} must be one of {', '.join(known) or 'none'}.{meant}")


def read_study(path: Path) -> Study:
    """Read a study.

    Raises:
        UserError: naming file, key and what is wrong with it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = str(error).replace("\n", " ")
        raise UserError(f"{path}: is no YAML file ({said}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must have the keys title, question, source, grids, …")
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        first = next((it for it in problems if it["type"] == "extra_forbidden"), problems[0])
        key = _key(first["loc"])
        raise UserError(f"{path}: {_describe(key, first['type'], first['msg'])}") from error


def _key(parts: Sequence[int | str]) -> str:
    said = [
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts if part not in TAGS
    ]
    return "".join(said).removeprefix(".")


KEYS = sorted(
    {
        key
        for entry in (Study, Published, Claim, Comparison, Spread, Worth, Curves, Bands)
        for key in entry.model_fields
    }
)


def _describe(key: str, kind: str, message: str) -> str:
    if kind == "missing":
        return f"{key} is missing."
    if kind == "extra_forbidden":
        return f"{key}: there is no such key.{did_you_mean(key.rpartition('.')[2], KEYS)}"
    said = message.removeprefix("Value error, ")
    return f"{key + ': ' if key else ''}{said}{'' if said.endswith('.') else '.'}"
