"""Tables from CSV files, and labels as models have them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skcfq.command_line._outcomes import Refused

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: str) -> pd.DataFrame:
    """Read a CSV file with a header; types are those that pandas finds.

    Raises
    ------
    Refused
        It cannot be read, has no rows, or a column twice.
    """
    table = _read(path)
    if len(table) == 0:
        raise Refused(f"{path} has no rows.")
    return table


def header_of(path: str) -> list[str]:
    """Return the columns of a CSV file."""
    return list(_read(path, nrows=0).columns)


def _read(path: str, **options: Any) -> pd.DataFrame:
    import pandas as pd

    if not Path(path).is_file():
        raise Refused(f"{path}: no such file.")
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            names = pd.read_csv(file, header=None, nrows=1, dtype=str).iloc[0].tolist()
        if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
            # Later versions read numbers to the last bit unasked; fingerprints of rows need it.
            options["float_precision"] = "round_trip"
        table = pd.read_csv(path, encoding="utf-8-sig", index_col=False, **options)
    except (OSError, ValueError, IndexError) as error:
        raise Refused(f"{path} is no CSV file that can be read: {error}") from error
    for other, said in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and other in str(names[0]):
            raise Refused(f"{path} has {said} between its columns: write it with commas.")
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise Refused(f"{path} has more than one column {twice[0]!r}.")
    return table


def check_columns(path: str, header: Iterable[str], asked: dict[str, list[str]]) -> None:
    """Refuse names that are no columns.

    Parameters
    ----------
    path : str
    header : iterable of str
    asked : dict of option to list of names
    """
    known = list(header)
    for option, names in asked.items():
        for name in names:
            if name not in known:
                raise Refused(f"{option} names {name!r}, which is no column of {path}: {known}.")


def label_of(text: str, classes: Iterable[Any], option: str) -> Any:
    """Return the class that a text stands for.

    Raises
    ------
    Refused
        It stands for none.
    """
    classes = list(classes)
    for label in classes:
        if str(label) == text:
            return label
    told = ", ".join(map(str, classes))
    raise Refused(f"{option} is {text!r}, which the model does not decide: it says {told}.")


def labels_of(column: pd.Series, classes: Iterable[Any], option: str) -> list[Any]:
    """Return a column of labels as classes of a model: 1 and "1" are the same, as in a CSV file."""
    classes = list(classes)
    known = {str(label): label for label in classes}
    found = {}
    for value in column.unique().tolist():
        same = [label for label in classes if label == value]
        found[value] = same[0] if same else known.get(str(value))
        if found[value] is None:
            told = ", ".join(known)
            raise Refused(
                f"{option} has {value!r}, which the model does not decide: it says {told}."
            )
    return [found[value] for value in column.tolist()]


def classes_of(model: Any, rows: Any, population: Any) -> list[Any]:
    """Return the labels of a model."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        from skcfq.models import as_predictor

        classes = as_predictor(model, background=population, example=rows).classes
    return classes.tolist() if hasattr(classes, "tolist") else list(classes)
