"""`data`: the data set and its split."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.options import one_of
from pipeline.config.rules import require, require_unset

__all__ = ["DIVIDED_HERE", "MISSING", "OWN", "SCALES", "DataConfig"]

OWN = ("table", "arrays", "images")
"""Data sets that the user brings: a file of columns, a file of arrays, a folder of images."""

DIVIDED_HERE = (*OWN, "breast_cancer", "wine", "iris")
"""Data sets that are divided into training, validation and test examples by `split_seed`."""

SCALES = ("none", "unit", "standard")
MISSING = ("error", "mean", "drop")


@dataclass
class DataConfig:
    """The data set, its split and the mini-batch."""

    name: str = "mnist"
    """An option of conf/data; whether there is such a data set, and enough of it, is checked with
    what else lies around a run, before anything starts."""
    root: str = ""
    """The folder that holds, or will hold, the data files of a built-in data set."""
    batch_size: int = 100
    """Examples per mini-batch; the last one of an epoch may be smaller."""
    num_train: int | None = 55_000
    """The first num_train examples of the training set are trained on; null for all, where
    split_seed or the data themselves divide them."""
    num_val: int | None = 5_000
    """The last num_val examples of the training set are for validation, 0 for none; null for all
    of the validation part, where split_seed or the data themselves divide them."""
    download: bool = True
    """Fetch files that are missing."""
    path: str | None = None
    """Your own data: a .csv, .tsv or .parquet file (data=table), an .npz file (data=arrays) or a
    folder with a folder of images for each class (data=images)."""
    target: str | None = None
    """table only: the column that holds the class."""
    columns: list[str] | None = None
    """table only: the columns that the network reads; null for all but the target."""
    drop: list[str] | None = None
    """table only: columns to leave out."""
    categories: list[str] | None = None
    """table only: columns whose numbers are names of categories, such as a postal code."""
    missing: str = "error"
    """table only, what becomes of missing values: error, mean (that of the training examples) or
    drop (leave the row out)."""
    split_column: str | None = None
    """table only: the column that says train, val or test; null to divide by split_seed."""
    split_seed: int | None = 0
    """≥ 0; it decides which examples are for what, with the same shares of each class. null: each
    run's own seed does, so that intervals over seeds say what other examples would give, too."""
    val_share: float | None = None
    """Share of the examples for validation, 0 ≤ share < 1, where the data don't say."""
    test_share: float | None = None
    """Share of the examples for testing, 0 < share < 1, where the data don't say."""
    scale: str = "unit"
    """What is done to the inputs: none, unit (pixels become 0 to 1, other features by the least and
    largest of the training examples, too) or standard (their mean becomes 0, their standard
    deviation 1)."""
    image_size: list[int] | None = None
    """images only: height and width in pixels that every image is resized to."""
    color: bool = False
    """images only: three colours for each pixel instead of its brightness."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        one_of("data.scale", self.scale, SCALES)
        in_range = self.split_seed is None or 0 <= self.split_seed < 2**63
        allowed = "a whole number ≥ 0, or null for each run's own seed"
        require(in_range, "data.split_seed", self.split_seed, allowed)
        self._check_sizes()
        self._check_shares()
        self._check_own()
        self._check_table()
        self._check_images()

    @property
    def is_divided_here(self) -> bool:
        """Whether `split_seed`, or the data themselves, say which examples are for what."""
        return self.name in DIVIDED_HERE

    @property
    def without_validation(self) -> str:
        """The key=value by which there are no validation examples; "" if there are some."""
        if self.num_val == 0:
            return "data.num_val=0"
        return "data.val_share=0" if self.val_share == 0 else ""

    def _check_sizes(self) -> None:
        """Check numbers of examples; those of data that are divided here may be left open."""
        allowed = "a whole number ≥ {}" + (" or null for all" if self.is_divided_here else "")
        for name, number, least in (("num_train", self.num_train, 1), ("num_val", self.num_val, 0)):
            in_range = self.is_divided_here if number is None else number >= least
            require(in_range, f"data.{name}", number, allowed.format(least))
        most, allowed = self.num_train, f"from 1 to data.num_train={self.num_train}"
        if most is None:
            most, allowed = self.batch_size, "≥ 1"
        in_range = 1 <= self.batch_size <= most
        require(in_range, "data.batch_size", self.batch_size, f"a whole number {allowed}")

    def _check_shares(self) -> None:
        if not self.is_divided_here:
            for name in ("val_share", "test_share"):
                remedy = "It comes divided: see data.num_train and data.num_val."
                require_unset(f"data.{name}", getattr(self, name), f"data={self.name}", remedy)
            return
        val, test = self.val_share, self.test_share
        in_range = val is not None and 0 <= val < 1
        require(in_range, "data.val_share", val, "a share, 0 ≤ share < 1", "The usual one is 0.15.")
        in_range = test is not None and 0 < test < 1
        require(
            in_range, "data.test_share", test, "a share, 0 < share < 1", "The usual one is 0.15."
        )
        total = (val or 0) + (test or 0)
        remedy = "Something must be left to train on."
        require(total < 1, "data.val_share+data.test_share", total, "less than 1", remedy)

    def _check_own(self) -> None:
        if self.name in OWN:
            what = {
                "table": "a .csv, .tsv or .parquet file",
                "arrays": "an .npz file",
                "images": "a folder with a folder of images for each class",
            }[self.name]
            remedy = f"Say data={self.name} data.path=…"
            require(bool(self.path), "data.path", _said(self.path), what, remedy)
        else:
            remedy = "For data of your own choose data=table, arrays or images."
            require_unset("data.path", self.path, f"data={self.name}", remedy)

    def _check_table(self) -> None:
        one_of("data.missing", self.missing, MISSING)
        if self.name == "table":
            remedy = "Say data.target=NAME."
            required = bool(self.target)
            allowed = "the name of the column that holds the class"
            require(required, "data.target", _said(self.target), allowed, remedy)
            return
        for name in ("target", "columns", "drop", "categories", "split_column"):
            remedy = "Only data=table has columns."
            require_unset(f"data.{name}", getattr(self, name), f"data={self.name}", remedy)
        remedy = "Only data=table has missing values."
        usual = self.missing == "error"
        require(usual, "data.missing", self.missing, f"error with data={self.name}", remedy)

    def _check_images(self) -> None:
        if self.name != "images":
            remedy = "Choose data=images."
            require_unset("data.image_size", self.image_size, f"data={self.name}", remedy)
            require_unset("data.color", self.color or None, f"data={self.name}", remedy)
            return
        size = self.image_size or []
        in_range = len(size) == 2 and all(1 <= side <= 1024 for side in size)
        allowed = "height and width, two whole numbers from 1 to 1024"
        require(in_range, "data.image_size", self.image_size, allowed, "Try '[28,28]'.")


def _said(value: str | None) -> str:
    return "null" if value is None else value
