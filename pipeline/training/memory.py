"""Memory that runs out: how it shows, and the error that says so."""

from __future__ import annotations

import gc
import re

import torch

from pipeline.errors import UserError

__all__ = ["MemoryRanOutError", "described", "free_memory", "is_lack_of_memory"]

SIGNS = (
    "can't allocate memory",  # of the CPU
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What torch says where it has no error of its own for this."""

MAX_LENGTH = 200


class MemoryRanOutError(UserError):
    """Training needs more memory than there is; for fewer members it may be enough."""

    def __init__(self, what: str) -> None:
        """Say what happened, as a sentence without its full stop."""
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        """Return what happened, and what helps a run that trains alone."""
        return (
            f"{self.what}. For one run to need less, make model.hidden or data.batch_size smaller;"
            " hydra.launcher.num_workers=1 leaves it all the memory."
        )


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error, or an earlier one that it hides, says that memory ran out."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(found, RuntimeError) and any(sign in str(found) for sign in SIGNS):
            return True
        found = found.__context__
    return False


def described(error: BaseException) -> str:
    """Return in one line that memory ran out, and what was said of it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = re.sub(r"^\[enforce fail at [^]]*\] err == 0\. ", "", lines[0])  # where in torch's code
    return f"memory ran out ({said[:MAX_LENGTH]})"


def free_memory() -> None:
    """Give back the memory of a group that nobody needs any more."""
    gc.collect()  # Lightning's trainer and its module know each other
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
