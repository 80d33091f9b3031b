"""A data set of 50 random 4x4 images in IDX files, and a web server that has them."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.data.catalog import Dataset, IdxFile

_RNG = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": _RNG.integers(0, 256, (40, 4, 4)).astype(np.uint8),
    "train-labels-idx1-ubyte": _RNG.integers(0, 10, 40).astype(np.uint8),
    "t10k-images-idx3-ubyte": _RNG.integers(0, 256, (10, 4, 4)).astype(np.uint8),
    "t10k-labels-idx1-ubyte": _RNG.integers(0, 10, 10).astype(np.uint8),
}
CONTENTS = {
    name: struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    for name, array in ARRAYS.items()
}
TINY = Dataset(
    "tiny",
    num_train=40,
    image_shape=(4, 4),
    classes=tuple("0123456789"),
    files=tuple(
        IdxFile(name, ARRAYS[name].shape, hashlib.sha256(content).hexdigest())
        for name, content in CONTENTS.items()
    ),
    torchvision_folder="Tiny/raw",
)


def write_plain(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)


def write_gzipped(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


@contextmanager
def serve(folder: Path) -> Generator[tuple[str, list[str]]]:
    """A mirror on this machine: its address, and the list of the paths that it was asked for."""
    requests: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, format, *args):  # noqa: A002, ARG002  # the base class's signature
            requests.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()
