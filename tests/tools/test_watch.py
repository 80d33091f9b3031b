"""`python -m pipeline.watch`: a sweep that another process trains, or has trained."""

from __future__ import annotations

from pathlib import Path

from tests import command

GRID = ("-m", "trainer.max_epochs=1,2000000", "hydra.launcher.num_workers=1")


def watch(root: Path, *arguments: str) -> command.Done:
    return command.run(root, *arguments, f"root={root}", module="pipeline.watch")


def test_a_sweep_that_has_ended_shows_its_answer(tmp_path: Path):
    assert command.train(tmp_path, "-m", "loss=mse,ce", "trainer.max_epochs=1").code == 0
    done = watch(tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert "Validation chooses" in done.stdout


def test_a_sweep_that_runs_is_watched_to_its_end(tmp_path: Path):
    words = ("data=digits", "trainer=cpu", f"root={tmp_path}", *GRID)
    with command.started(tmp_path, *words) as process:
        command.read_until(process, "epoch 3/")
        with command.started(tmp_path, f"root={tmp_path}", module="pipeline.watch") as watching:
            command.read_until(watching, "another process is working on it; runs: 1 finished")
            process.terminate()
            process.communicate()
            said, error = watching.communicate()
    assert watching.returncode == 1
    assert "val" in said
    assert "1 run isn't finished. To go on: python -m pipeline -m" in error


def test_nobody_working_on_it_is_said_with_the_command_that_goes_on(tmp_path: Path):
    words = ("data=digits", "trainer=cpu", f"root={tmp_path}", *GRID)
    with command.started(tmp_path, *words) as process:
        command.read_until(process, "epoch 3/")
    done = watch(tmp_path)
    assert done.code == 1
    assert "nobody is working on it. To go on: python -m pipeline -m" in done.stderr
    assert "resume=" in done.stderr


def test_a_single_run_is_no_sweep(tmp_path: Path):
    assert command.train(tmp_path, "trainer.max_epochs=1").code == 0
    done = watch(tmp_path, command.runs(tmp_path)[0].info.run_id)
    assert done.code == 1
    assert "is a single run. Say a sweep, or `last`." in done.stderr
