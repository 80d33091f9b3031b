import gzip

import pytest

from pipeline.data import catalog
from pipeline.data.files import locate, read_checked
from pipeline.errors import UserError
from tests.data.tiny_mnist import CONTENTS, TINY, write_gzipped, write_plain

IMAGES = TINY.files[0]
CONTENT = CONTENTS[IMAGES.name]
FLIPPED = CONTENT[:100] + bytes([CONTENT[100] ^ 1]) + CONTENT[101:]


@pytest.mark.parametrize("write", [write_plain, write_gzipped])
@pytest.mark.parametrize("folder", [".", "Tiny/raw"])
def test_files_are_found_plain_or_gzipped_here_or_as_torchvision_keeps_them(
    tmp_path, write, folder
):
    write(tmp_path / folder)
    found = locate(TINY, tmp_path)
    assert {file.name: read_checked(file, path) for file, path in found.items()} == CONTENTS


def test_folder_that_does_not_exist_is_empty(tmp_path):
    assert locate(TINY, tmp_path / "absent") == {}


@pytest.mark.parametrize("root", ["file", "file/below"])
def test_root_that_is_a_file(tmp_path, root):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"data\.root={tmp_path / root} can't be used .*Not a dir"):
        locate(TINY, tmp_path / root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images", b"", "has 0 bytes, expected 656"),
        ("images", CONTENT[:-1], "has 655 bytes, expected 656"),
        ("images", CONTENT + b"x", "has more than the expected 656 bytes"),
        ("images", FLIPPED, f"has the SHA-256 [0-9a-f]{{64}}, expected {IMAGES.sha256}"),
        ("images", gzip.compress(CONTENT), "bytes, expected 656|more than the expected 656"),
        ("images.gz", CONTENT, "Not a gzipped file"),
        ("images.gz", gzip.compress(CONTENT)[:-9], "Compressed file ended before"),
        ("images.gz", gzip.compress(CONTENT)[:300] + b"garbage" * 60, "CRC check failed"),
        ("images.gz", gzip.compress(CONTENT)[:10] + b"garbage" * 60, "while decompressing"),
        ("images.gz", gzip.compress(FLIPPED), "has the SHA-256"),
        ("images.gz", gzip.compress(bytes(10**7)), "has more than the expected 656 bytes"),
    ],
)
def test_damaged_file_is_named_and_left_alone(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_checked(IMAGES, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "Move it away" in str(caught.value)
    assert path.read_bytes() == content


def test_folder_or_dangling_link_in_place_of_a_file(tmp_path):
    (tmp_path / IMAGES.name).mkdir()
    (tmp_path / TINY.files[1].name).symlink_to(tmp_path / "nowhere")
    found = locate(TINY, tmp_path)
    with pytest.raises(UserError, match="Is a directory"):
        read_checked(IMAGES, found[IMAGES])
    with pytest.raises(UserError, match="No such file"):
        read_checked(TINY.files[1], found[TINY.files[1]])


def test_file_of_another_data_set_is_recognised(tmp_path, monkeypatch):
    monkeypatch.setitem(catalog.DATASETS, "tiny", TINY)
    write_plain(tmp_path)
    other = catalog.IdxFile(IMAGES.name, IMAGES.shape, "0" * 64)
    with pytest.raises(UserError, match="is a file of the data set tiny; give each data set a fol"):
        read_checked(other, tmp_path / IMAGES.name)
