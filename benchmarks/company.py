"""Several commands on the same cores at once: how much longer an epoch takes in each.

    python -m benchmarks.company [--quick] [--rounds N] [--data FOLDER] [--before FOLDER]

Two people share a machine, or one starts a run beside a sweep. Claims, on 2 cores: an epoch of 28
runs takes at most 2.2 times as long in each of two sweeps at once as alone, 3.5 times in each of
three; an epoch of a single run beside a sweep at most 2.2 times as long as alone. With --before,
the same of another checkout, taking turns. To be quick, digits take the place of MNIST.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.timing import Options, machine, make_parser

STRENGTHS = "0,0.0001,0.0005,0.001,0.005,0.01,0.1"

SWEEP = ("-m", "regularizer=l1,l2", f"regularizer.strength={STRENGTHS}", "optimizer.lr=0.3,0.5")
SINGLE = ()
ENDLESS = "trainer.max_epochs=1000000"

EPOCH = re.compile(r"epoch (\d+)/.* ([0-9.]+) s$")

SCENES = {
    "a sweep alone": [SWEEP],
    "each of two sweeps": [SWEEP] * 2,
    "each of three sweeps": [SWEEP] * 3,
    "a single run alone": [SINGLE],
    "a single run beside a sweep": [SINGLE, SWEEP],
    "a single run beside two": [SINGLE, SWEEP, SWEEP],
}
"""The commands that run at the same time; those like the first are measured."""

NAMES = {
    "each of two sweeps": "two_sweeps",
    "each of three sweeps": "three_sweeps",
    "a single run beside a sweep": "single_run",
}
"""Of the ratios that are kept."""

ALONE = {"sweep": "a sweep alone", "single": "a single run alone"}


class CompanyOptions(Options):
    """What this benchmark can be told besides."""

    before: Path | None


@dataclass
class Trainee:
    """A command that trains until it is ended, and how long its epochs take."""

    process: subprocess.Popen[str]
    epochs: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When each was reported, and its seconds."""

    def listen(self) -> None:
        """Note the epochs as they are reported."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = EPOCH.search(line.rstrip())
            if found:
                self.epochs.append((time.monotonic(), float(found[2])))

    def median_since(self, moment: float) -> float:
        """Return the median seconds of the epochs that began after a moment."""
        return statistics.median(taken for at, taken in self.epochs if at - taken > moment)


def train(command: Sequence[str], checkout: Path, data: Sequence[str], root: str) -> Trainee:
    """Start a command of a checkout."""
    arguments = [*command, ENDLESS, "trainer=cpu", f"root={root}", *data]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    trainee = Trainee(process)
    threading.Thread(target=trainee.listen, daemon=True).start()
    return trainee


def measure_scene(
    commands: Sequence[Sequence[str]], checkout: Path, data: Sequence[str], seconds: float
) -> float:
    """Run commands side by side; return the slowest median epoch of those like the first.

    Args:
        commands: what to type after `python -m pipeline`.
        checkout: whose code runs.
        data: overrides that say which data to use.
        seconds: to look at once all of them train.
    """
    with tempfile.TemporaryDirectory() as folder:
        trainees: list[Trainee] = []
        try:
            for number, command in enumerate(commands):
                root = f"{folder}/{number}"
                trainees.append(train(command, checkout, data, root))
            _wait(trainees, 2, since=0.0)
            started = time.monotonic()
            time.sleep(seconds)
            _wait(trainees, 3, since=started)
            alike = [it for it, own in zip(trainees, commands, strict=True) if own == commands[0]]
            return max(trainee.median_since(started) for trainee in alike)
        finally:
            for trainee in trainees:
                trainee.process.terminate()
            for trainee in trainees:
                trainee.process.wait()


def _wait(trainees: Sequence[Trainee], num_epochs: int, since: float) -> None:
    """Wait until all have trained some epochs since a moment."""
    while any(sum(at - s > since for at, s in it.epochs) < num_epochs for it in trainees):
        for trainee in trainees:
            if trainee.process.poll() is not None:
                sys.exit(f"a command ended with {trainee.process.returncode} instead of training")
        time.sleep(0.05)


def main() -> None:
    """Print a row per scene."""
    parser = make_parser(__doc__, rounds=3)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout")
    options = parser.parse_args(namespace=CompanyOptions())
    here = Path(__file__).parent.parent
    checkouts = {"": here} if options.before is None else {"": here, " (before)": options.before}
    # Epochs are told in hundredths of a second, so those of digits have to be made longer.
    data = [*options.data_overrides, *(["data.batch_size=2"] if options.quick else [])]
    seconds = 1.0 if options.quick else 6.0
    taken: dict[str, list[float]] = {}
    for _ in range(options.num_rounds):
        for scene, commands in SCENES.items():
            for which, checkout in checkouts.items():
                one = measure_scene(commands, checkout, data, seconds)
                taken.setdefault(scene + which, []).append(one)
    numbers: dict[str, float] = {}
    print(machine())
    print(f"{'an epoch of':38}{'median':>10}{'to alone':>10}")
    for scene, values in taken.items():
        which = scene.partition(" (")[2]
        alone = ALONE["single" if "single" in scene else "sweep"] + (f" ({which}" if which else "")
        ratio = statistics.median(values) / statistics.median(taken[alone])
        print(f"{scene:38}{statistics.median(values):9.3f}s{ratio:10.2f}")
        if scene in NAMES:
            numbers[NAMES[scene]] = ratio
    options.keep("company", numbers)


if __name__ == "__main__":
    main()
