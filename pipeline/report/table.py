"""Tables: for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import rich.box
import rich.table
from rich.text import Text

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; a rich console prints it as it is.

    Attributes:
        header: One text per column.
        rows: As many texts each.
        align: A letter per column, "r" for right; columns without one are set to the left.
        title: Above the table on the terminal.
        note: Below the table, such as what it leaves out.
        highlights: The rows that stand out, by index, with their rich styles, such as "bold green".
        unbroken: The columns whose texts never go on in a second line, such as ids.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = ""
    title: str = ""
    note: str = ""
    highlights: Mapping[int, str] = field(default_factory=dict[int, str])
    unbroken: Collection[str] = ()

    def __rich__(self) -> rich.table.Table:
        """Return the table for the terminal; brackets are text, not markup."""
        table = rich.table.Table(
            title=Text(self.title, style="bold"),
            title_justify="left",
            caption=Text(self.note),
            caption_justify="left",
            box=rich.box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        for heading, align in zip(self.header, self.align.ljust(len(self.header)), strict=True):
            table.add_column(
                Text(heading),
                justify="right" if align == "r" else "left",
                overflow="fold",
                no_wrap=heading in self.unbroken,
            )
        for index, row in enumerate(self.rows):
            table.add_row(*map(Text, row), style=self.highlights.get(index))
        return table

    def markdown(self) -> str:
        """Return the table as Markdown, without its title, and the note below it."""
        align = ["---:" if a == "r" else "---" for a in self.align.ljust(len(self.header))]
        rows = [[text.replace("|", "\\|") for text in row] for row in self.rows]
        lines = [f"| {' | '.join(line)} |" for line in (self.header, align, *rows)]
        note = self.note.replace("*", "\\*")  # no bullet
        return "\n".join([*lines, "", note] if note else lines)
