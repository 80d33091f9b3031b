"""`tracking`: where runs are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.rules import is_store, require
from pipeline.errors import UserError
from pipeline.secrets import without_password

__all__ = ["TrackingConfig"]


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs."""

    uri: str | None = None
    """null: mlflow.db in the project's root; else a server's or a database's address."""
    experiment_name: str = "mnist"
    """The MLflow experiment that the runs belong to."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    """Your own tags, put on every run."""

    def __post_init__(self) -> None:
        """Check the address's form; whether it answers is seen when a run starts."""
        named = bool(self.experiment_name.strip())
        require(named, "tracking.experiment_name", repr(self.experiment_name), "a name")
        if self.uri is None:
            return
        if not is_store(self.uri):
            raise UserError(
                f"tracking.uri={without_password(self.uri)}: is no address of a tracking store. "
                "Say http://host:port for an MLflow server, sqlite:////folder/mlflow.db or "
                "postgresql+psycopg://… for a database, null for mlflow.db in the project's root."
            )
