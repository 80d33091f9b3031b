"""`python -m pipeline.predict` on images: what a trained network sees in image files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.data.digits import read_digits
from tests import command
from tests.command import Done

NUM_IMAGES = 60


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    arrays, _ = read_digits()
    return arrays[2][:NUM_IMAGES]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> Path:
    root = tmp_path_factory.mktemp("predict")
    done = command.train(root, "-m", "loss=mse,nll", "trainer.max_epochs=20")
    assert done.code == 0, done.stderr
    (root / "small").mkdir()
    (root / "large").mkdir()
    for number, image in enumerate(images):
        bright = np.rint(image.astype(float) * 255 / 16).astype(np.uint8)
        Image.fromarray(bright).save(root / "small" / f"{number}.png")
        dark = Image.fromarray(255 - bright).resize((160, 160), Image.Resampling.BICUBIC)
        sheet = Image.new("RGB", (400, 300), "white")
        sheet.paste(dark, (30 + number, 10 + number))
        sheet.save(root / "large" / f"{number}.png")
    return root


def predict(root: Path, *arguments: str) -> Done:
    return command.run(root, *arguments, f"root={root}", module="pipeline.predict")


def files(root: Path, folder: str) -> list[str]:
    return [str(root / folder / f"{number}.png") for number in range(NUM_IMAGES)]


def predicted(root: Path, folder: str) -> list[dict[str, Any]]:
    done = predict(root, "last", *files(root, folder), "--json")
    assert (done.code, done.stderr) == (0, "")
    return json.loads(done.stdout)["images"]


def test_images_of_the_networks_own_size_get_its_own_outputs(root: Path, images: np.ndarray):
    outputs = pipeline.network("last", root=root).outputs(images)
    found = predicted(root, "small")
    told = np.array([list(image["outputs"].values()) for image in found])
    assert told == pytest.approx(outputs, abs=1e-6)
    assert [image["class"] for image in found] == [str(at) for at in outputs.argmax(1)]
    assert not any(image["turned_round"] for image in found)


def test_large_ones_in_colour_dark_on_light_are_mostly_seen_alike(root: Path, images: np.ndarray):
    own = pipeline.network("last", root=root).outputs(images).argmax(1)
    found = predicted(root, "large")
    assert all(image["turned_round"] for image in found)
    assert np.mean([int(image["class"]) for image in found] == own) > 0.8


def test_a_line_says_the_class_how_probable_and_that_it_was_turned(root: Path):
    file = files(root, "large")[0]
    done = predict(root, file)  # of the last sweep
    line, source = done.stdout.splitlines()
    assert line.startswith(f"{file}: ")
    assert "%), then " in line
    assert line.endswith("dark on light, so turned round")
    assert "trained on digits" in source


def test_what_the_network_sees_can_be_kept(root: Path, tmp_path: Path):
    predict(root, files(root, "small")[3], "--seen", str(tmp_path / "seen"))
    kept = np.asarray(Image.open(tmp_path / "seen" / "3.png"))
    assert np.array_equal(kept, np.asarray(Image.open(files(root, "small")[3])))


def test_the_readable_ones_are_answered_and_the_others_named(root: Path):
    good, missing = files(root, "small")[0], str(root / "missing.png")
    done = predict(root, missing, good)
    assert done.code == 1
    assert done.stdout.startswith(f"{good}: ")
    assert done.errors == [f"error: {missing}: can't be read (No such file or directory)."]


def test_a_name_with_a_dot_is_a_name(root: Path):
    done = predict(root, "optimizer.lr=0.1", files(root, "small")[0])
    assert done.stderr.startswith("error: optimizer.lr=0.1: there is no such run")


def test_no_image_at_all_is_an_error(root: Path):
    assert predict(root, "last").errors == [
        "error: no file: name at least one, such as three.png or new.csv."
    ]


def test_a_table_is_no_image(root: Path, tmp_path: Path):
    table = tmp_path / "new.csv"
    table.write_text("a,b\n1,2\n")
    done = predict(root, str(table))
    (error,) = done.errors
    assert done.code == 1
    assert "is no image" in error
    assert error.endswith("The network reads images of 8 x 8 pixels.")


def test_images_have_no_rows_to_write(root: Path):
    done = predict(root, files(root, "small")[0], "--output", "out.csv")
    assert done.errors == [
        "error: --output out.csv: this network reads images. Leave --output out."
    ]
