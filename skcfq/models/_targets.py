"""Which class each person wants."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import DefaultTargetWarning, TargetError
from skcfq.utils import has_text, is_list, warn_user

OPPOSITE = "opposite"


def resolve_target(target: Any, classes: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Return the position of each person's target among the classes.

    Parameters
    ----------
    target : None, label, "opposite" or array-like of shape (n,)
        None takes the last class, with a warning where labels are text, because their
        alphabetical order says nothing. ``"opposite"`` (two classes only) is the other class than
        the decision. A label always wins over the word. An array gives one label a person.
    classes : ndarray of shape (n_classes,)
    decisions : ndarray of shape (n,)
        Labels that the reference gives.

    Returns
    -------
    position : ndarray of shape (n,), int64

    Raises
    ------
    TargetError
        The target is no class, or ``"opposite"`` is asked of more than two classes.

    Examples
    --------
    >>> import numpy as np
    >>> classes = np.array([0, 1])
    >>> resolve_target("opposite", classes, np.array([0, 1, 1]))
    array([1, 0, 0])
    """
    n = len(decisions)
    if target is None:
        return np.full(n, default_target(classes), dtype=np.int64)
    labels = classes.tolist()
    try:
        wanted = np.asarray(target)
    except ValueError as error:
        raise TargetError(
            f"target={reprlib.repr(target)} is neither a label nor a list of labels. Give one of "
            f"{labels}, or 'opposite'."
        ) from error
    if wanted.ndim == 0:
        label = target.item() if isinstance(target, np.generic) else target
        if label is pd.NA:
            raise TargetError(f"`target` is missing (pd.NA). Give one of {labels}, or 'opposite'.")
        if label in labels:
            return np.full(n, labels.index(label), dtype=np.int64)
        if label == OPPOSITE:
            return _opposite(classes, decisions)
        raise TargetError(
            f"target={target!r} is no class of the model. Give one of {labels}, or 'opposite'."
            f"{encoding_hint(labels)}"
        )
    if wanted.shape != (n,):
        raise TargetError(
            f"`target` has shape {wanted.shape}, but there are {n} rows. Give one label, or one "
            "label a row."
        )
    if pd.isna(wanted).any():
        raise TargetError(f"`target` has gaps. Give every row one of {labels}.")
    known = np.isin(wanted, classes)
    if not known.all():
        raise TargetError(
            f"target={wanted[~known].tolist()[0]!r} is no class of the model. Its classes are "
            f"{labels}.{encoding_hint(labels)}"
        )
    return _positions(wanted, classes)


def _positions(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the positions of labels among the classes, which a function may have in any order."""
    order = np.argsort(classes)
    return order[np.searchsorted(classes, labels, sorter=order)].astype(np.int64)


def label_position(label: Any, classes: np.ndarray) -> int:
    """Return the position of one label among the classes.

    Raises
    ------
    TargetError
        It is no class, or several.

    Examples
    --------
    >>> label_position("b", np.array(["a", "b"]))
    1
    """
    labels = classes.tolist()
    if is_list(label) or label is pd.NA or label not in labels:
        raise TargetError(
            f"target={reprlib.repr(label)} is no class of the model. Give one of {labels}."
            f"{encoding_hint(labels)}"
        )
    return labels.index(label)


def default_target(classes: np.ndarray) -> int:
    """Return the position of the last class, and say so where labels are strings."""
    if has_text(classes):
        labels = classes.tolist()
        warn_user(
            f"No `target` was given: {labels[-1]!r}, the last by alphabet of the classes {labels}, "
            f"is taken as the outcome that people want. If they want {labels[0]!r}, give "
            f"target={labels[0]!r}.",
            DefaultTargetWarning,
        )
    return len(classes) - 1


def encoding_hint(labels: list) -> str:
    """Return a further sentence for a label that is unknown where labels may be positions."""
    if labels != list(range(len(labels))) or isinstance(labels[0], bool):
        return ""
    return (
        f" If y had other labels than {labels}, a tool around this classifier has encoded them "
        '(VotingClassifier, StackingClassifier and cross_val_predict(method="predict_proba") do): '
        "name a label by its position in the sorted labels, the first being 0."
    )


def _opposite(classes: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    if len(classes) != 2:
        raise TargetError(
            f"target='opposite' needs two classes, and the model has {len(classes)}. "
            "Give one of its labels."
        )
    return 1 - _positions(decisions, classes)
