"""Accuracy, loss and errors by group, and how far groups are apart."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from skcfq.metrics.skew._checks import read_labels, read_numbers
from skcfq.metrics.skew._labels import EVERYBODY, members_of


def fairness_violation(y_true: Any, y_pred: Any, groups: Any) -> float:
    r"""Return the Fairness Violation Observed: the largest difference of accuracy of two groups.

    .. math:: \mathrm{FVO} = \max_{a, b} |\mathrm{acc}_a - \mathrm{acc}_b|

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels.
    groups : array-like of shape (n,)
        Each person's group; those who have none are a group of their own.

    Returns
    -------
    violation : float
        Between 0 and 1; NaN where there are fewer than two groups. What compression adds is the
        difference of two calls.

    Raises
    ------
    ValueError
        Lengths differ.

    References
    ----------
    Bellam and Kim (2025), Explaining How Quantization Disparately Skews a Model.

    Examples
    --------
    >>> fairness_violation([1, 1, 0, 0], [1, 0, 0, 0], ["a", "a", "b", "b"])
    0.5
    """
    table = group_figures(y_true, y_pred, groups)["accuracy"].drop(EVERYBODY)
    return float(table.max() - table.min()) if len(table) > 1 else float("nan")


def group_figures(
    y_true: Any,
    y_pred: Any,
    groups: Any = None,
    *,
    logits: Any = None,
    classes: Any = None,
    target: Any = None,
) -> pd.DataFrame:
    r"""Return accuracy, loss, acceptance and rates of errors, by group.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels.
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.
    logits : array-like of shape (n, n_classes), optional
        With them there is the mean log loss, :math:`-\log \mathrm{softmax}(z)_y`.
    classes : array-like of shape (n_classes,), optional
        Label of each column of ``logits``; by default the sorted labels of ``y_true``.
    target : label, optional
        What people want. With it there are the share whom the model gives it (acceptance), and
        two kinds of errors: of those who deserve it (false refusals), and of the others (false
        acceptances).

    Returns
    -------
    figures : DataFrame
        One row for ``"everybody"`` and each group; ``n``, ``accuracy``, and as said above ``loss``,
        ``acceptance``, ``false_refusals``, ``false_acceptances``. NaN where nobody is counted.

    Raises
    ------
    ValueError
        Lengths differ, or the target is no label.

    Examples
    --------
    >>> figures = group_figures([1, 1, 0, 0], [1, 0, 0, 0], ["a", "a", "b", "b"], target=1)
    >>> figures.loc["a", ["accuracy", "acceptance", "false_refusals"]].tolist()
    [0.5, 0.5, 0.5]
    >>> figures.loc["b", ["accuracy", "acceptance", "false_refusals"]].tolist()
    [1.0, 0.0, nan]
    """
    truth = read_labels(y_true, "y_true")
    told = read_labels(y_pred, "y_pred", len(truth), like="y_true")
    columns = {"accuracy": (truth == told).astype(float)}
    if logits is not None:
        given = _checked(logits, len(truth))
        columns["loss"] = log_losses(given, positions_of(truth, classes, given.shape[1]))
    if target is not None:
        known = {*truth.tolist(), *told.tolist()}
        if not isinstance(target, Hashable) or target not in known:
            labels = sorted(map(str, known))
            raise ValueError(f"target={reprlib.repr(target)} is no label; there are {labels}.")
        columns |= acceptance_columns(truth, told, target)
    return means_by_group(columns, groups, len(truth))


def acceptance_columns(truth: np.ndarray, told: np.ndarray, target: Any) -> dict[str, np.ndarray]:
    """Return what each person adds to acceptance and errors; NaN for whom it does not count."""
    deserved, accepted = truth == target, told == target
    return {
        "acceptance": accepted.astype(float),
        "false_refusals": np.where(deserved, ~accepted, np.nan).astype(float),
        "false_acceptances": np.where(~deserved, accepted, np.nan).astype(float),
    }


def log_losses(logits: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return each person's log loss, from logits (n, K) and positions of labels (n,)."""
    above = logits - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(above, position[:, None], axis=1)[:, 0]
    return np.log(np.exp(above).sum(axis=1)) - own


def means_by_group(columns: dict[str, np.ndarray], groups: Any, n: int) -> pd.DataFrame:
    """Return the number of people and the mean of each column, by group; NaN is not counted."""
    rows = {}
    for name, people in members_of(groups, n).items():
        rows[name] = {"n": len(people)} | {
            column: _mean(values[people]) for column, values in columns.items()
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename_axis("group")


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")


def _checked(logits: Any, n: int) -> np.ndarray:
    given = read_numbers(logits, "logits")
    if given.ndim != 2 or len(given) != n or np.isnan(given).any():
        raise ValueError(
            f"`logits` has the shape {given.shape}; give a finite row for each of the {n} people, "
            "and one column a class."
        )
    return given


def positions_of(truth: np.ndarray, classes: Any, n_classes: int) -> np.ndarray:
    """Return the position of each label among the classes, by default the sorted labels.

    Raises
    ------
    ValueError
        There are more or fewer classes than columns, or a label is none of them.
    """
    if classes is not None:
        known = read_labels(classes, "classes").tolist()
    else:
        try:
            known = sorted(set(truth.tolist()))
        except TypeError as error:
            raise ValueError(
                f"The labels of `y_true` have no order ({error}): give `classes`."
            ) from error
    if len(known) != n_classes:
        raise ValueError(
            f"`logits` has {n_classes} columns, and `classes` are {reprlib.repr(known)}, by "
            "default the labels of `y_true`: give one a column, in their order."
        )
    places = {label: position for position, label in enumerate(known)}
    unknown = sorted({str(label) for label in truth.tolist() if label not in places})
    if unknown:
        raise ValueError(f"y has the labels {unknown}, which are none of the `classes` {known}.")
    return np.array([places[label] for label in truth.tolist()], dtype=np.int64)
