"""The script that takes README's pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from tests import command

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 250_000


def test_the_readmes_pictures_can_be_taken_again(tmp_path: Path):
    words = (f"--output={tmp_path}", "seed=0,1", "trainer.max_epochs=1", "trainer=cpu")
    done = command.run(command.CHECKOUT, *words, module="docs.screenshots")
    assert done.code == 0, done.stderr
    kept = command.CHECKOUT / "docs" / "screenshots"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept.iterdir()}
    for path in tmp_path.iterdir():
        with Image.open(path) as picture, Image.open(kept / path.name) as readmes:
            assert picture.size == readmes.size
            assert len(picture.convert("RGB").getcolors(2**20) or []) > 50, "nothing is drawn"


def test_the_readme_shows_every_picture_and_none_is_heavy():
    readme = (command.CHECKOUT / "README.md").read_text()
    for path in (command.CHECKOUT / "docs" / "screenshots").iterdir():
        assert f"docs/screenshots/{path.name}" in readme
        assert path.stat().st_size < MAX_BYTES
