"""README's pictures: a small sweep is trained, its pages are opened and photographed.

    python -m docs.screenshots [--output FOLDER] [OVERRIDE …]

Needs the test tools and Chromium. Overrides go to the sweep, such as trainer.max_epochs=1.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, Page, ViewportSize, sync_playwright

HERE = Path(__file__).parent

SWEEP = ("-m", "data=digits", "loss=mse,ce,nll", "seed=range(0,5)", "trainer.max_epochs=10")

SIZE: ViewportSize = {"width": 1500, "height": 820}
"""Of the window, in pixels."""

WITHIN_S = 60

NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
"""It opens by itself on a first visit, and takes a fourth of the window."""


A_RUN = "loss=ce seed=1"

A_FIGURE = "validation accuracy, mean and 95 % interval"


def main() -> None:
    """Train, open, photograph."""
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "screenshots")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = f"root={folder}"
        command = [sys.executable, "-m", "pipeline", *SWEEP, *arguments.overrides, root]
        subprocess.run(command, check=True)
        report = [sys.executable, "-m", "pipeline.report", "last", root, f"--output={folder}/page"]
        subprocess.run(report, check=True)
        page = Path(folder, "page", "report.html").as_uri()
        with _served(root) as runs:
            _photograph({"runs": (runs, A_RUN), "report": (page, A_FIGURE)}, arguments.output)


@contextmanager
def _served(root: str) -> Generator[str]:
    """Serve MLflow's pages for as long as the block lasts, and yield the sweep's address."""
    words = ("last", root, f"--port={_free_port()}", "--no-browser")
    command = [sys.executable, "-m", "pipeline.ui", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _photograph(pages: Mapping[str, tuple[str, str]], folder: Path) -> None:
    """Write a PNG of each page, its address and a text that it shows in the end, under its name."""
    chromium = shutil.which("chromium")
    assert chromium, "there is no chromium: install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.add_init_script(NO_ASSISTANT)
        for name, (address, text) in pages.items():
            _open(page, address, text)
            page.screenshot(path=folder / f"{name}.png")


def _open(page: Page, address: str, text: str) -> None:
    """Open a page as soon as it is served, and wait until it is drawn."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            page.goto(address)
            break
        except Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    page.get_by_text(text, exact=True).first.wait_for(timeout=1000 * WITHIN_S)
    page.wait_for_timeout(1000)  # for icons and other things that come last


if __name__ == "__main__":
    main()
