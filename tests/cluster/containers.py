"""Containers for real: Podman and Buildah with a store of their own, and the project's image.

There is no registry to fetch images from, so the Dockerfile's base image is made of Debian's
packages; the Dockerfile itself is built as it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command import CHECKOUT, Done, wait_until
from tests.warm import environment

PROGRAMS = (
    *("buildah", "podman", "runc", "catatonit", "debootstrap", "unshare", "nsenter", "ip"),
    *("/usr/lib/podman/netavark", "/usr/lib/podman/aardvark-dns"),
)

BASE_PACKAGES = "ca-certificates,python3,python3-venv,python-is-python3"

CA = Path("/etc/ssl/certs/ca-certificates.crt")

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/containers"
"""

CONTAINERS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
netns = "host"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

DOCKER = """#!/bin/sh
# What people type as docker, done by Podman and Buildah.
case "$1" in
build) shift; exec buildah bud --pull-never {build_arguments} "$@" ;;
compose) shift; exec {podman_compose} "$@" ;;
*) exec podman "$@" ;;
esac
"""


def require_programs() -> None:
    """Skip the test where there are no containers."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.getuid() != 0 or missing:
        pytest.skip(f"containers need root and {', '.join(missing or PROGRAMS)}")


class Engine:
    """A container engine that shares nothing with the machine's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self._write("storage.conf", STORAGE.format(folder=folder))
        self._write("containers.conf", CONTAINERS.format(folder=folder))
        self._write("registries.conf", 'unqualified-search-registries = ["docker.io"]\n')
        self._write(
            "bin/docker",
            DOCKER.format(
                build_arguments=shlex.join(self._build_arguments()),
                podman_compose=Path(sys.executable).parent / "podman-compose",
            ),
        ).chmod(0o755)
        self._environment = environment(
            CONTAINERS_STORAGE_CONF=f"{folder}/storage.conf",
            CONTAINERS_CONF=f"{folder}/containers.conf",
            CONTAINERS_REGISTRIES_CONF=f"{folder}/registries.conf",
            BUILDAH_ISOLATION="chroot",
            TMPDIR=str(folder),
            PATH=f"{folder}/bin:{os.environ['PATH']}",
        )

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def _build_arguments(self) -> list[str]:
        """Return what lets pip install inside as it does on this machine."""
        configured = subprocess.check_output(
            [sys.executable, "-m", "pip", "config", "list"], text=True
        )
        settings: dict[str, str] = {}
        for line in configured.splitlines():
            key, _, value = line.partition("=")
            settings[key.rpartition(".")[2]] = value.strip("'")
        wanted = [key for key in ("index-url", "extra-index-url", "find-links") if key in settings]
        lines = ["[global]", *(f"{key} = {settings[key]}" for key in wanted)]
        pip_conf = self._write("pip.conf", "\n".join(lines))
        places = " ".join(settings[key] for key in wanted).replace("file://", "").split()
        folders = sorted({place.removesuffix("/simple") for place in places if place[0] == "/"})
        arguments = [f"--volume={folder}:{folder}:ro" for folder in folders]
        arguments += [f"--secret=id=pip.conf,src={pip_conf}", f"--secret=id=ca.crt,src={CA}"]
        for folder in folders:  # a build of torch without GPU libraries, if pip knows one
            for wheel in sorted(Path(folder).glob("torch-*+cpu-cp311-*.whl")):
                arguments.append(f"--build-arg=TORCH_VERSION={wheel.name.split('-')[1]}")
        return arguments

    @property
    def has_small_torch(self) -> bool:
        """Whether the image's torch has no GPU libraries."""
        return "+cpu" in (self.folder / "bin" / "docker").read_text()

    def call(self, *command: str, timeout_s: float = 120, **variables: str) -> Done:
        """Run a command and wait for its end; what it starts is found in this engine's store."""
        return self._finish(command, timeout_s, variables)

    def type(self, line: str, folder: Path, timeout_s: float = 120, **variables: str) -> Done:
        """Run a command as somebody types it."""
        return self._finish(["bash", "-c", line], timeout_s, variables, folder)

    def _finish(
        self,
        command: Sequence[str],
        timeout_s: float,
        variables: dict[str, str],
        folder: Path = CHECKOUT,
    ) -> Done:
        done = subprocess.run(
            command,
            cwd=folder,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr, 0)

    def must(self, *command: str, timeout_s: float = 120, **variables: str) -> str:
        """Run a command that has to succeed; return what it prints."""
        done = self.call(*command, timeout_s=timeout_s, **variables)
        assert done.code == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def make_base_image(self, name: str) -> None:
        """Make an image of Debian with Python."""
        root = str(self.folder / "debian")
        arguments = ("--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", root)
        self.must("debootstrap", *arguments, timeout_s=300)
        shutil.rmtree(f"{root}/var/cache/apt/archives")
        container = self.must("buildah", "from", "scratch")
        self.must("buildah", "add", "--quiet", container, root, "/")
        self.must("buildah", "commit", "--quiet", container, name)
        self.must("buildah", "rm", container)
        shutil.rmtree(root)

    @contextmanager
    def network(self) -> Generator[list[str]]:
        """Make a network apart from the machine's; yield what starts a command in it.

        Whatever was started there ends with it.
        """
        apart = ("--net", "--mount", "--pid")
        holder = subprocess.Popen(
            ["unshare", *apart, "--fork", "--kill-child", "--mount-proc", "sleep", "600"]
        )
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        try:
            inside = wait_until(lambda: children.read_text().strip(), "a network's start")
            within = ["nsenter", f"--target={inside}", *apart, f"--wd={CHECKOUT}", "--"]
            self.must(*within, "ip", "link", "set", "lo", "up")
            yield within
        finally:
            holder.kill()
            holder.wait()

    def close(self) -> None:
        """End all containers and remove everything."""
        self.call("podman", "pod", "rm", "--all", "--force")
        self.call("podman", "rm", "--all", "--force", "--time=0")
        self.call("umount", "--recursive", str(self.folder / "images" / "overlay"))
        shutil.rmtree(self.folder)
