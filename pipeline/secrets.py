"""Passwords in addresses never reach logs, tags, artifacts or error texts."""

from __future__ import annotations

import re

__all__ = ["without_password"]


def without_password(text: str) -> str:
    """Return the text with user:password@ taken out of every address in it."""
    return re.sub(r"://[^/@\s]+@", "://", text)
