"""docs/cluster.md: every command in it, in its order, on real clusters."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests import command
from tests.cluster.ray import Ray
from tests.cluster.slurm import Slurm
from tests.cluster.sweeps import LIMIT_S
from tests.test_readme import ELSEWHERE, NOT_RUN, commands

pytestmark = pytest.mark.cluster

PAGE = "docs/cluster.md"
KNOWN = (*ELSEWHERE, *NOT_RUN)
TYPED = [typed for typed, page in commands() if page == PAGE and not typed.startswith(KNOWN)]
SMALL = ("trainer.max_epochs=1", "data.num_train=200", "data.num_val=100")


def test_every_command_works_as_it_is_written(slurm: Slurm, ray: Ray, tmp_path: Path):
    """On digits and for an epoch, so that it is quick."""
    assert TYPED
    for typed in TYPED:
        words = shlex.split(typed)
        space = ray.space if "hydra/launcher=ray" in words else slurm.space
        small = ["data=digits", *SMALL] if words[2] == "pipeline" else []
        said = [*small, f"root={tmp_path}", *words[3:]]
        enter = space.enter
        done = command.run(tmp_path, *said, module=words[2], before=enter, limit_s=LIMIT_S)
        assert done.code == 0, f"{typed}: {done.stdout}{done.stderr}"
        last = done.stdout.splitlines()[-1]
        assert "pipeline.compare" in last or "pipeline.watch" in last or "loss=" in done.stdout
