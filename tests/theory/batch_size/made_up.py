"""A comparison of mini-batch sizes that was never measured, for what is made of one."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.theory.batch_size import Best, Comparison, Measurement

__all__ = ["best", "compare", "measurement"]

SPREAD = (-0.01, 0.0, 0.01)
"""What repetitions add: rounds of timing, orders of the examples, draws."""


def best(loss: float, half_loss: float | None = None, rate: float = 0.2) -> Best:
    """Losses of three orders, close together; at half time higher than at the end."""
    half = 1.1 * loss if half_loss is None else half_loss
    losses, half_losses = (
        {seed: value * (1 + add) for seed, add in enumerate(SPREAD)} for value in (loss, half)
    )
    return Best(rate, loss, losses, half_losses)


def measurement(
    size: int, update_s: float, cosine: float, after_epochs: Best, after_time: Best
) -> Measurement:
    """A size whose updates take 4 bytes for each example."""
    times = {number: update_s * (1 + add) for number, add in enumerate(SPREAD)}
    cosines = [cosine + add / size for add in SPREAD]
    return Measurement(size, times, 4 * size, cosines, after_epochs, after_time)


def compare(
    times: Sequence[float] = (5e-5, 1e-3, 0.02),
    cosines: Sequence[float] = (0.1, 0.5, 1.0),
    after_epochs: Sequence[float] = (0.4, 0.3, 0.5),
    after_time: Sequence[Best] = (best(0.4), best(0.3), best(0.5)),
) -> Comparison:
    """Sizes 1, 10 and all 100; by default every claim is supported."""
    columns = zip((1, 10, 100), times, cosines, map(best, after_epochs), after_time, strict=True)
    return Comparison("made up", 100, 1.0, [measurement(*row) for row in columns])
