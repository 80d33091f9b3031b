"""deploy/kubernetes/: valid, and its pods do what they should when Podman runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import command
from tests.cluster.containers import Engine
from tests.command import CHECKOUT
from tests.mlflow_server import Server

pytestmark = pytest.mark.cluster

FOLDER = CHECKOUT / "deploy" / "kubernetes"

VALIDATE = Path(sys.executable).parent / "kubernetes-validate"


def is_valid(manifest: Path) -> bool:
    return subprocess.run([VALIDATE, "--strict", manifest], check=False).returncode == 0


def read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


@pytest.mark.parametrize("name", ["job.yaml", "kueue.yaml", "project.yaml"])
def test_a_manifest_is_what_kubectl_apply_accepts(name: str, tmp_path: Path):
    assert is_valid(FOLDER / name)
    wrong = tmp_path / name
    wrong.write_text((FOLDER / name).read_text().replace("spec:", "spce:"))
    assert not is_valid(wrong)
    docs = (CHECKOUT / "docs" / "containers.md").read_text()
    assert name in docs
    assert "kubectl apply -f deploy/kubernetes/project.yaml" in docs


def test_kueue_gets_the_same_job():
    (job,), (queued,) = read("job.yaml"), read("kueue.yaml")
    assert queued["metadata"].pop("labels") == {"kueue.x-k8s.io/queue-name": "pipeline"}
    assert queued["spec"].pop("suspend") is True
    assert queued == job


def play(engine: Engine, folder: Path, index: int, settings: dict[str, str]) -> tuple[str, str]:
    """Run the pod of an index as the Job's controller makes it; return its exit code and logs."""
    (job,), (config, _) = read("job.yaml"), read("project.yaml")
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pipeline-{index}"},
        **job["spec"]["template"],
    }
    (container,) = pod["spec"]["containers"]
    container["env"] = [{"name": "JOB_COMPLETION_INDEX", "value": str(index)}]
    config["data"] |= settings
    manifest = folder / f"pod-{index}.yaml"
    manifest.write_text("---\n".join(json.dumps(part) + "\n" for part in (config, pod)))
    engine.must("podman", "kube", "play", "--network=host", str(manifest))
    name = f"pipeline-{index}-pipeline"
    code = engine.must("podman", "wait", name)
    logs = engine.must("podman", "logs", name)
    engine.must("podman", "pod", "rm", "--force", f"pipeline-{index}")
    return code, logs


def test_pods_share_a_grid_and_train_nothing_twice(engine: Engine, tmp_path: Path):
    with Server(tmp_path) as server:
        settings = {
            "GRID": "loss=mse,nll data=digits",
            "SEEDS_PER_POD": "2",
            "MLFLOW": server.uri,
        }
        for index in (0, 1):
            code, logs = play(engine, tmp_path, index, settings)
            assert code == "0", logs
        code, logs = play(engine, tmp_path, 1, settings)
        assert (code, "4 finished, 0 to run" in logs) == ("0", True), logs
        runs = command.runs(server.client)
        assert [run.info.status for run in runs] == ["FINISHED"] * (2 + 8)
        compared = ("mnist", f"tracking.uri={server.uri}", "--json")
        done = command.run(tmp_path, *compared, module="pipeline.compare")
        assert [row["n"] for row in json.loads(done.stdout)["rows"]] == [4, 4]
