"""compose.yaml as docs/containers.md starts it: a database, an MLflow server, a worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.cluster.containers import Engine
from tests.command import CHECKOUT, wait_until

pytestmark = pytest.mark.cluster

FILE = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())

DOCS = (CHECKOUT / "docs" / "containers.md").read_text()

PASSWORD, *TYPED = re.findall(r"^(?:export|docker compose) .*", DOCS, re.MULTILINE)

DATABASE = """
FROM docker.io/library/python:3.11-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql
COPY start.sh /start.sh
VOLUME /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
ENTRYPOINT ["sh", "-eu", "/start.sh"]
"""
"""Debian's PostgreSQL in place of the image that compose.yaml names, with the same settings."""

START = """
listen="-k /tmp -c fsync=off -c listen_addresses"
as_postgres() { runuser --preserve-environment --user postgres -- "$@"; }
chown postgres: $PGDATA
if [ ! -f $PGDATA/PG_VERSION ]; then
    echo "$POSTGRES_PASSWORD" > /tmp/password
    chmod 644 /tmp/password
    as_postgres initdb -U "$POSTGRES_USER" -E UTF8 --auth=scram-sha-256 --pwfile=/tmp/password
    echo "host all all all scram-sha-256" >> $PGDATA/pg_hba.conf
    as_postgres pg_ctl -w -o "$listen=" start
    export PGPASSWORD=$POSTGRES_PASSWORD
    createdb -h /tmp -U "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
    as_postgres pg_ctl -w stop
fi
exec runuser --preserve-environment --user postgres -- postgres $listen=*
"""

COUNT = "SELECT status, count(*) FROM runs GROUP BY status"


def make_database_image(engine: Engine, folder: Path) -> None:
    (folder / "Dockerfile").write_text(DATABASE)
    (folder / "start.sh").write_text(START)
    name = f"docker.io/library/{FILE['services']['database']['image']}"
    engine.must("buildah", "bud", "--pull-never", "--tag", name, str(folder), timeout_s=300)


def test_nothing_is_published_beyond_this_machine():
    published = [port for service in FILE["services"].values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:5000:5000"]


def test_a_missing_password_is_named(engine: Engine):
    done = engine.type("docker compose config", CHECKOUT)
    assert done.code != 0
    assert "DATABASE_PASSWORD is missing a value: say which password" in done.stderr


def test_a_sweep_on_the_server(engine: Engine, tmp_path: Path):
    """Every command of the docs; for health, which systemd would ask for, we ask ourselves."""
    make_database_image(engine, tmp_path)
    up, worker, down = TYPED[:3]
    with engine.network() as within:

        def typed(line: str) -> str:
            return engine.must(*within, "bash", "-c", f"{PASSWORD}; {line}", timeout_s=300)

        typed(up.replace(" --wait", ""))
        for name in ("database", "mlflow"):
            asked = (*within, "podman", "healthcheck", "run", f"pipeline_{name}_1")
            wait_until(lambda it=asked: engine.call(*it).code == 0, f"{name} is healthy", 120)
        said = typed(worker.replace("range(0,5)", "range(0,2)") + " data=digits")
        assert "loss=nll" in said
        select = ("psql", "--host=/tmp", "--username=mlflow", "--no-align", "--tuples-only")
        exec_in_database = ("podman", "exec", "--env=PGPASSWORD=choose-one", "pipeline_database_1")
        counts = engine.must(*within, *exec_in_database, *select, f"--command={COUNT}", "mlflow")
        assert counts == "FINISHED|7"
        format_ = "--format={{.Mountpoint}}"
        folder = Path(engine.must("podman", "volume", "inspect", format_, "pipeline_artifacts"))
        assert len(list(folder.glob("artifacts/*/*/artifacts/weights.safetensors"))) == 6
        typed(down)
        ours = ("podman", "ps", "--all", "--quiet", "--filter=name=pipeline_")
        wait_until(lambda: engine.must(*within, *ours) == "", "every container is gone")
