"""The one kind of error that is shown to users without a traceback."""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(ValueError):
    """Something that the user can put right.

    The message names the key or file, the value, what is allowed and what to do.
    """
