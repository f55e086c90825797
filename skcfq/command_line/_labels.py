"""Models that do not tell their labels: functions, and graphs with nothing but scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from skcfq.command_line._outcomes import Refused
from skcfq.command_line._tables import label_of

if TYPE_CHECKING:
    import pandas as pd


def with_labels(
    model: Any, texts: Sequence[str] | None, rows: pd.DataFrame, known: Iterable[Any] | None = None
) -> Any:
    """Return a model whose labels are known: itself where it tells them, else with those given.

    Parameters
    ----------
    model : object
        As :meth:`ModelFile.load` returns it.
    texts : list of str or None
        What ``--classes`` says, in the order of the scores.
    rows : DataFrame
        Some that the model reads.
    known : iterable, optional
        Labels of another model, which the texts stand for; otherwise whole numbers are numbers.

    Raises
    ------
    Refused
        The model tells none, and none are given.
    """
    is_function = callable(model) and not hasattr(model, "predict")
    if not isinstance(model, str) and not is_function:
        return model
    from skcfq.exceptions import UnsupportedModelError
    from skcfq.models import as_predictor

    try:
        return as_predictor(model, background=rows)
    except UnsupportedModelError as error:
        if "classes=" not in str(error):
            raise
        if texts is None:
            name = getattr(model, "__name__", model)
            raise Refused(
                f"{name} does not tell its labels: give them with --classes, in the order of its "
                "scores, such as --classes refused,granted."
            ) from error
    return as_predictor(model, background=rows, classes=_labels(texts, known))


def _labels(texts: Sequence[str], known: Iterable[Any] | None) -> list[Any]:
    if known is not None:
        known = list(known)
        return [label_of(text, known, "--classes") for text in texts]
    try:
        return [int(text) for text in texts]
    except ValueError:
        return list(texts)
