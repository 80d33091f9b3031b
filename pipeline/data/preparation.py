"""Making sure that a data set's files are there, once for all processes that start together."""

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from pipeline.data.catalog import Dataset, IdxFile, find_dataset
from pipeline.data.errors import DataError
from pipeline.data.files import check_content, locate, read_checked, root_error
from pipeline.data.sources import Source, sources_of
from pipeline.files import write_whole

__all__ = ["ensure_files", "prepare"]

_LOG = logging.getLogger(__name__)
_LOCK_TIMEOUT_S = 3600


def prepare(name: str, root: Path, *, download: bool) -> None:
    """Makes sure that all files of a data set are under `root` and correct.

    Good files are only read: neither a lock nor a writable folder is needed then. torch is
    imported only to look up torchvision's mirrors for a download.

    Args:
        name: one of `pipeline.data.catalog.DATASETS`; `digits` has no files, so nothing is done.
        root: the folder of the files; created by a download.
        download: whether files that are missing may be fetched.

    Raises:
        DataError: if files are missing and can't or may not be fetched, if a file is damaged
            (it is left as it is), or if `root` can't be read or written.
    """
    dataset = find_dataset(name)
    if dataset.files:
        ensure_files(dataset, root, download=download, sources=sources_of(dataset))


def ensure_files(
    dataset: Dataset, root: Path, *, download: bool, sources: Iterable[Source]
) -> None:
    """`prepare` for any data set and any sources, which are tried in order."""
    missing = _check(dataset, root)
    if not missing:
        return
    if not download:
        names = ", ".join(file.name for file in missing)
        raise DataError(
            f"data.root={root} lacks {names} of {dataset.name}. "
            "Set data.download=true to fetch them, or put them there, plain or as .gz."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{dataset.name}.lock", timeout=_LOCK_TIMEOUT_S):
            missing = _check(dataset, root)  # another process may have fetched them meanwhile
            if missing:
                _fetch(dataset, missing, root, sources)
    except OSError as error:
        raise root_error(root, error) from error


def _check(dataset: Dataset, root: Path) -> list[IdxFile]:
    """Checks the files that are there and returns the others."""
    found = locate(dataset, root)
    for file, path in found.items():
        read_checked(file, path)
    return [file for file in dataset.files if file not in found]


def _fetch(
    dataset: Dataset, files: Sequence[IdxFile], root: Path, sources: Iterable[Source]
) -> None:
    failures: list[str] = []
    for source in sources:
        _LOG.info("fetching %d files of %s from %s", len(files), dataset.name, source)
        start_s = time.monotonic()
        try:
            contents = _fetch_checked(source, files)
        except (DataError, OSError) as error:
            _LOG.info("%s failed: %s", source, error)
            failures.append(f"{source}: {error}")
            continue
        for file, content in zip(files, contents, strict=True):
            _write(root / file.name, content)
        num_mb = sum(map(len, contents)) / 1e6
        _LOG.info("wrote %.1f MB to %s in %.1f s", num_mb, root, time.monotonic() - start_s)
        return
    tried = "".join(f"\n  - {failure}" for failure in failures)
    names = ", ".join(file.name for file in files)
    raise DataError(
        f"no source has the files of {dataset.name}. Tried:{tried}\n"
        f"Put one of these right and run again, or put {names} (plain or as .gz) into "
        f"data.root={root}, or use data=digits, which needs no files."
    )


def _fetch_checked(source: Source, files: Sequence[IdxFile]) -> list[bytes]:
    contents = source.fetch(files)
    for file, content in zip(files, contents, strict=True):
        try:
            check_content(file, content)
        except DataError as error:
            raise DataError(f"{file.name} {error}") from error
    return contents


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)  # one writer only, thanks to the lock
    except OSError as error:
        raise DataError(
            f"{path} can't be written ({error.strerror}). "
            "Make room there, or set data.root to another folder."
        ) from error
