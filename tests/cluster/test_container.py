"""The image: built, and run as people run it; what it leaves, and what its limits do."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests import command
from tests.cluster.containers import CA, Engine
from tests.command import CHECKOUT, Done, wait_until

pytestmark = pytest.mark.cluster

MAX_MB = 2500

NUM_CORES = "from pipeline.training.workers import num_cores; print(num_cores())"

RUN = re.findall(r"^docker run .*", (CHECKOUT / "docs" / "containers.md").read_text(), re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that any user may write to."""
    tmp_path.chmod(0o777)
    return tmp_path


def run(engine: Engine, project: Path, *words: str, options: tuple[str, ...] = ()) -> Done:
    """Run a container whose root is a folder of this machine."""
    place = ("--volume", f"{project}:{project}", "--workdir", str(project))
    return engine.call("podman", "run", "--rm", *place, *options, "pipeline", *words)


def inside(engine: Engine, script: str) -> str:
    """Return what a shell prints in the image."""
    return engine.must("podman", "run", "--rm", "--entrypoint", "sh", "pipeline", "-c", script)


def test_the_image_holds_what_it_needs_and_no_secret(engine: Engine):
    size = engine.must("podman", "image", "inspect", "--format", "{{.Size}}", "pipeline")
    if engine.has_small_torch:
        assert int(size) < MAX_MB * 1e6
    assert inside(engine, "ls /app").split() == ["conf", "hydra_plugins", "pipeline"]
    secrets = inside(engine, "ls --directory /run/secrets /etc/pip.conf /build 2>&1 || true")
    assert secrets.count("No such file or directory") == 3
    assert "psycopg" in inside(engine, "python -m pip list --format=freeze")
    assert CA.name not in engine.must("podman", "history", "--no-trunc", "pipeline")


def test_an_unknown_extra_is_named_before_anything_is_fetched(engine: Engine):
    typed = "docker build --build-arg EXTRAS=postgresql,slrum --tag other ."
    done = engine.type(typed, CHECKOUT)
    assert done.code != 0
    assert "EXTRAS=postgresql,slrum: must be some of " in done.stderr + done.stdout
    assert "Collecting" not in done.stdout


def test_a_sweep_inside_is_a_sweep_outside(engine: Engine, project: Path):
    """As the docs say it, by this user and by one that nobody knows."""
    assert RUN[0] in (CHECKOUT / "README.md").read_text()
    first, second = (line.replace(" pipeline ", " pipeline data=digits ") for line in RUN)
    done = engine.type(first, project)
    assert done.code == 0, done.stderr
    assert [run.info.status for run in command.children(project)] == ["FINISHED"] * 3
    outside = command.run(project, f"root={project}", module="pipeline.compare")
    assert (outside.code, "nll" in outside.stdout) == (0, True), outside.stderr
    engine.must("chown", "--recursive", "12345:12345", str(project))
    again = engine.type(second.replace("$(id -u):$(id -g)", "12345:12345"), project)
    assert again.stdout.startswith("3 finished, 0 to run\n"), again.stderr
    more = run(engine, project, "data=digits", options=("--read-only", "--user=12345:12345"))
    assert more.code == 0, more.stderr
    assert {run.info.status for run in command.runs(project)} == {"FINISHED"}


def test_a_folder_that_the_user_cannot_write_to_is_named(engine: Engine, project: Path):
    project.chmod(0o755)
    done = run(engine, project, "data=digits")
    assert done.code == 1
    assert f"error: root={project}: can't write in {project} (Permission denied)" in done.stderr


def test_options_of_ones_own(engine: Engine, project: Path):
    conf = project / "conf"
    shutil.copytree(CHECKOUT / "conf", conf)
    (conf / "loss" / "mine.yaml").write_text("name: huber\ndelta: 0.25\n")
    mine = ("--volume", f"{conf}:/app/conf:ro")
    done = run(engine, project, "--cfg", "job", "loss=mine", options=mine)
    assert (done.code, "delta: 0.25" in done.stdout) == (0, True), done.stderr


def test_a_killed_container_is_resumed(engine: Engine, project: Path):
    sweep = ("-m", "loss=mse,ce,nll", "data=digits", "trainer.max_epochs=400")
    often = ("trainer.checkpoint_every_epochs=5",)
    place = ("--volume", f"{project}:{project}", "--workdir", str(project))
    name = engine.must("podman", "run", "--detach", *place, "pipeline", *sweep, *often)
    wait_until(
        lambda: "epoch 20/" in engine.must("podman", "logs", name), "the container's 20th epoch"
    )
    engine.must("podman", "kill", name)
    assert engine.must("podman", "wait", name) == "137"
    done = run(engine, project, *sweep, *often, "resume=last")
    assert done.code == 0, done.stderr
    plan, left, *_ = done.stdout.splitlines()
    assert plan == "0 finished, 3 to run, 3 of them from a checkpoint"
    assert left.startswith("3 were still going on when their process was killed")
    runs = command.children(project)
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    for trained in runs:
        assert len(command.history(project, trained, "train/loss")) == 400


def test_too_little_memory_is_said_at_once(engine: Engine, project: Path):
    done = run(engine, project, "-m", "loss=mse,nll", "data=digits", options=("--memory=300m",))
    assert done.code == 1
    assert "data=digits: this container or job may use 300 MB of memory" in done.stderr
    assert command.nothing_tracked(project)


@pytest.mark.parametrize("cores", ["1", "2"])
def test_a_run_that_takes_too_much_memory_fails_and_says_so(
    engine: Engine, project: Path, cores: str
):
    """Whether it trains alone or beside another one."""
    grid = ("-m", "seed=0,1", "data=digits", "model=mlp", "model.hidden=[6000,6000]")
    limits = ("--memory=650m", "--memory-swap=650m", f"--cpus={cores}")
    done = run(engine, project, *grid, "optimizer=adam", options=limits)
    assert done.code == 1
    assert "memory ran out: this container or job may use 650 MB." in done.stderr
    failed = command.children(project)
    assert [run.info.status for run in failed] == ["FAILED", "FAILED"]
    assert "Traceback" not in done.stderr
    assert command.parent(project).info.status == "FAILED"


def test_threads_follow_the_limit(engine: Engine, project: Path):
    ask = ("--entrypoint", "python", "pipeline", "-c", NUM_CORES)
    assert engine.must("podman", "run", "--rm", "--cpus=1", *ask) == "1"
    (project / "cpu.max").write_text("100000 100000\n")
    version_2 = f"--volume={project}:/sys/fs/cgroup:ro"
    assert engine.must("podman", "run", "--rm", version_2, *ask) == "1"
