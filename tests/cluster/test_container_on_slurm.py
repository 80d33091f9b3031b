"""A sweep whose jobs run in containers on a Slurm cluster, as docs/cluster.md says it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import command
from tests.cluster.containers import Engine
from tests.cluster.namespace import need
from tests.cluster.slurm import Slurm
from tests.cluster.sweeps import LIMIT_S

pytestmark = pytest.mark.cluster

PAGE = (command.CHECKOUT / "docs" / "cluster.md").read_text()

MAKE_IMAGE = re.findall(r"^(?:podman|ch-convert|rm) .*", PAGE, re.MULTILINE)
"""What makes a folder of the image's files, in which the nodes start Python."""

(SWEEP,) = re.findall(r"^python -m pipeline (.* root=/shared/root .*)", PAGE, re.MULTILINE)

SMALL = ("data=digits", "trainer.max_epochs=2", "hydra.launcher.members_per_job=2")


def test_jobs_run_in_containers(engine: Engine, slurm: Slurm, tmp_path: Path):
    """The image is the Dockerfile's; the nodes run it with Charliecloud, which Debian has."""
    need({"ch-run": "charliecloud", "ch-convert": "charliecloud"})
    assert len(MAKE_IMAGE) == 4
    for typed in MAKE_IMAGE:
        done = engine.type(typed.replace("/shared", str(tmp_path)), tmp_path, timeout_s=300)
        assert done.code == 0, done.stdout + done.stderr
    said = shlex.split(SWEEP.replace("/shared", str(tmp_path)))
    done = command.run(tmp_path, *SMALL, *said, before=slurm.space.enter, limit_s=LIMIT_S)
    assert done.code == 0, done.stdout + done.stderr
    runs = command.children(tmp_path / "root")
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    ask = ("--entrypoint", "python", "pipeline", "-c", "import torch; print(torch.__version__)")
    version = engine.must("podman", "run", "--rm", *ask)
    for run in runs:
        said = (command.artifacts(run) / "provenance.yaml").read_text()
        assert f"torch: {version}\n" in said
