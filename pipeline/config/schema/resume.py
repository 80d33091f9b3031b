"""`resume`: which earlier runs count."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.rules import require

__all__ = ["ResumeConfig"]

RESUME_CODES = ("strict", "warn", "ignore")


@dataclass
class ResumeConfig:
    """Which earlier runs count, so that a sweep goes on where it stopped."""

    sweep: str | None = None
    """last, a sweep's run id, or any: what is finished of whatever sweep. For short, `resume=…`."""
    code: str = "warn"
    """When code or data have changed since: warn counts what the same sweep finished with other
    code, not what another one did, and refuses to go on with a sweep on other data; strict counts
    neither, ignore both."""

    def __post_init__(self) -> None:
        """Check the names; whether there is such a sweep is seen when one starts."""
        one_of("resume.code", self.code, RESUME_CODES)
        named = self.sweep is None or bool(self.sweep.strip())
        require(named, "resume.sweep", repr(self.sweep), "last, any or a sweep's run id")
