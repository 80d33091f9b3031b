"""A folder of one's own images as examples."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import memory
from pipeline.config.schema.data import DataConfig
from pipeline.data.images import read_picture
from pipeline.data.layout import Images
from pipeline.data.own import folder as own_folder
from pipeline.data.own.folder import read_folder
from pipeline.data.pool import TEST, TRAIN, UNDIVIDED, VAL, Pool
from pipeline.errors import UserError
from tests import command

RNG = np.random.default_rng(0)
Change = Callable[[Path], object]
TWO_CLASSES = ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")


def write(root: Path, *names: str, size: tuple[int, int] = (6, 5)) -> None:
    """Write images of random colours, 6 high and 5 wide."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(root / name)


def read(root: Path, *, size: tuple[int, int] = (6, 5), color: bool = True) -> Pool:
    return read_folder(
        DataConfig(
            "images",
            path=str(root),
            num_train=None,
            num_val=None,
            val_share=0.2,
            test_share=0.2,
            image_size=list(size),
            color=color,
        )
    )


def inputs(pool: Pool) -> np.ndarray:
    return np.concatenate(list(pool.blocks()), axis=1)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).reshape(-1)


def test_images_come_in_the_order_of_their_paths_with_every_pixel(tmp_path: Path):
    names = ["cat/10.png", "cat/2.png", "dog/a.png", "dog/b.png"]
    write(tmp_path, *reversed(names))
    pool = read(tmp_path)
    assert pool.layout == Images(6, 5, channels=3)
    assert (pool.classes, pool.source) == (("cat", "dog"), str(tmp_path))
    assert np.array_equal(pool.labels, [0, 0, 1, 1])
    assert set(pool.parts) == {UNDIVIDED}
    assert np.array_equal(inputs(pool), [pixels(tmp_path / name) for name in names])


def test_they_are_grey_and_of_the_size_that_was_asked_for(tmp_path: Path):
    write(tmp_path, *TWO_CLASSES, size=(70, 90))
    pool = read(tmp_path, size=(4, 3), color=False)
    assert pool.layout == Images(4, 3)
    assert inputs(pool).shape == (4, 12)
    assert inputs(pool).dtype == np.uint8


@pytest.mark.parametrize("color", [False, True])
def test_prediction_sees_what_training_saw(tmp_path: Path, color: bool):
    write(tmp_path, *TWO_CLASSES, size=(70, 90))
    write(tmp_path, "cat/3.jpg", "dog/3.jpg", size=(900, 700))
    Image.new("RGBA", (30, 40), (90, 10, 0, 100)).save(tmp_path / "dog/4.png")
    pool = read(tmp_path, color=color)
    assert isinstance(pool.layout, Images)
    for path, row in zip(sorted(tmp_path.glob("*/*")), inputs(pool), strict=True):
        assert np.array_equal(read_picture(path, pool.layout).pixels.reshape(-1), row)


@pytest.mark.parametrize("val", ["val", "validation"])
def test_folders_say_what_images_are_for(tmp_path: Path, val: str):
    write(tmp_path, *(f"train/{name}" for name in TWO_CLASSES))
    write(tmp_path, "test/dog/1.png")
    pool = read(tmp_path)
    assert np.array_equal(pool.parts, [TEST] + [UNDIVIDED] * 4)
    assert np.array_equal(pool.labels, [1, 0, 0, 1, 1])
    write(tmp_path, f"{val}/cat/1.png")
    pool = read(tmp_path)
    assert np.array_equal(pool.parts, [TEST] + [TRAIN] * 4 + [VAL])
    shutil.rmtree(tmp_path / "test")
    assert np.array_equal(read(tmp_path).parts, [UNDIVIDED] * 4 + [VAL])


def test_train_can_be_a_class(tmp_path: Path):
    write(tmp_path, "train/1.png", "train/2.png", "bus/1.png", "bus/2.png")
    assert read(tmp_path).classes == ("bus", "train")


def test_classes_with_numbers_for_names_are_sorted_as_numbers(tmp_path: Path):
    write(tmp_path, *(f"{number}/{name}.png" for number in (10, 9, 1) for name in "ab"))
    pool = read(tmp_path)
    assert pool.classes == ("1", "9", "10")
    assert np.array_equal(pool.labels, [0, 0, 2, 2, 1, 1])  # "10/…" comes before "9/…"


def test_what_is_hidden_or_a_text_beside_the_folders_is_ignored(tmp_path: Path):
    write(tmp_path, *TWO_CLASSES)
    digest = read(tmp_path).digest
    for name in (".git/x", "cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/cat/1.png", "LICENSE.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    pool = read(tmp_path)
    assert (pool.classes, len(pool.labels), pool.digest) == (("cat", "dog"), 4, digest)


def test_the_digest_follows_contents_names_and_what_is_made_of_them(tmp_path: Path):
    one, moved = tmp_path / "one", tmp_path / "moved"
    write(one, *TWO_CLASSES)
    shutil.copytree(one, moved)
    digests = [read(one).digest]
    assert read(moved).digest == digests[0]
    digests += [read(one, size=(5, 6)).digest, read(one, color=False).digest]
    (moved / "cat/1.png").rename(moved / "cat/3.png")
    digests.append(read(moved).digest)
    Image.open(one / "dog/1.png").save(one / "dog/1.png", pnginfo=None, compress_level=0)
    digests.append(read(one).digest)
    assert len(set(digests)) == 5


def test_a_link_within_the_folder_is_followed(tmp_path: Path):
    write(tmp_path, *TWO_CLASSES)
    (tmp_path / "dog/3.png").symlink_to(tmp_path / "cat/1.png")
    (tmp_path / "cow").symlink_to("cat")
    pool = read(tmp_path)
    assert pool.classes == ("cat", "cow", "dog")
    assert np.array_equal(inputs(pool)[-1], pixels(tmp_path / "cat/1.png"))


def test_more_images_than_a_thread_reads_at_a_time(tmp_path: Path, caplog, monkeypatch):
    names = [f"{name}/{number:03}.png" for name in ("cat", "dog") for number in range(100)]
    write(tmp_path, *names)
    monkeypatch.setattr(own_folder, "EVERY_S", 0)
    with caplog.at_level(logging.INFO, "pipeline"):
        pool = read(tmp_path)
    assert np.array_equal(inputs(pool), [pixels(tmp_path / name) for name in names])
    assert "Read 32 of 200 images." in caplog.messages
    assert "Read 200 of 200 images." in caplog.messages


def remove(name: str) -> Change:
    return lambda root: shutil.rmtree(root / name)


def add(*names: str) -> Change:
    return lambda root: write(root, *names)


def text(*names: str) -> Change:
    return lambda root: [(root / name).write_text("no image") for name in names]


def link(name: str, target: str) -> Change:
    return lambda root: (root / name).symlink_to(target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("dog"), "there is one class, cat. Two are needed"),
        (add("cow/1.png"), "the class cow has one example; each class is divided"),
        (lambda root: (root / "cow").mkdir(), "/cow holds no image. Add some, or remove it."),
        (lambda root: (root / " ").mkdir(), "/  holds no image."),
        (add(" /1.png", " /2.png"), "' ' is no name of a class."),
        (add("cat/old/1.png"), "/cat/old lies among the images of a class and is a folder."),
        (add("1.png"), "/1.png lies in no folder of a class. Move it into one, or away."),
        (text("cat/a.txt"), "/cat/a.txt: is no image that can be read, such as a PNG or JPEG. Men"),
        (text("cat/a.png", "dog/b", "dog/c"), "/cat/a.png: is no image that can be read"),
        (text("cat/a.png", "dog/b", "dog/c"), "So it is with 2 other files."),
        (link("cat/3.png", "/etc/passwd"), "/cat/3.png is a link to /etc/passwd, outside of the"),
        (link("cat/3.png", "../../x.png"), "outside of the folder. Copy what it leads to."),
        (link("cow", ".."), "/cow is a link to"),
        (link("cat/3.png", "4.png"), "/cat/3.png lies among the images of a class and is no file"),
        (lambda root: os.mkfifo(root / "cat/pipe"), "/cat/pipe lies among the images of a class"),
        (add("train/cat/1.png", "test/cat/1.png"), "cat lies beside the folder train."),
        (lambda root: [shutil.rmtree(root / name) for name in ("cat", "dog")], "holds no folders."),
        (shutil.rmtree, "/own: there is no such folder. It must hold a folder of"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, change: Change, message: str):
    root = tmp_path / "own"
    write(root, *TWO_CLASSES)
    change(root)
    with pytest.raises(UserError, match=re.escape(message)):
        read(root)


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_class_that_training_lacks_is_refused(tmp_path: Path, part: str):
    write(tmp_path, *(f"train/{name}" for name in TWO_CLASSES), f"{part}/cow/1.png")
    with pytest.raises(UserError, match=f"{part} has the class cow, which train lacks. Add"):
        read(tmp_path)


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "own.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"own\.zip: is a file\. It must hold a folder"):
        read(tmp_path / "own.zip")


def test_an_image_that_takes_too_much_memory_is_refused(tmp_path: Path):
    write(tmp_path, *TWO_CLASSES)
    Image.new("1", (10_000, 10_000)).save(tmp_path / "dog/bomb.png")
    with pytest.raises(UserError, match=r"dog/bomb\.png: is too large"):
        read(tmp_path)


def test_more_images_than_memory_holds_are_refused_before_one_is_read(tmp_path: Path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(int(memory.free_mb() / 30) + 2):
            (tmp_path / name / str(number)).touch()
    with pytest.raises(UserError, match=r"takes some [\d,]+ MB of memory, and [\d,]+ MB are free"):
        read(tmp_path, size=(1024, 1024))


def test_the_command_trains_on_it(tmp_path: Path):
    for name, brightness in (("dark", 40), ("light", 200)):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(30):
            noisy = brightness + RNG.integers(-30, 30, (20, 20))
            path = tmp_path / "own" / name / f"{number}.png"
            Image.fromarray(noisy.astype(np.uint8)).save(path)
    own = ("-m", "data=images", "data.path=own", "data.image_size=[4,4]", "loss=ce,nll")
    done = command.run(tmp_path, *own, "trainer.max_epochs=50", f"root={tmp_path}")
    assert done.code == 0, done.stderr
    assert "Validation chooses loss=" in done.stdout
    assert all(run.data.metrics["test/accuracy"] == 1 for run in command.children(tmp_path))


def test_the_command_says_in_one_line_what_is_wrong_and_tracks_nothing(tmp_path: Path):
    write(tmp_path / "own", *TWO_CLASSES)
    (tmp_path / "own/cat/notes.txt").write_text("no image")
    done = command.run(
        tmp_path, "-m", "data=images", "data.path=own", "loss=ce,nll", f"root={tmp_path}"
    )
    assert done.code == 1
    assert len(done.errors) == 1, done.stderr
    assert "own/cat/notes.txt: is no image that can be read" in done.errors[0]
    assert command.nothing_tracked(tmp_path)
