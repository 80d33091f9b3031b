import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_mnist import CONTENTS, TINY, serve, write_gzipped, write_plain

from pipeline.data import DataError, prepare
from pipeline.data.preparation import ensure_files
from pipeline.data.sources import DebianPackage, Mirror

NOWHERE = DebianPackage("none")
FETCH = """
import sys
from pathlib import Path
from tiny_mnist import TINY
from pipeline.data.preparation import ensure_files
from pipeline.data.sources import Mirror
ensure_files(TINY, Path(sys.argv[1]), download=True, sources=[Mirror(sys.argv[2])])
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def fetch_command(root: Path, mirror: Mirror) -> list[str]:
    return [sys.executable, "-c", FETCH, str(root), mirror.address]


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
    ensure_files(TINY, tmp_path, download=True, sources=[NOWHERE])
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 4


def test_download_leaves_the_plain_files(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_gzipped(tmp_path / "served")
    root = tmp_path / "new" / "root"
    with serve(tmp_path / "served") as (mirror, _):
        ensure_files(TINY, root, download=True, sources=[mirror])
    assert contents(root) == CONTENTS
    assert f"fetching 4 files of tiny from {mirror}" in caplog.text
    assert f"wrote 0.0 MB to {root}" in caplog.text


def test_only_missing_files_are_fetched(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    write_plain(root)
    (root / "t10k-labels-idx1-ubyte").unlink()
    (root / "t10k-labels-idx1-ubyte.tmp").write_bytes(b"left by a process that was killed")
    with serve(tmp_path / "served") as (mirror, requests):
        ensure_files(TINY, root, download=True, sources=[mirror])
    assert requests == ["/t10k-labels-idx1-ubyte.gz"]
    assert contents(root) == CONTENTS


def test_sources_are_tried_in_order(tmp_path):
    write_gzipped(tmp_path / "damaged")
    write_gzipped(tmp_path / "good")
    damaged_path = tmp_path / "damaged" / "train-images-idx3-ubyte.gz"
    shutil.copy(tmp_path / "good" / "t10k-images-idx3-ubyte.gz", damaged_path)
    with (
        serve(tmp_path / "damaged") as (damaged, damaged_requests),
        serve(tmp_path / "good") as (good, good_requests),
    ):
        ensure_files(TINY, tmp_path / "root", download=True, sources=[NOWHERE, damaged, good, good])
    assert len(damaged_requests) == len(good_requests) == 4
    assert contents(tmp_path / "root") == CONTENTS


def test_no_source_answers(tmp_path):
    write_gzipped(tmp_path / "damaged")
    (tmp_path / "empty").mkdir()
    shutil.copy(
        tmp_path / "damaged" / "t10k-images-idx3-ubyte.gz",
        tmp_path / "damaged" / "train-images-idx3-ubyte.gz",
    )
    root = tmp_path / "root"
    with (
        serve(tmp_path / "empty") as (empty, _),
        serve(tmp_path / "damaged") as (damaged, _),
        pytest.raises(DataError) as caught,
    ):
        ensure_files(TINY, root, download=True, sources=[empty, damaged, NOWHERE])
    message = str(caught.value)
    assert f"{empty}: train-images-idx3-ubyte.gz: HTTP Error 404" in message
    assert f"{damaged}: train-images-idx3-ubyte has 176 bytes, expected 656" in message
    assert "Debian package dataset-none: there is no" in message
    assert f"into data.root={root}" in message
    assert "data=digits" in message
    assert contents(root) == {}


def test_missing_files_without_download(tmp_path):
    write_plain(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte of tiny.*data\.download="):
        ensure_files(TINY, tmp_path, download=False, sources=[NOWHERE])
    assert len(list(tmp_path.iterdir())) == 3


def test_damaged_file_is_no_reason_to_download(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    root.mkdir()
    (root / "train-labels-idx1-ubyte").write_bytes(b"precious")
    with (
        serve(tmp_path / "served") as (mirror, requests),
        pytest.raises(DataError, match=f"{root}/train-labels-idx1-ubyte: has 8 bytes, expected 48"),
    ):
        ensure_files(TINY, root, download=True, sources=[mirror])
    assert requests == []
    assert contents(root) == {"train-labels-idx1-ubyte": b"precious"}


def test_sixteen_processes_make_one_download(tmp_path):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    with serve(tmp_path / "served") as (mirror, requests):
        command = fetch_command(root, mirror)
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
    with serve(tmp_path / "served") as (mirror, _):
        result = run_in_namespace(script, [str(root), *fetch_command(root, mirror)])
    error = result.stderr.splitlines()[-1]
    assert f"{root}/train-images-idx3-ubyte can't be written (No space left" in error
    assert "data.root" in error
    assert sorted(result.stdout.split()) == [".tiny.lock", "filler"]


@pytest.mark.parametrize("complete", [True, False])
def test_read_only_folder(tmp_path, complete):
    write_gzipped(tmp_path / "served")
    root = tmp_path / "root"
    write_plain(root)
    if not complete:
        (root / "t10k-labels-idx1-ubyte").unlink()
    script = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; shift; exec "$@"'
    with serve(tmp_path / "served") as (mirror, requests):
        result = run_in_namespace(script, [str(root), *fetch_command(root, mirror)])
    assert (result.returncode == 0) == complete, result.stderr
    assert requests == []
    if not complete:
        error = result.stderr.splitlines()[-1]
        assert f"data.root={root} can't be used (Read-only file system)" in error


def test_preparing_good_files_does_not_import_torch(mnist_root):
    code = (
        "import sys; from pathlib import Path; from pipeline.data import prepare; "
        "prepare('mnist', Path(sys.argv[1]), download=True); "
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(mnist_root)], check=True)


def test_digits_need_no_folder(tmp_path):
    (tmp_path / "file").touch()
    prepare("digits", tmp_path / "file", download=True)
