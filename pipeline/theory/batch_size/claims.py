"""What Problem 1.2 says about mini-batches, judged by what was measured.

A difference counts if its 95 % interval leaves out 0. Times differ from machine to machine, so what
depends on them counts only if it would stay the same with one side twice as slow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from pipeline.comparison.statistics import mean_interval, paired_difference
from pipeline.theory.batch_size.comparison import NUM_EPOCHS, Best, Comparison, Measurement
from pipeline.theory.claim import Claim, Outcome, all_of, is_positive

__all__ = ["check_batch_sizes"]

Numbers = Mapping[int, float]

HEAD_START = 2
"""How many times as slow one side may be for what depends on time to count."""


def check_batch_sizes(comparison: Comparison) -> list[Claim]:
    """Judge what Problem 1.2 says about mini-batches by what was measured."""
    one, whole = comparison.measurements[0], comparison.measurements[-1]
    return [
        *_times(comparison, one, whole),
        _memory(one, whole),
        _noise(comparison.measurements),
        _best_between(
            comparison.measurements,
            lambda measurement: measurement.after_epochs,
            f"after {NUM_EPOCHS} epochs",
        ),
        _best_between(
            comparison.measurements,
            lambda measurement: measurement.after_time,
            f"after {comparison.seconds:g} s of updates",
            is_timed=True,
        ),
    ]


def _times(comparison: Comparison, one: Measurement, whole: Measurement) -> list[Claim]:
    epoch_s = _times_as_long(one.update_s, comparison.num_examples)
    ratio = whole.mean_update_s / one.mean_update_s
    here = "; on one thread of this machine"
    rule = f"counts if it would be so with one side {HEAD_START} times as slow"
    return [
        Claim(
            "1.2",
            f"an update by 1 example takes less time than one by all {whole.size:,}, "
            f"so the same time allows for more iterations; {rule}",
            "much less time per update, more iterations",
            f"{_duration(one.update_s)} against {_duration(whole.update_s)}: {ratio:.1f} times as "
            f"many iterations{here}",
            Outcome.measured(_takes_less(one.update_s, whole.update_s)),
        ),
        Claim(
            "1.2",
            f"with mini-batches of 1, the same time also allows for more epochs; {rule}",
            "more iterations of SGD (e.g., more epochs)",
            f"an epoch takes {_duration(epoch_s)} by single examples, "
            f"{_duration(whole.update_s)} at once{here}",
            Outcome.measured(_takes_less(epoch_s, whole.update_s)),
        ),
    ]


def _takes_less(first: Numbers, second: Numbers) -> bool | None:
    """Return whether the first takes less time, even if it or the second were twice as slow."""
    if is_positive(paired_difference(second, _times_as_long(first, HEAD_START))):
        return True
    if is_positive(paired_difference(first, _times_as_long(second, HEAD_START))):
        return False
    return None


def _memory(one: Measurement, whole: Measurement) -> Claim:
    is_equal = one.update_bytes == whole.update_bytes
    return Claim(
        "1.2",
        f"an update by 1 example needs less memory than one by all {whole.size:,}, for its "
        "examples and what is computed from them",
        "much less space per update",
        f"at most {one.update_bytes / 1e3:,.1f} kB against {whole.update_bytes / 1e3:,.1f} kB at a "
        "time: a count of bytes, the same on every machine",
        Outcome.measured(None if is_equal else one.update_bytes < whole.update_bytes),
    )


def _noise(measurements: Sequence[Measurement]) -> Claim:
    rises = [
        is_positive(paired_difference(_by_place(large.cosines), _by_place(small.cosines)))
        for small, large in itertools.pairwise(measurements)
    ]
    listed = [f"{m.cosine_mean:.2f} ± {m.cosine_std:.2f} ({m.size:,})" for m in measurements]
    return Claim(
        "1.2",
        "the smaller the mini-batch, the noisier its gradient: "
        "its mean cosine with the full gradient rises from each size to the next",
        "gradients are less precise (i.e., noisier)",
        f"mean ± spread (size): {', '.join(listed)}",
        Outcome.measured(all_of(rises)),
    )


def _best_between(
    measurements: Sequence[Measurement],
    best_of: Callable[[Measurement], Best],
    budget: str,
    *,
    is_timed: bool = False,
) -> Claim:
    """Judge whether the best size between, chosen with the rates, beats both ends."""
    one, *between, whole = measurements
    chosen = min(between, key=lambda measurement: best_of(measurement).chosen_by)
    ends = {end.size: best_of(end) for end in (one, whole)}
    leads = [_leads(best_of(chosen), end, is_timed=is_timed) for end in ends.values()]
    losses = [
        f"{best_of(m).loss:.3f} ({m.size:,}, η = {best_of(m).rate:.2g})" for m in measurements
    ]
    gains = [
        f"{_interval(end.losses, best_of(chosen).losses)} than with {size:,}"
        for size, end in ends.items()
    ]
    rule = f", even with {HEAD_START} times as much time for either side" if is_timed else ""
    return Claim(
        "1.2",
        f"a size between 1 and n is best {budget}, each with its best η: its mean training loss "
        f"over {len(ends[1].losses)} orders of the examples is below both ends'{rule}",
        "a size somewhere between 1 and n",
        f"loss (size, η): {', '.join(losses)}; with {chosen.size:,} it is lower "
        f"by {' and by '.join(gains)}",
        Outcome.measured(all_of(leads)),
    )


def _leads(first: Best, second: Best, *, is_timed: bool) -> bool | None:
    """Return whether the first leads to a lower loss; in time, also with half of its updates."""
    handicapped = first.half_losses if is_timed else first.losses
    if is_positive(paired_difference(second.losses, handicapped)):
        return True
    handicapped = second.half_losses if is_timed else second.losses
    return False if is_positive(paired_difference(first.losses, handicapped)) else None


def _by_place(numbers: Sequence[float]) -> Numbers:
    return dict(enumerate(numbers))


def _times_as_long(numbers: Numbers, factor: float) -> Numbers:
    return {key: factor * number for key, number in numbers.items()}


def _interval(first: Numbers, second: Numbers) -> str:
    """Return the mean of first - second with its 95 % interval."""
    found = paired_difference(first, second)
    return f"{found.value:+.4f} ± {(found.high - found.low) / 2:.4f}"


def _duration(seconds: Numbers) -> str:
    """Return a mean duration with its 95 % interval, in µs or ms."""
    found = mean_interval(list(seconds.values()))
    factor, unit = (1e6, "µs") if found.value < 1e-3 else (1e3, "ms")
    return f"{factor * found.value:,.1f} ± {factor * found.half_width:,.1f} {unit}"
