"""Passwords in addresses never reach logs, tags, artifacts or error texts."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

__all__ = ["password_to_environment", "without_password"]


def without_password(text: str) -> str:
    """Return the text with user:password@ taken out of every address in it."""
    return re.sub(r"(://|=|^)[^/@\s=]+:[^/@\s]+@", r"\1", text)


def password_to_environment(argument: str) -> str:
    """Return a command-line argument without the password of a server's address in it.

    User and password go where MLflow looks for them too, so that no file or message that
    repeats the command line can show them.
    """
    found = re.fullmatch(r"(\+*tracking\.uri=['\"]?https?://)([^/@:]+):([^/@]+)@(.*)", argument)
    if found is None:
        return argument
    start, user, password, rest = found.groups()
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
    return start + rest
