"""A sweep whose jobs run in containers on a Slurm cluster, as docs/cluster.md says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import command
from tests.cluster.containers import Engine
from tests.cluster.namespace import need
from tests.cluster.slurm import Slurm
from tests.cluster.sweeps import SHORT, Sweeps

pytestmark = pytest.mark.cluster

PAGE = command.CHECKOUT / "docs" / "cluster.md"


def test_jobs_run_in_containers(engine: Engine, slurm: Slurm, tmp_path: Path):
    """The image is the Dockerfile's; the nodes run it with Charliecloud, which Debian has."""
    need({"ch-run": "charliecloud", "ch-convert": "charliecloud"})
    page = PAGE.read_text()
    assert "`ch-convert pipeline.tar pipeline-image`" in page
    python = "ch-run --set-env --bind /shared pipeline-image -- python"
    assert python in page
    archive, image = tmp_path / "pipeline.tar", tmp_path / "pipeline-image"
    engine.must("podman", "save", "--output", str(archive), "pipeline", timeout_s=300)
    engine.must("ch-convert", str(archive), str(image), timeout_s=300)
    archive.unlink()
    root = tmp_path / "root"
    root.mkdir()
    python = python.replace("/shared", str(root)).replace("pipeline-image", str(image))
    launcher = ("hydra/launcher=slurm", f"hydra.launcher.python='{python}'")
    sweeps = Sweeps(slurm.space, launcher, root)
    done = sweeps.run(*SHORT, "hydra.launcher.members_per_job=3")
    assert done.code == 0, done.stdout + done.stderr
    assert sweeps.statuses() == ["FINISHED"] * 6
    ask = ("--entrypoint", "python", "pipeline", "-c", "import torch; print(torch.__version__)")
    version = engine.must("podman", "run", "--rm", *ask)
    for run in command.children(root):
        said = (command.artifacts(run) / "provenance.yaml").read_text()
        assert f"torch: {version}\n" in said
