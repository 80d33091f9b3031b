"""Final values that fall into bands: a mean over such seeds says little, the bands do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.report.study_figures import draw_runs
from pipeline.report.table import Table
from pipeline.reproduce.runs import StudyRuns
from pipeline.reproduce.saturation import FLAT, saturated_shares
from pipeline.reproduce.study import Bands, Published, Study

__all__ = ["bands_table", "draw_bands"]


@dataclass(frozen=True)
class _Final:
    """The end of a run: its value, the count that may explain it, and its curve."""

    value: float
    count: int
    seed: int
    curve: Sequence[float]


def _finals(runs: StudyRuns, bands: Bands) -> list[_Final]:
    counts = runs.curves({}, bands.counted)
    return [
        _Final(curve[-1], int(count[-1]), seed, curve)
        for seed, curve in runs.curves({}, bands.metric).items()
        if curve and (count := counts[seed])
    ]


def _published(study: Study, bands: Bands) -> Published | None:
    """Return the published curve of the same metric, if there is one."""
    curves = [it for it in study.published if it.kind == "curve" and it.metric == bands.metric]
    return curves[0] if curves else None


def bands_table(study: Study, bands: Bands, runs: StudyRuns) -> Table:
    """Return the bands of the final values, the best one last, and what each run counts."""
    divided: list[list[_Final]] = []
    for final in sorted(_finals(runs, bands), key=lambda it: it.value):
        if divided and final.value - divided[-1][-1].value <= bands.gap:
            divided[-1].append(final)
        else:
            divided.append([final])
    published = _published(study, bands)
    flat = saturated_shares(runs) if bands.saturation else {}
    rows = [
        [
            _range([final.value for final in band]),
            str(len(band)),
            _counts([final.count for final in band]),
            *([_shares([flat.get(final.seed) for final in band])] if bands.saturation else []),
            _place(float(published.values[-1]), band, bands.gap) if published else "",
        ]
        for band in divided
    ]
    header = [
        *(f"{bands.metric.replace('/', ' ')} at the end", "runs", bands.counts),
        *([f"σ′ < {FLAT} on their images"] if bands.saturation else []),
        "published run",
    ]
    lacking = len(runs.missing)
    note = f"{lacking} {'run is' if lacking == 1 else 'runs are'} missing." if lacking else ""
    return Table(header, rows, "rr", note=note)


def _range(values: Sequence[float]) -> str:
    first, last = (f"{value:.4f}" for value in (values[0], values[-1]))
    return first if first == last else f"{first} to {last}"


def _counts(counts: Sequence[int]) -> str:
    found = Counter(counts)
    return ", ".join(
        f"{count} ({found[count]} run{'s' if found[count] > 1 else ''})" for count in sorted(found)
    )


def _shares(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return f"{min(known):.1%} to {max(known):.1%}" if known else ""


def _place(published: float, band: Sequence[_Final], gap: float) -> str:
    if not band[0].value - gap <= published <= band[-1].value + gap:
        return ""
    above = sum(final.value > published for final in band)
    return f"here with {published:.4f}: {above} of {len(band)} end higher"


def draw_bands(path: Path, study: Study, bands: Bands, runs: StudyRuns) -> None:
    """Draw every run by epoch, coloured by its count, into a PNG file."""
    finals, published = _finals(runs, bands), _published(study, bands)
    draw_runs(
        path,
        [final.curve for final in finals],
        [final.count for final in finals],
        published=[float(value) for value in published.values] if published else [],
        title=bands.title,
        group_name=bands.counts,
        y_label=bands.metric.replace("/", " "),
    )
