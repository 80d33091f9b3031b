"""Importing big libraries quickly."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["quick_imports"]


@contextmanager
def quick_imports() -> Generator[None]:
    """Import without collecting garbage: there is next to none, and looking costs over a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
