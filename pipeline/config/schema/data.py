"""`data`: the data set and its split."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.rules import require

__all__ = ["DataConfig"]


@dataclass
class DataConfig:
    """The data set, its split and the mini-batch."""

    name: str = "mnist"
    """An option of conf/data; whether there is such a data set, and enough of it, is checked with
    what else lies around a run, before anything starts."""
    root: str = ""
    """The folder that holds, or will hold, the data files."""
    batch_size: int = 100
    """Examples per mini-batch; the last one of an epoch may be smaller."""
    num_train: int = 55_000
    """The first num_train examples of the training set are trained on."""
    num_val: int = 5_000
    """The last num_val examples of the training set are for validation; 0 for none."""
    download: bool = True
    """Fetch files that are missing."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        require(self.num_train >= 1, "data.num_train", self.num_train, "a whole number ≥ 1")
        require(self.num_val >= 0, "data.num_val", self.num_val, "a whole number ≥ 0")
        require(
            1 <= self.batch_size <= self.num_train,
            "data.batch_size",
            self.batch_size,
            f"a whole number from 1 to data.num_train={self.num_train}",
        )
