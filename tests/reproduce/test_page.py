"""docs/studies.md: the study that stands there works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from pipeline.reproduce.study import Study
from tests import command

PAGE = (command.CHECKOUT / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_study_on_the_page_is_carried_out(tmp_path: Path):
    (written,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "momentum.yaml").write_text(written, encoding="utf-8")
    words = ("momentum.yaml", "root=.", "trainer=cpu")
    done = command.run(tmp_path, *words, module="pipeline.reproduce", limit_s=120)
    assert done.code == 0, done.stderr
    study = yaml.safe_load(written)
    assert f"supported: {study['claims'][0]['says']}" in done.stdout
    report = (tmp_path / "reports" / "momentum.md").read_text(encoding="utf-8")
    assert f"## {study['title']}" in report
    assert "| momentum 0.9 | single | 0.9300 |" in report
    assert (tmp_path / "reports" / "momentum" / "momentum.png").is_file()


def test_every_key_is_on_the_page():
    (table,) = re.findall(r"\| key \| what it says \|\n(.*?)\n\n", PAGE, re.DOTALL)
    known = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))))
    assert known == set(Study.model_fields)
