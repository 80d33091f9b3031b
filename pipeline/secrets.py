"""Passwords in addresses never reach logs, tags, artifacts or error texts."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

__all__ = ["password_to_environment", "without_password"]

DATABASE_PASSWORD = "PIPELINE_DATABASE_PASSWORD"  # noqa: S105  (a variable's name)

VARIABLES = {
    "tracking.uri": DATABASE_PASSWORD,
    "hydra.sweeper.storage": "PIPELINE_STORAGE_PASSWORD",
}
"""Keys whose values are addresses, and the variables that take the passwords in them."""


def without_password(text: str) -> str:
    """Return the text with user:password@ taken out of every address in it."""
    return re.sub(r"(://|=|^)[^/@\s=]+:[^/@\s]+@", r"\1", text)


def password_to_environment(argument: str) -> str:
    """Return a command-line argument without the password of a store's address in it.

    The password goes into the environment, so that no file or message that repeats the command
    line can show it: a server's to where MLflow looks for it too, a database's to a variable
    that the address then refers to.
    """
    pattern = r"(\+*([\w.]+)=)(['\"]?)(\w[\w+]*://)([^/@:]+):([^/@]+)@(.*)\3"
    found = re.fullmatch(pattern, argument)
    if found is None or found[2] not in VARIABLES:
        return argument
    key, name, quote, scheme, user, password, place = found.groups()
    if scheme.startswith("http"):
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
        return f"{key}{quote}{scheme}{place}{quote}"
    os.environ[VARIABLES[name]] = password
    return f"{key}'{scheme}{user}:${{oc.env:{VARIABLES[name]}}}@{place}'"
