"""The one kind of error that is shown to users without a traceback."""

from __future__ import annotations

__all__ = ["InterruptedRunError", "UserError"]


class UserError(ValueError):
    """Something that the user can put right.

    The message names the key or file, the value, what is allowed and what to do.
    """


class InterruptedRunError(UserError):
    """A run was asked to stop, and did so where it can go on."""
