"""Passwords in addresses never reach logs, tags, artifacts or error texts."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

__all__ = ["password_to_environment", "without_password"]

DATABASE_PASSWORD = "PIPELINE_DATABASE_PASSWORD"  # noqa: S105  (a variable's name)


def without_password(text: str) -> str:
    """Return the text with user:password@ taken out of every address in it."""
    return re.sub(r"(://|=|^)[^/@\s=]+:[^/@\s]+@", r"\1", text)


def password_to_environment(argument: str) -> str:
    """Return a command-line argument without the password of a store's address in it.

    The password goes into the environment, so that no file or message that repeats the command
    line can show it: a server's to where MLflow looks for it too, a database's to a variable
    that the address then refers to.
    """
    pattern = r"(\+*tracking\.uri=)(['\"]?)(\w[\w+]*://)([^/@:]+):([^/@]+)@(.*)\2"
    found = re.fullmatch(pattern, argument)
    if found is None:
        return argument
    key, quote, scheme, user, password, place = found.groups()
    if scheme.startswith("http"):
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
        return f"{key}{quote}{scheme}{place}{quote}"
    os.environ[DATABASE_PASSWORD] = password
    return f"{key}'{scheme}{user}:${{oc.env:{DATABASE_PASSWORD}}}@{place}'"
