"""`python -m pipeline.predict [SWEEP|RUN] FILE …`: what a trained network says of new examples.

Of a sweep, the run that validation chose answers. A network takes what it was trained on:
  images: image files of any size; where each image of the data set shows one thing, centred and
      light on dark, what a file shows is centred and turned round alike;
  a table: a .csv, .tsv or .parquet file with the columns that it reads, and others if you like;
  numbers: an .npz file with an array x, or a .csv file of numbers without names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import make_parser, parse
from pipeline.data.layout import Images
from pipeline.data.own.opening import FORMATS
from pipeline.errors import UserError
from pipeline.tools.predict.images import tell_images
from pipeline.tools.predict.rows import tell_rows
from pipeline.tools.predict.telling import Teller
from pipeline.tracking.lookup import LAST, open_tracked
from pipeline.trained.stored import fetch_weights

__all__ = ["main"]

FILES = (*FORMATS, ".npz")


def main() -> None:
    """Say of each example which class it is; exit 1 if a file can't be read."""
    arguments, place = parse(_parser())
    wanted, paths = _divided(arguments.words, place.named or LAST)
    if not paths:
        sys.exit("error: no file: name at least one, such as three.png or new.csv.")
    try:
        store = open_tracked(place)
        run = choose_run(store, wanted).run
        teller = Teller(run, fetch_weights(store, run).network(), as_json=arguments.json)
        layout = teller.network.layout
        if isinstance(layout, Images):
            _require_unset("--output", arguments.output, "images")
            tell_images(teller, layout, paths, seen=arguments.seen)
        else:
            _require_unset("--seen", arguments.seen, "rows")
            tell_rows(teller, layout, paths, output=arguments.output)
    except UserError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("predict", __doc__)
    add = parser.add_argument
    parser.usage = (
        f"{parser.prog} [SWEEP|RUN] FILE [FILE ...] [--json] [--output FILE] [--seen FOLDER]"
    )
    add("words", nargs="+", metavar="[SWEEP|RUN] FILE", help="default: last")
    add("--json", action="store_true", help="all classes, for machines")
    add(
        "--output",
        type=Path,
        metavar="FILE.csv",
        help="of a table or numbers: write the rows there, with the outputs as further columns",
    )
    add(
        "--seen",
        type=Path,
        metavar="FOLDER",
        help="of images: keep them there as the network sees them",
    )
    return parser


def _require_unset(option: str, value: Path | None, what: str) -> None:
    if value is not None:
        raise UserError(f"{option} {value}: this network reads {what}. Leave {option} out.")


def _divided(words: Sequence[str], otherwise: str) -> tuple[str, list[Path]]:
    """Return the sweep or run and the files; a first word that is a file is one of these, too."""
    first = Path(words[0])
    is_file = first.is_file() or first.suffix.lower() in {*Image.registered_extensions(), *FILES}
    wanted, files = (otherwise, words) if is_file else (words[0], words[1:])
    return wanted, [Path(file) for file in files]


if __name__ == "__main__":
    main()
