"""What a report is made of: sections of paragraphs, lists, tables and pictures; no layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Of a table that is printed on one sheet.
_FEW_LINES, _LETTERS_OF_A_LINE = 16, 60


@dataclass(frozen=True)
class Text:
    """One paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: list[str]
    kind: str = "items"


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes
    ----------
    caption : str
    columns : list of str
    rows : list of list of str
    numbers : tuple of int
        Columns that hold numbers.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    numbers: tuple[int, ...] = ()
    kind: str = "table"

    @property
    def is_short(self) -> bool:
        """Whether a sheet of paper surely has room for all of it."""
        return sum(1 + len("".join(row)) // _LETTERS_OF_A_LINE for row in self.rows) <= _FEW_LINES


@dataclass(frozen=True)
class Picture:
    """A display of :mod:`skcfq.plotting`, with what it shows in words."""

    display: Any
    kind: str = "picture"

    @property
    def title(self) -> str:
        """What it is about."""
        return self.display.title

    @property
    def description(self) -> str:
        """What it shows, with its numbers."""
        return self.display.description


@dataclass(frozen=True)
class Section:
    """One section, with the id that links lead to."""

    name: str
    title: str
    blocks: list[Any] = field(default_factory=list)
