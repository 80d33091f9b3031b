"""`python -m pipeline.promote [SWEEP|RUN]`: the chosen run becomes a registered MLflow model.

Of a sweep that is the run that the validation examples choose: in the cell with the highest mean,
the best run. The model takes raw inputs (a table's columns by name, numbers or pixels), scales them
itself and drops nothing.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys

from pipeline.comparison.answer import Answer
from pipeline.comparison.chosen import choose_run
from pipeline.config.arguments import make_parser, parse
from pipeline.config.options import listed
from pipeline.errors import UserError
from pipeline.report.answer import as_markdown
from pipeline.secrets import without_password
from pipeline.tools.promote.example import how_to_ask, what_it_takes
from pipeline.tools.promote.registry import register
from pipeline.tracking.lookup import LAST, open_tracked
from pipeline.tracking.record import RunResult
from pipeline.trained.classifier import Classifier
from pipeline.trained.stored import fetch_weights

__all__ = ["main"]

MAX_DESCRIPTION = 5_000
"""Characters that any of MLflow's stores takes."""

MAX_NAMED = 10
"""Classes that are named."""

PORT = 5001

EVIDENCE = ("config_hash", "data_hash", "code_hash", "git.commit", "mlflow.parentRunId")
"""Tags of the run that the model gets, too."""


def main() -> None:
    """Register the model; say which version it is and how to serve it."""
    arguments, place = parse(_parser())
    if not re.fullmatch(r"[\w.-]+", arguments.name or "-"):
        sys.exit(f"error: --name {arguments.name}: must be letters, digits, dots and dashes.")
    if not re.fullmatch(r"(?!latest$|v\d+$)[\w-]+", arguments.alias, re.IGNORECASE):
        sys.exit(
            f"error: --alias {arguments.alias}: must be letters, digits and dashes, and not "
            "latest or v1, v2, …, which MLflow keeps for itself."
        )
    try:
        store = open_tracked(place)
        choice = choose_run(store, arguments.wanted or place.named or LAST)
        network = fetch_weights(store, choice.run).network()
        name = arguments.name or f"{choice.run.params['data.name']}-classifier"
        number = register(
            store,
            choice.run,
            network,
            name=name,
            alias=arguments.alias,
            evidence=_evidence(choice.run),
            description=_description(choice.run, network, choice.answer),
        )
    except UserError as error:
        sys.exit(f"error: {error}")
    print(f"{name} version {number} is the {arguments.alias}: run {choice.run.run_id}")
    print(f"  {choice.run.name}")
    if choice.run.params.get("dropout.phase", "train") != "train":
        print("Served without dropout; the run's own test results were measured with it.")
    print("Serve it:")
    command = f"mlflow models serve -m models:/{name}@{arguments.alias} --env-manager local"
    uri = shlex.quote(without_password(store.uri))
    print(f"  MLFLOW_TRACKING_URI={uri} {command} --port {PORT}")
    print("Ask it:")
    print(f"  {how_to_ask(choice.run, network, f'http://127.0.0.1:{PORT}')}")
    print(f"It takes {what_it_takes(network.layout)} and returns {_told_outputs(network)}.")


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("promote", __doc__)
    add = parser.add_argument
    add("wanted", nargs="?", metavar="SWEEP|RUN", help="default: last")
    add("--name", help="of the registered model (default: DATA-classifier)")
    add("--alias", default="champion", help="of this version (default: champion)")
    return parser


def _evidence(run: RunResult) -> dict[str, str]:
    tags = {key: run.tags[key] for key in EVIDENCE if key in run.tags}
    measured = ("val/accuracy", "test/accuracy")
    metrics = {key: str(run.metrics[key]) for key in measured if key in run.metrics}
    return {**tags, **metrics, "data.name": run.params["data.name"]}


def _description(run: RunResult, network: Classifier, answer: Answer | None) -> str:
    """Return what the model is and why it was chosen."""
    told = (
        f"`{run.name}`, trained on {run.trained_on}. Takes "
        f"{what_it_takes(network.layout)} and returns {_told_outputs(network)}."
    )
    why = as_markdown(answer) if answer else "It was named, not chosen from a comparison."
    text = f"{told}\n\n{why}"
    return text if len(text) <= MAX_DESCRIPTION else text[: MAX_DESCRIPTION - 1] + "…"


def _told_outputs(network: Classifier) -> str:
    """Return what comes back, for people."""
    what = (
        "a probability for each class"
        if network.output == "softmax"
        else "a sigmoid output for each class, each for itself: they don't sum to 1"
    )
    return f"{what} ({listed(network.classes, MAX_NAMED)})"


if __name__ == "__main__":
    main()
