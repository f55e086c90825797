"""Who is asked about, and how: tables, rules and target, as the arguments name them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skcfq.command_line._tables import (
    check_columns,
    classes_of,
    header_of,
    label_of,
    labels_of,
    read_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from skcfq.actions import ActionSet


@dataclass(frozen=True)
class People:
    """The people of a command, from its files.

    Attributes
    ----------
    table, background : DataFrame
        As the files have them, and columns that are no features left out; the background is the
        table itself by default.
    sensitive : DataFrame or None
    outcome : Series or None
    rules : ActionSet or None
    left_out : list of str
        Columns of the data that ``--features`` does not name.
    """

    table: pd.DataFrame
    background: pd.DataFrame
    sensitive: pd.DataFrame | None
    outcome: pd.Series | None
    rules: ActionSet | None
    left_out: list[str]

    @classmethod
    def read(cls, arguments: Namespace) -> People:
        """Read the files that the arguments name."""
        table = read_table(arguments.data)
        check_people(arguments, list(table.columns))
        groups = getattr(arguments, "groups", None)
        outcome = getattr(arguments, "outcome", None)
        named = {arguments.person, outcome} - {None}
        features = arguments.features or [name for name in table.columns if name != outcome]
        kept = [name for name in table.columns if name in {*features, arguments.person}]
        known = {*kept, *(groups or []), *named}
        population = table if arguments.background is None else read_table(arguments.background)
        if arguments.features:
            check_columns(arguments.background, population.columns, {"--features": features})
        told = [name for name in population.columns if name in features and name not in named]
        return cls(
            table=table[kept],
            background=population[told],
            sensitive=None if groups is None else table[groups],
            outcome=None if outcome is None else table[outcome],
            rules=read_rules(arguments.actions),
            left_out=[name for name in table.columns if name not in known],
        )

    def rows_for(self, models: Sequence[Any], person: str | None) -> pd.DataFrame:
        """Return the columns that the models read, in the order of the first that tells them."""
        told = [columns for columns in map(columns_of, models) if columns is not None]
        names = list(dict.fromkeys(name for columns in told for name in columns))
        if not names:
            names = [name for name in self.table.columns if name != person]
        return self.table[[name for name in names if name in self.table.columns]]

    def rows_of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the background, with the columns of others."""
        return self.background[[name for name in rows.columns if name in self.background.columns]]

    def target(self, text: str | None, model: Any, rows: Any) -> Any:
        """Return the label that a text stands for, None for None."""
        if text is None:
            return None
        return label_of(text, classes_of(model, rows, self.background), "--target")

    def labels(self, model: Any, rows: Any) -> list[Any] | None:
        """Return the outcomes as labels of a model."""
        if self.outcome is None:
            return None
        return labels_of(self.outcome, classes_of(model, rows, self.background), "--outcome")


def read_rules(path: str | None) -> ActionSet | None:
    """Read an action file."""
    if path is None:
        return None
    from skcfq.actions import ActionSet

    return ActionSet.from_file(path)


def check_people(arguments: Namespace, header: list[str] | None = None) -> list[str]:
    """Refuse columns that the data does not have; return its columns."""
    header = header_of(arguments.data) if header is None else header
    asked = {
        "--person": [arguments.person] if arguments.person else [],
        "--features": arguments.features or [],
        "--groups": getattr(arguments, "groups", None) or [],
        "--outcome": [arguments.outcome] if getattr(arguments, "outcome", None) else [],
    }
    check_columns(arguments.data, header, asked)
    return header


def columns_of(model: Any) -> list[Any] | None:
    """Return the raw columns that a model reads, None where it does not tell."""
    space = getattr(model, "feature_space_", None)
    names = getattr(model, "feature_names_in_", None)
    if names is None and space is not None and space.is_frame:
        names = space.raw_columns
    return None if names is None else list(names)
