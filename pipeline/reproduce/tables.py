"""The tables of the report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.report.table import Table
from pipeline.reproduce.cells import Answer
from pipeline.reproduce.conclusions import Judgement
from pipeline.reproduce.reference import Reference
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.verdicts import Estimate, Verdict

__all__ = [
    "answers_table",
    "bands_table",
    "claims_table",
    "epochs_as_printed",
    "readings_table",
]

BAND_GAP = 200
"""Images of 10,000: two points of accuracy."""


def answers_table(answers: Sequence[Answer]) -> Table:
    """Return published numbers beside ours: mean, its 95 % interval, n, difference, verdict."""
    header = ["", "published", "ours", "± 95 %", "n", "difference", "verdict"]
    rows = [
        [
            entry.cell.label,
            f"{entry.cell.published:.4f}",
            _text(entry.ours.mean),
            _text(entry.ours.half_width),
            _count(entry.ours),
            _text(entry.ours.mean - entry.cell.published, "+.4f"),
            entry.verdict,
        ]
        for entry in answers
    ]
    return Table(header, rows, " rrrrr")


def readings_table(readings: Mapping[str, Sequence[Answer]]) -> Table:
    """Return the printed dropout column beside what each reading of it gives."""
    first = next(iter(readings.values()))
    header = ["p(keep)", "published", *readings]
    rows = [
        [
            first[index].cell.label.removeprefix("p(keep) = "),
            f"{first[index].cell.published:.4f}",
            *[_with_verdict(answers[index]) for answers in readings.values()],
        ]
        for index in range(len(first))
    ]
    agreeing = [
        f"{sum(entry.verdict.agrees for entry in answers)} of {len(answers)} agree"
        for answers in readings.values()
    ]
    return Table(header, [*rows, ["", "", *agreeing]], "r" * len(header))


def claims_table(verdicts: Sequence[Judgement]) -> Table:
    """Return the statements of the text, what the runs say of each, and the numbers."""
    rows = [[entry.statement, entry.decision, entry.evidence] for entry in verdicts]
    return Table(["the text says", "verdict", "the runs"], rows)


def bands_table(runs: StudyRuns, reference: Reference) -> Table:
    """Return the bands of the final accuracies, and how many digits each leaves unanswered.

    A band ends where the next result is more than BAND_GAP images away (Problem 1.3).
    """
    finals = sorted(_finals(runs, reference.sgd_network.test_size))
    bands: list[list[tuple[int, int]]] = []
    for final in finals:
        if bands and final[0] - bands[-1][-1][0] <= BAND_GAP:
            bands[-1].append(final)
        else:
            bands.append([final])
    published = reference.sgd_network.correct[-1]
    rows = [
        [_range(band), str(len(band)), _ignored(band), _place(published, band)] for band in bands
    ]
    header = [
        f"recognised of {reference.sgd_network.test_size}",
        "runs",
        "digits ignored",
        "published run",
    ]
    missing = f"{len(runs.missing)} of {len(runs.jobs)} runs are missing."
    return Table(header, rows, "rr", note=missing if runs.missing else "")


def _finals(runs: StudyRuns, test_size: int) -> list[tuple[int, int]]:
    """Return (images recognised, digits ignored) at the end of every finished run."""
    accuracies = runs.curves({}, "test/accuracy").values()
    ignored = runs.curves({}, "test/ignored_classes").values()
    pairs = zip(accuracies, ignored, strict=True)
    return [(round(test_size * a[-1]), int(i[-1])) for a, i in pairs if a and i]


def _range(band: Sequence[tuple[int, int]]) -> str:
    first, last = band[0][0], band[-1][0]
    return f"{first} to {last}" if first < last else str(first)


def _ignored(band: Sequence[tuple[int, int]]) -> str:
    counts = Counter(ignored for _, ignored in band)
    return ", ".join(
        f"{ignored} ({counts[ignored]} run{'s' if counts[ignored] > 1 else ''})"
        for ignored in sorted(counts)
    )


def _place(published: int, band: Sequence[tuple[int, int]]) -> str:
    if not band[0][0] - BAND_GAP <= published <= band[-1][0] + BAND_GAP:
        return ""
    above = sum(correct > published for correct, _ in band)
    return f"here with {published}: {above} of {len(band)} end higher"


def epochs_as_printed(runs: StudyRuns, reference: Reference) -> str:
    """Return our run that ends nearest to the published one, as the text prints its own."""
    size = reference.sgd_network.test_size
    published = reference.sgd_network.correct
    curves = {seed: curve for seed, curve in runs.curves({}, "test/accuracy").items() if curve}
    if not curves:
        return "No run is finished."
    seed = min(curves, key=lambda seed: abs(round(size * curves[seed][-1]) - published[-1]))
    ours = [round(size * accuracy) for accuracy in curves[seed]]
    lines = [f"{'published':24}  seed {seed}"]
    for epoch, correct in enumerate(published):
        mine = f"Epoch {epoch}: {ours[epoch]} / {size}" if epoch < len(ours) else ""
        lines.append(f"{f'Epoch {epoch}: {correct} / {size}':24}  {mine}")
    return "\n".join(["```", *lines, "```"])


def _with_verdict(entry: Answer) -> str:
    if entry.verdict is Verdict.MISSING:
        return f"{_count(entry.ours)} runs"
    return f"{_text(entry.ours.mean)} ({entry.verdict})"


def _count(ours: Estimate) -> str:
    return str(ours.num_seeds) if ours.is_complete else f"{len(ours.values)} of {ours.num_seeds}"


def _text(value: float, form: str = ".4f") -> str:
    return "" if math.isnan(value) else format(value, form)
