"""README and docs: their figures are those that were measured, their commands work as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.readme import README, RESULTS, SECTION, in_place, table
from docs.answer import SECTION as ANSWER
from docs.answer import answer
from docs.scaling import PAGE, up_to_date
from tests import command
from tests.command import CHECKOUT, Done

PAGES = (README, *sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "mlruns" / "README.md")

STARTS = (
    *("python -m ", "pipeline ", "mlflow ", "make ", "pip ", 'eval "'),
    *("docker ", "podman ", "ch-convert ", "kubectl "),
)
"""How a command begins."""

ELSEWHERE = {
    "make": ".ci/run",
    "eval": "tests/config/test_commands.py",
    "docker build": "tests/cluster/conftest.py",
    "docker run": "tests/cluster/test_container.py",
    "podman": "tests/cluster/test_container_on_slurm.py",
    "ch-convert": "tests/cluster/test_container_on_slurm.py",
    "python -m pipeline -m loss=mse,ce,nll root=/shared": (
        "tests/cluster/test_container_on_slurm.py"
    ),
    "docker compose": "tests/cluster/test_compose.py",
    "kubectl apply": "tests/cluster/test_kubernetes.py",
    "python -m pipeline.compare mnist": "tests/cluster/test_kubernetes.py",
    "python -m benchmarks": "Makefile",
    "python -m docs": "tests/browser/test_screenshots.py",
    "python -m pipeline.reproduce": "tests/reproduce/test_main.py",
    "python -m pipeline.theory": "tests/theory/test_main.py",
    "python -m pipeline -m data=table": "tests/test_own_data.py",
    "python -m pipeline.ui": "tests/tools/test_ui.py",
    "mlflow ui": "tests/tools/test_ui.py",
    "mlflow models serve": "tests/tools/test_promote.py",
    "mlflow runs restore": "tests/tools/test_ui.py",
    "python -m pipeline tracking=server": "tests/tracking/test_server.py",
}
"""Commands that serve, install or take long, and the file that runs them."""

IN_ORDER = {
    "docs/cluster.md": "tests/cluster/test_docs.py",
    "docs/own_data.md": "tests/test_own_data.py",
}
"""Pages whose commands follow from each other or need a cluster, and the file that runs them."""

NOT_RUN = ("pip install",)
"""Commands that need a registry while the tests run; `make` has installed the same with the extra
`test`."""

PLACEHOLDER, MEANT = "-m …", "-m loss=mse,ce,nll"


def commands() -> Iterator[tuple[str, str]]:
    """Every command with the page that has it."""
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                yield from _command(page, line)
        for span in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            yield from _command(page, span)


def _command(page: Path, text: str) -> Iterator[tuple[str, str]]:
    typed = text.partition("  #")[0].strip()
    if typed.startswith(STARTS) or typed == "python -m pipeline":
        yield typed, str(page.relative_to(CHECKOUT))


ALL = dict(commands())
RUN_HERE = [
    typed
    for typed, page in ALL.items()
    if page not in IN_ORDER and not typed.startswith((*ELSEWHERE, *NOT_RUN))
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep, in which a new user follows the page."""
    root = tmp_path_factory.mktemp("user")
    done = command.train(root, "-m", "loss=mse,ce,nll", "seed=range(0,5)")
    assert done.code == 0, done.stderr
    stroke = np.zeros((28, 28), dtype=np.uint8)
    stroke[4:24, 12:16] = 255
    Image.fromarray(stroke).save(root / "three.png")
    return root


@pytest.mark.parametrize("typed", RUN_HERE)
def test_a_command_works_as_it_is_written(typed: str, root: Path, tmp_path: Path):
    """On digits and for an epoch, so that it is quick."""
    done = _run(shlex.split(typed.replace(PLACEHOLDER, MEANT)), root, tmp_path)
    assert (done.code, bool(done.stdout)) == (0, True), done.stderr
    assert "Traceback" not in done.stderr


def _run(words: list[str], root: Path, fresh: Path) -> Done:
    """Run a command as somebody types it: training in a fresh folder, the others where runs are."""
    module = "pipeline" if words[0] == "pipeline" else words[2]
    arguments = words[1:] if words[0] == "pipeline" else words[3:]
    trains = module == "pipeline" and not {"--help", "compare"} & set(arguments)
    if not trains:
        place = [] if "--help" in arguments or "convention" in module else [f"root={root}"]
        return command.run(root, *arguments, *place, module=module)
    small = ["trainer.max_epochs=1", "data.num_train=200", "data.num_val=100"]
    trials = ["hydra.sweeper.n_trials=2"] if "hydra/sweeper=optuna" in arguments else []
    typed = [word for word in arguments if not word.startswith("data.num_")]  # digits are few
    return command.train(fresh, *small, *trials, *typed)


@pytest.mark.parametrize(("start", "file"), ELSEWHERE.items())
def test_a_command_that_is_run_elsewhere_is_named_there(start: str, file: str):
    said = start.removeprefix("python -m ").split()[-1].split("=")[0]
    assert said in (CHECKOUT / file).read_text()
    assert any(typed.startswith(start) for typed in ALL), "no page has it any more"


def test_the_numbers_in_the_readme_are_those_that_were_measured():
    text = README.read_text()
    assert in_place(text, SECTION, table(RESULTS)) == text


def test_the_numbers_of_the_page_on_scaling_are_those_that_were_measured():
    assert up_to_date(PAGE.read_text(), RESULTS) == PAGE.read_text()


def test_the_answer_in_the_readme_is_what_the_command_says(mnist_root: Path):
    """Word for word; the numbers may differ by rounding from one processor to the next."""
    told = answer([f"data.root={mnist_root}", "trainer=cpu"])
    shown = README.read_text().partition(f"<!-- {ANSWER} -->\n```\n")[2].partition("```")[0]
    assert _words(shown) == _words(told)


def _words(text: str) -> list[str]:
    masked = re.sub(r"[−+]?\d+(\.\d+)?", "#", re.sub("─+", "─", text))
    return masked.split()
