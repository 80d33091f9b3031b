"""The real command on digits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.theory import __main__ as command_line
from pipeline.theory.batch_size import Comparison
from pipeline.theory.claim import Claim, Outcome
from tests import command


def test_the_command_prints_every_claim_and_writes_the_figures(tmp_path: Path):
    done = command.run(tmp_path, "--quick", "--figures", "drawn", module="pipeline.theory")
    assert done.code == 0, done.stderr
    rows = re.findall(r"^ (\d\.\d) ", done.stdout, flags=re.MULTILINE)
    assert {number: rows.count(number) for number in rows} == {
        "1.1": 7,
        "1.2": 6,
        "2.1": 3,
        "2.2": 2,
        "2.3": 1,
        "2.4": 6,
        "3.1": 5,
        "3.2": 7,
        "3.3": 13,
    }
    assert rows == sorted(rows)
    assert "500 images of digits" in done.stdout
    told = done.stdout.splitlines()
    assert told[0] == "training with batches of several sizes on digits"
    assert told[1:5] == [f"training with mini-batches of {size}" for size in (1, 10, 100, 500)]
    assert told[5:12] == [line for line in told if line.startswith("checking Problem ")]
    assert re.search(
        r"^33 holds, 11 erratum, \d supported, \d contradicted, \d not decided, 0 fails$",
        done.stdout,
        re.M,
    )
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {
        "descent.png",
        "batch_size.png",
        "cross_entropy.png",
    }


def test_what_stands_in_the_way_is_an_error_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken = tmp_path / "file"
    taken.touch()
    monkeypatch.setattr("sys.argv", ["pipeline.theory", "--data", str(taken)])
    with pytest.raises(SystemExit, match=f"^error: .*{taken}"):
        command_line.main()


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.FAILS, 1),
        (Outcome.ERRATUM, 0),
        (Outcome.CONTRADICTED, 0),
        (Outcome.UNDECIDED, 0),
        (Outcome.HOLDS, 0),
    ],
)
def test_only_a_check_that_fails_ends_with_1(
    outcome: Outcome, code: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["pipeline.theory", "--quick"])
    claims = [Claim("3.2", "a claim", "", "", outcome)]
    comparison = Comparison("digits", 500, 1.0, ())
    monkeypatch.setattr(command_line, "compare_batch_sizes", lambda _, **__: comparison)  # pyright: ignore[reportUnknownArgumentType]
    monkeypatch.setattr(command_line, "check_all", lambda _: claims)  # pyright: ignore[reportUnknownArgumentType]
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == code
