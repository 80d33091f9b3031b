"""The real command on a user's own table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import command


def train(root: Path, *arguments: str) -> command.Done:
    path = f"data.path={root / 'flowers.csv'}"
    return command.run(root, "data=table", path, "trainer=cpu", f"root={root}", *arguments)


def write_flowers(root: Path, num_rows: int = 60) -> None:
    """Rows of which a class is plain to see in each column."""
    kinds = (("red", "rose"), ("blue", "iris"))
    lines = [
        f"{row},{at + row / 100},{color},{name}\n"
        for row in range(num_rows)
        for at, (color, name) in [(row % 2, kinds[row % 2])]
    ]
    (root / "flowers.csv").write_text("id,size,color,kind\n" + "".join(lines))


def test_a_csv_file_trains_and_says_what_became_of_its_columns(tmp_path: Path):
    write_flowers(tmp_path)
    done = train(tmp_path, "data.target=kind", "data.drop=[id]", "trainer.max_epochs=2")
    assert (done.code, done.errors) == (0, [])
    (run,) = command.runs(tmp_path)
    assert run.data.metrics["test/accuracy"] == 1
    assert (command.artifacts(run) / "columns.csv").read_text().splitlines() == [
        "column,kind,features,missing,values",
        "id,dropped,0,0,",
        "size,number,1,0,",
        'color,category,2,0,"blue, red"',
        'kind,target,0,0,"iris, rose"',
    ]


@pytest.mark.parametrize(
    ("line", "arguments", "message"),
    [
        ("7,x,red,rose\n", ("data.target=kind",), "the column 'size' has the text 'x' in line 62"),
        ("7,1,red\n", ("data.target=kind",), "line 62 has 3 values"),
        ("", ("data.target=kin",), "Did you mean kind?"),
        ("", (), "data.target=null: must be the name of the column that holds the class"),
    ],
)
@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1")])
def test_a_bad_file_is_one_line_and_nothing_is_tracked(
    tmp_path: Path, line: str, arguments: tuple[str, ...], message: str, sweep: tuple[str, ...]
):
    write_flowers(tmp_path)
    with (tmp_path / "flowers.csv").open("a") as file:
        file.write(line)
    done = train(tmp_path, *sweep, *arguments)
    assert done.code == 1
    (said,) = done.errors
    assert message in said
    assert command.nothing_tracked(tmp_path)
