"""Files that are kept as they are published: found, fetched, checked."""

from __future__ import annotations

import gzip
import http.server
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.data import fetching, missing_files, prepare
from pipeline.data.catalog import DATASETS, Dataset
from pipeline.data.files import locate, read_checked
from pipeline.errors import UserError
from tests.data import tiny_mnist
from tests.data.test_fetching import child_environment
from tests.data.tiny_published import ETINY, GZIPPED, QTINY, ZIP, ZIPPED, write_published

LETTERS = ETINY["letters"]
IMAGES = "qtiny-train-images-idx3-ubyte.gz"
FETCH = """
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.data import prepare
from pipeline.data.catalog import DATASETS
from tests.data.tiny_published import ETINY
_, root, address, split = sys.argv
DATASETS[f"etiny_{split}"] = replace(ETINY[split], sources=(address,))
prepare(f"etiny_{split}", Path(root), download=True)
"""


@contextmanager
def known(dataset: Dataset, *sources: str) -> Generator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, dataset.name, replace(dataset, sources=sources))
        yield dataset.name


def prepare_tiny(dataset: Dataset, root: Path, *sources: str, download: bool = True) -> None:
    with known(dataset, *sources) as name:
        prepare(name, root, download=download)


def refusal(dataset: Dataset, root: Path, *sources: str, download: bool = True) -> str:
    with pytest.raises(UserError) as caught:
        prepare_tiny(dataset, root, *sources, download=download)
    return str(caught.value)


def kept(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir() if path.suffix != ".lock"}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    write_published(tmp_path / "served")
    return tmp_path / "served"


@contextmanager
def answering(length: int, body: bytes) -> Generator[str]:
    """A server that promises `length` bytes, sends `body` and hangs up."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):  # noqa: A002  # the base class's signature
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("folder", [".", "QTiny/raw"])
def test_gzipped_files_are_found_here_or_as_torchvision_keeps_them(tmp_path: Path, folder: str):
    write_published(tmp_path / folder)
    assert [path.name for path in locate(QTINY, tmp_path).values()] == list(GZIPPED)
    prepare_tiny(QTINY, tmp_path, download=False)


@pytest.mark.parametrize("folder", [".", "ETiny/raw"])
@pytest.mark.parametrize("split", ETINY)
def test_a_zip_is_found_here_or_as_torchvision_keeps_it(tmp_path: Path, folder: str, split: str):
    write_published(tmp_path / folder)
    assert set(locate(ETINY[split], tmp_path).values()) == {tmp_path / folder / ZIP}
    prepare_tiny(ETINY[split], tmp_path, download=False)


def test_plain_files_are_not_what_was_published(tmp_path: Path):
    (tmp_path / IMAGES.removesuffix(".gz")).write_bytes(gzip.decompress(GZIPPED[IMAGES]))
    assert refusal(QTINY, tmp_path, download=False) == (
        f"data.root={tmp_path} lacks {', '.join(GZIPPED)} of qtiny. Set data.download=true to "
        "fetch them, or put them there, as they are published."
    )


def test_a_download_leaves_what_was_published(tmp_path: Path, served: Path, caplog):
    caplog.set_level(logging.INFO)
    with tiny_mnist.serve(served) as (address, requests):
        prepare_tiny(QTINY, tmp_path / "root", address)
        prepare_tiny(QTINY, tmp_path / "root", address)
    assert kept(tmp_path / "root") == GZIPPED
    assert requests == [f"/{name}" for name in GZIPPED]
    assert f"fetching {', '.join(GZIPPED)} of qtiny from {address}" in caplog.text


def test_six_splits_at_once_fetch_their_zip_once(tmp_path: Path, served: Path):
    root = tmp_path / "root"
    with tiny_mnist.serve(served) as (address, requests):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", FETCH, str(root), address, split], env=child_environment()
            )
            for split in ETINY
        ]
        assert [child.wait(timeout=120) for child in children] == [0] * 6
    assert requests == [f"/{ZIP}"]
    assert kept(root) == {ZIP: ZIPPED}


def test_a_dry_run_names_the_zip_once(tmp_path: Path):
    with known(LETTERS) as name:
        assert missing_files(name, tmp_path) == [ZIP]


def test_only_missing_files_are_fetched(tmp_path: Path, served: Path):
    root = tmp_path / "root"
    shutil.copytree(served, root)
    (root / IMAGES).unlink()
    (root / f"{IMAGES}.tmp").write_bytes(b"left by a process that was killed")
    with tiny_mnist.serve(served) as (address, requests):
        prepare_tiny(QTINY, root, address)
    assert requests == [f"/{IMAGES}"]
    assert kept(root) == {**GZIPPED, ZIP: ZIPPED}


def test_a_long_download_says_how_far_it_is(tmp_path: Path, served: Path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fetching, "_PROGRESS_S", 0)
    monkeypatch.setattr(fetching, "_CHUNK_BYTES", len(ZIPPED) // 2)
    with tiny_mnist.serve(served) as (address, _):
        prepare_tiny(LETTERS, tmp_path / "root", address)
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == f"fetching {ZIP} of etiny_letters from {address}"
    assert said[1] == f"{address}/{ZIP}: 0.0 of 0.0 MB"
    assert said[-1] == f"wrote 0.0 MB to {tmp_path / 'root'}"


def test_another_file_is_never_left_under_the_name(tmp_path: Path, served: Path):
    root = tmp_path / "root"
    (served / ZIP).write_bytes(b"<html>welcome to this hotel</html>")
    with tiny_mnist.serve(served) as (address, _):
        said = refusal(LETTERS, root, address)
    expected = next(iter(LETTERS.files)).checksum
    assert f"{address}: {ZIP}: has 34 bytes and the MD5 " in said
    assert f"expected {expected}" in said
    assert f"put {ZIP} (as they are published) into data.root={root}" in said
    assert kept(root) == {}


def test_a_file_that_is_cut_short_is_never_left_under_the_name(tmp_path: Path):
    with answering(len(ZIPPED), ZIPPED[:-1]) as address:
        said = refusal(LETTERS, tmp_path, address)
    assert f"{ZIP}: ended after {len(ZIPPED) - 1:,} of {len(ZIPPED):,} bytes" in said
    assert kept(tmp_path) == {}


def test_a_file_that_never_ends_does_not_fill_the_disk(tmp_path: Path, served: Path, monkeypatch):
    monkeypatch.setattr(fetching, "_MAX_BYTES", 1000)
    with tiny_mnist.serve(served) as (address, _):
        assert f"{ZIP}: goes on after 1,000 bytes" in refusal(LETTERS, tmp_path / "root", address)
    assert kept(tmp_path / "root") == {}


def test_the_next_source_is_tried(tmp_path: Path, served: Path):
    (tmp_path / "empty").mkdir()
    with (
        tiny_mnist.serve(tmp_path / "empty") as (empty, _),
        tiny_mnist.serve(served) as (good, _),
        answering(2**40, ZIPPED) as boasting,
    ):
        prepare_tiny(LETTERS, tmp_path / "root", empty, boasting, good)
    assert kept(tmp_path / "root") == {ZIP: ZIPPED}


def test_a_server_that_does_not_answer(tmp_path: Path):
    with tiny_mnist.serve(tmp_path) as (address, _):
        pass
    assert "refused" in refusal(LETTERS, tmp_path / "root", address)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes, expected 376"),
        (b"no gzip", "Not a gzipped file"),
        (GZIPPED[IMAGES][:-9], "Compressed file ended before"),
        (gzip.compress(bytes(10**7)), "has more than the expected 376 bytes"),
        (gzip.compress(bytes(376)), "has the MD5 [0-9a-f]{32}, expected [0-9a-f]{32}"),
        (gzip.compress(gzip.decompress(GZIPPED[IMAGES]), 1, mtime=1), "has the MD5"),
    ],
)
def test_a_damaged_gzipped_file_is_named_and_left_alone(tmp_path: Path, content: bytes, message):
    write_published(tmp_path)
    path = tmp_path / IMAGES
    path.write_bytes(content)
    with tiny_mnist.serve(tmp_path) as (address, requests):
        with pytest.raises(UserError, match=message) as caught:
            prepare_tiny(QTINY, tmp_path, address)
        assert requests == []
    assert str(caught.value).startswith(f"{path}: ")
    assert "Move it away" in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", ZIPPED[:-1], ZIPPED[:-1] + b"x", b"PK\3\4" + bytes(99)])
def test_a_damaged_zip_is_named_and_never_opened(tmp_path: Path, content: bytes):
    path = tmp_path / ZIP
    path.write_bytes(content)
    said = refusal(LETTERS, tmp_path)
    assert said.startswith(f"{path}: gzip/etiny-letters-train-images-idx3-ubyte.gz: the zip has ")
    assert f"{len(content):,} bytes and the MD5 " in said
    assert "Move it away" in said


def test_a_folder_or_a_dangling_link_in_place_of_a_file(tmp_path: Path):
    (tmp_path / ZIP).mkdir()
    assert f"{ZIP}: " in refusal(LETTERS, tmp_path)
    (tmp_path / ZIP).rmdir()
    (tmp_path / ZIP).symlink_to(tmp_path / "nowhere")
    assert "No such file" in refusal(LETTERS, tmp_path)


def test_files_of_another_data_set_are_recognised(tmp_path: Path):
    """By the checksum of what they hold, or of what was published."""
    first = tiny_mnist.TINY.files[0]
    same_size = replace(QTINY.files[0], shape=first.shape)
    other = replace(first, shape=QTINY.files[0].shape)
    tiny_mnist.write_gzipped(tmp_path)
    write_published(tmp_path)
    with known(tiny_mnist.TINY), known(QTINY):
        with pytest.raises(UserError, match="is a file of the data set tiny; give each data set"):
            read_checked(same_size, tmp_path / f"{first.name}.gz")
        with pytest.raises(UserError, match="is a file of the data set qtiny; give each data set"):
            read_checked(other, tmp_path / IMAGES)
