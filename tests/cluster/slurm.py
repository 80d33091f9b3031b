"""A real Slurm cluster of two nodes on this machine, with accounting, in a private namespace."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.namespace import NODES, Namespace, need, private_namespace
from tests.command import wait_until

PACKAGES = {
    "slurmctld": "slurm-wlm",
    "munged": "munge",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "mariadb-install-db": "mariadb-server-core",
    "ip": "iproute2",
}

CONTROLLER = """
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=6
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
SlurmctldTimeout=10
SlurmdTimeout=10
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=0
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStoragePass={folder}/munge.sock
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=short Nodes=ALL Default=NO MaxTime=1 State=UP PriorityTier=1
"""

NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=8000 "
    "State=UNKNOWN\n"
)

ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdAddr=127.0.0.1
DbdHost=localhost
DbdPort=16819
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=13306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""

RIGHTS = """
create database slurm_acct_db;
create user slurm@localhost identified by 'slurm';
create user slurm@'127.0.0.1' identified by 'slurm';
grant all on slurm_acct_db.* to slurm@localhost;
grant all on slurm_acct_db.* to slurm@'127.0.0.1';
"""


@dataclass(frozen=True)
class Slurm:
    """A cluster that runs."""

    space: Namespace

    def states(self) -> dict[str, str]:
        """Return the state of every job, by its id, as squeue knows it."""
        lines = self.space.call("squeue", "--states=all", "--array", "-h", "-o", "%i %T")
        return dict(line.split() for line in lines.splitlines())

    def nodes(self) -> dict[str, str]:
        """Return the state of every node."""
        lines = self.space.call("sinfo", "-h", "--Node", "-p", "main", "-o", "%N %t")
        return dict(line.split() for line in lines.splitlines())

    def start_node(self, name: str) -> None:
        """Start the daemon of a node, in a process space of its own, so that all of it can die."""
        space = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        log = self.space.folder / f"{name}.log"
        self.space.start(*space, "slurmd", "-D", "-N", name, log=log)

    def lose_node(self, name: str) -> None:
        """Kill a node's daemon and all that runs on it, as a power cut does."""
        found = subprocess.run(
            ["pgrep", "-f", f"^unshare .* slurmd -D -N {name}$"],
            capture_output=True,
            text=True,
            check=True,
        )
        for process in found.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    def is_ready(self) -> bool:
        """Return whether both nodes wait for work."""
        states = self.nodes()
        return len(states) == len(NODES) and set(states.values()) == {"idle"}

    def wait_ready(self) -> None:
        """Wait until both nodes wait for work."""
        wait_until(self.is_ready, f"idle nodes: {self.nodes()}", 60)

    def cancel_all(self) -> None:
        """End what is left of a test."""
        self.space.call("scancel", "--user=root")
        self.space.call("scancel", "--user=root", "--signal=KILL")
        for name in NODES:
            if "down" in self.nodes()[name]:
                self.start_node(name)
        self.wait_ready()


@contextmanager
def slurm_cluster() -> Generator[Slurm]:
    """Run a cluster while the block lasts; skips the test where it can't."""
    need(PACKAGES)
    with private_namespace() as space:
        folder = space.folder
        space.variables.update(
            SLURM_CONF=f"{folder}/slurm.conf",
            PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin",
            USER="root",  # as of any login
        )
        _configure(folder)
        _start_accounting(space)
        for words in (
            ("add", "cluster", "mini"),
            ("add", "account", "lab", "cluster=mini"),
            ("add", "user", "root", "account=lab"),
        ):
            space.call("sacctmgr", "-i", *words)
        space.call("slurmctld", "-f", f"{folder}/slurm.conf")
        cluster = Slurm(space)
        for name in NODES:
            cluster.start_node(name)
        cluster.wait_ready()
        yield cluster


def _configure(folder: Path) -> None:
    host = socket.gethostname().partition(".")[0]
    lines = [
        NODE.format(name=name, host=host, port=17001 + number) for number, name in enumerate(NODES)
    ]
    text = CONTROLLER.format(folder=folder, host=host)
    before, partition, after = text.partition("PartitionName=main")
    (folder / "slurm.conf").write_text(before + "".join(lines) + partition + after)
    accounting = folder / "slurmdbd.conf"
    accounting.write_text(ACCOUNTING.format(folder=folder))
    accounting.chmod(0o600)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    for name in ("state", *(f"spool/{name}" for name in NODES)):
        (folder / name).mkdir(parents=True)


def _start_accounting(space: Namespace) -> None:
    """Start what proves who asks (munge), the database, and Slurm's own daemon for it."""
    folder = space.folder
    space.call(
        "munged",
        f"--key-file={folder}/munge.key",
        f"--socket={folder}/munge.sock",
        f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munge.seed",
    )
    data, sock = f"--datadir={folder}/mysql", f"--socket={folder}/mysql.sock"
    own = ("--no-defaults", "--user=root", data)
    space.call("mariadb-install-db", *own, "--auth-root-authentication-method=normal")
    space.start(
        "mariadbd",
        *own,
        sock,
        "--bind-address=127.0.0.1",
        "--port=13306",
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=32M",
        "--innodb-lock-wait-timeout=900",
        log=folder / "mariadbd.log",
    )
    wait_until((folder / "mysql.sock").exists, "the database's socket")
    space.call("mariadb", "--no-defaults", "-uroot", sock, "-e", RIGHTS)
    space.call("slurmdbd")
    _wait_for_port(space, 16819)


def _wait_for_port(space: Namespace, port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if f":{port} " in space.call("ss", "-ltn"):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")
