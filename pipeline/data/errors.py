"""What goes wrong with data and can be put right by the user."""

from pipeline.errors import UserError

__all__ = ["DataError"]


class DataError(UserError):
    """Data that is missing, damaged, out of reach or too small for what was asked."""
