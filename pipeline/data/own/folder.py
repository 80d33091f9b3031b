"""Your own images: a folder with a folder of image files for each class."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import joblib  # pyright: ignore[reportMissingTypeStubs]  # has none
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.schema.data import DataConfig
from pipeline.data.images import quiet_decoding, read_pixels
from pipeline.data.layout import Images
from pipeline.data.own.labels import in_order, require_classes, settled
from pipeline.data.pool import TEST, UNDIVIDED, VAL, Pool, one_block, require_memory
from pipeline.errors import UserError

__all__ = ["read_folder"]

log = logging.getLogger("pipeline")

PARTS = {"train": UNDIVIDED, "val": VAL, "validation": VAL, "test": TEST}

LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "__MACOSX")
"""What file managers leave in folders; names that begin with a dot are hidden, too."""

MAX_THREADS = 8
BATCH = 32
"""So many images a thread reads at a time."""

EVERY_S = 5.0
"""How often the log says how far reading is."""

REMEDY = "It must hold a folder of images for each class, or train and test that hold these."


@dataclass(frozen=True)
class ImageFile:
    """An image, and what its place says of it."""

    path: Path
    name: str
    """Its path below the folder."""
    label: str
    part: int


def read_folder(data: DataConfig) -> Pool:
    """Return the images of a folder that holds a folder for each class, sorted by path.

    The folders of the classes may lie in folders train, test and val (or validation); then these
    say which images are for what. Files and folders whose names begin with a dot are ignored.

    Raises:
        UserError: it has another form, a file is no image, a link leads out of it, or the images
            don't fit into memory; the message names the file.
    """
    assert data.image_size is not None
    root = Path(data.path or "")
    setting = f"data.path={root}"
    height, width = data.image_size
    layout = Images(height, width, channels=3 if data.color else 1)
    if not root.is_dir():
        what = "is a file" if root.is_file() else "there is no such folder"
        raise UserError(f"{setting}: {what}. {REMEDY}")
    try:
        files = sorted(_found(root), key=lambda file: file.name)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{setting}: {error.filename} can't be read ({why}). {REMEDY}") from error
    classes = in_order(file.label for file in files)
    position = {name: label for label, name in enumerate(classes)}
    labels = np.array([position[file.label] for file in files], np.int64)
    parts = settled(np.array([file.part for file in files], np.int8))
    require_classes(setting, classes, labels, parts, ("train", "val", "test"))
    num_bytes = len(files) * layout.num_features
    require_memory(setting, num_bytes * (1 + 4.0))  # as bytes and as float32
    pixels, checksums = _read(files, layout)
    listing = "".join(
        f"{checksum}  {file.name}\n" for checksum, file in zip(checksums, files, strict=True)
    )
    made = f"image_size={height},{width} color={data.color}\n"
    return Pool(
        labels=labels,
        parts=parts,
        classes=classes,
        layout=layout,
        blocks=one_block(pixels),
        num_bytes=pixels.nbytes + labels.nbytes,
        digest=hashlib.sha256(os.fsencode(made + listing)).hexdigest(),
        source=str(root),
    )


def _found(root: Path) -> Iterator[ImageFile]:
    """Return the images below a folder."""
    folders = _folders(root, root)
    names = {folder.name for folder in folders}
    if "train" not in names or not names & (PARTS.keys() - {"train"}):
        yield from _of_classes(root, folders, UNDIVIDED)
        return
    for folder in folders:
        if folder.name not in PARTS:
            raise UserError(
                f"data.path={root}: {folder.name} lies beside the folder train. Move it into one "
                "for training, validation or testing, or away."
            )
        yield from _of_classes(root, _folders(root, folder), PARTS[folder.name])


def _of_classes(root: Path, folders: Sequence[Path], part: int) -> Iterator[ImageFile]:
    """Return the images that lie in the folders of classes."""
    for folder in folders:
        paths = _visible(root, folder)
        if not paths:
            raise UserError(f"data.path={root}: {folder} holds no image. Add some, or remove it.")
        for path in paths:
            if not path.is_file():
                what = "folder" if path.is_dir() else "file that can be read"
                raise UserError(
                    f"data.path={root}: {path} lies among the images of a class and is "
                    f"{'a' if path.is_dir() else 'no'} {what}. {REMEDY}"
                )
            yield ImageFile(path, path.relative_to(root).as_posix(), folder.name, part)


def _folders(root: Path, folder: Path) -> list[Path]:
    """Return the folders in a folder, which must be some; a text beside them does no harm."""
    paths = _visible(root, folder)
    for path in paths:
        if path.is_file() and path.suffix.lower() in Image.registered_extensions():
            raise UserError(
                f"data.path={root}: {path} lies in no folder of a class. Move it into one, or away."
            )
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        raise UserError(f"data.path={root}: {folder} holds no folders. {REMEDY}")
    return folders


def _visible(root: Path, folder: Path) -> list[Path]:
    """Return what a folder holds, less what is hidden."""
    names = sorted(os.listdir(folder))  # noqa: PTH208  # names alone are quicker
    visible = [name for name in names if not name.startswith(".") and name not in LEFT_BY_SYSTEMS]
    paths = [folder / name for name in visible]
    for path in paths:
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            raise UserError(
                f"data.path={root}: {path} is a link to {path.resolve()}, outside of the folder. "
                "Copy what it leads to."
            )
    return paths


def _read(
    files: Sequence[ImageFile], layout: Images
) -> tuple[UInt8[NDArray[np.uint8], "images pixels"], list[str]]:
    """Return the pixels of images, and the SHA-256 of each file."""
    pixels = np.empty((len(files), layout.num_features), np.uint8)
    checksums: list[str] = []
    errors: list[UserError] = []
    last_told = time.monotonic()
    batches = range(0, len(files), BATCH)
    some = [files[start : start + BATCH] for start in batches]
    rows = [pixels[start : start + BATCH] for start in batches]
    with quiet_decoding(), ThreadPoolExecutor(min(MAX_THREADS, joblib.cpu_count())) as threads:
        for done in threads.map(partial(_read_some, layout), some, rows):
            checksums += [result for result in done if isinstance(result, str)]
            errors += [result for result in done if isinstance(result, UserError)]
            if time.monotonic() - last_told > EVERY_S:
                last_told = time.monotonic()
                num_read = len(checksums) + len(errors)
                log.info("Read %s of %s images.", f"{num_read:,}", f"{len(files):,}")
    if errors:
        others = f" So it is with {len(errors) - 1:,} other files." if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{others} Mend or remove what is no image.")
    return pixels, checksums


def _read_some(
    layout: Images, files: Sequence[ImageFile], rows: UInt8[NDArray[np.uint8], "images pixels"]
) -> list[str | UserError]:
    """Fill rows with the pixels of images; return the SHA-256 of each file, or what is wrong."""
    done: list[str | UserError] = []
    for file, row in zip(files, rows, strict=True):
        try:
            row[:] = read_pixels(file.path, layout).reshape(-1)
            with file.path.open("rb") as stream:
                done.append(hashlib.file_digest(stream, "sha256").hexdigest())
        except UserError as error:
            done.append(error)
    return done
