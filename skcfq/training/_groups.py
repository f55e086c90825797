"""Groups of people that the terms at recourse points weigh against each other (Eq. 33)."""

from __future__ import annotations

import reprlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from skcfq.training._objective import CFQObjective
from skcfq.utils import check_sample_weight, is_list, warn_user


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of every row, and what each group counts.

    Attributes
    ----------
    codes : Tensor of shape (n,), int64
    weights : Tensor of shape (n_groups,), float64, or None
        None: what counts is the worst group.
    """

    codes: Tensor
    weights: Tensor | None

    def take(self, rows: np.ndarray) -> Groups:
        """Return the groups of some rows; codes and weights mean the same."""
        return Groups(self.codes[torch.from_numpy(rows)], self.weights)

    def balance(self, rows: Tensor, sample_weight: Tensor) -> Tensor:
        """Return weights of rows whose groups have the shares that they are to have.

        Parameters
        ----------
        rows : Tensor of shape (k,), int64
        sample_weight : Tensor of shape (k,)
            Within groups.

        Returns
        -------
        Tensor of shape (k,), float64
            With the sum of the given weights. Where the worst group counts, all groups have the
            same share: which one is the worst changes.
        """
        codes, given = self.codes[rows], sample_weight.double()
        n_groups = int(self.codes.max()) + 1
        shares = given.new_ones(n_groups) if self.weights is None else self.weights[:n_groups]
        totals = given.new_zeros(n_groups).index_add_(0, codes, given)
        balanced = given * (shares / totals.clamp_min(torch.finfo(torch.float64).tiny))[codes]
        total = balanced.sum()
        return balanced * given.sum() / total if total > 0 else given


def labels_of_rows(sensitive_features: Any, sample_weight: Any, X: Any) -> np.ndarray | None:
    """Return the group of every row of positive weight."""
    if sensitive_features is None:
        return None
    n = len(X)
    if getattr(sensitive_features, "ndim", 1) == 2 and sensitive_features.shape[1] == 1:
        sensitive_features = column_or_1d(sensitive_features)
    if isinstance(sensitive_features, np.ndarray) and sensitive_features.dtype.kind == "U":
        # Errors show labels, which are to look like the text that they are.
        sensitive_features = sensitive_features.astype(object)
    one_each = is_list(sensitive_features) and getattr(sensitive_features, "ndim", 1) == 1
    # Tuples are labels, and missing values stay missing.
    given = list(sensitive_features) if one_each else []
    if len(given) != n or not all(isinstance(label, Hashable) for label in given):
        raise ValueError(
            f"sensitive_features must hold one group, such as a text, for each of the {n} rows of "
            f"X; got {reprlib.repr(sensitive_features)}."
        )
    groups = np.empty(n, dtype=object)
    groups[:] = given
    if sample_weight is None:
        return groups
    weights = check_sample_weight(sample_weight, X)
    return groups[weights > 0]


def _codes_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of every label among the different ones, -1 where it is missing."""
    try:
        return pd.factorize(labels, sort=True)
    except TypeError:
        # Labels that have no order are as good.
        return pd.factorize(labels)


def groups_of(objective: CFQObjective, sensitive_features: np.ndarray | None) -> Groups | None:
    """Read the groups that an objective asks for.

    Parameters
    ----------
    objective : CFQObjective
    sensitive_features : ndarray of shape (n,) or None
        Group of each row, of any hashable type.

    Returns
    -------
    groups : Groups or None
        None where the objective weighs no groups; with a warning where some were given.

    Raises
    ------
    ValueError
        Groups are missing: all, those of some rows, or their weights.
    """
    rule = objective.groups
    if rule is None:
        if sensitive_features is not None and objective.task_groups is None:
            warn_user(
                "sensitive_features is not used, because objective.groups is None, as is "
                "objective.task_groups. Give for example "
                "CFQObjective.preset('faithful').set_params(groups='worst').",
                UserWarning,
            )
        return None
    codes, labels = codes_and_labels(sensitive_features, rule, "objective.groups")
    return Groups(torch.from_numpy(codes), weights_of(rule, labels))


def codes_and_labels(
    sensitive_features: np.ndarray | None, rule: Any, name: str
) -> tuple[np.ndarray, list]:
    """Return the position of every row's group among the groups, and the groups.

    Parameters
    ----------
    sensitive_features : ndarray of shape (n,) or None
        Group of each row, of any hashable type.
    rule : object
        How groups are combined.
    name : str
        Of the parameter that holds the rule.

    Raises
    ------
    ValueError
        Groups are missing: all, those of some rows, or their weights.
    """
    if sensitive_features is None:
        raise ValueError(
            f"{name} is {rule!r}, but fit was called without sensitive_features. Give the group of "
            "each row."
        )
    codes, names = _codes_of(sensitive_features)
    if (codes < 0).any():
        raise ValueError(
            f"sensitive_features has {int((codes < 0).sum())} missing values. Give these rows a "
            "group of their own, such as 'unknown', or leave them out."
        )
    labels = names.tolist()
    missing = [one for one in labels if one not in rule] if isinstance(rule, dict) else []
    if missing:
        raise ValueError(f"{name} has no weight for the groups {missing!r} of sensitive_features.")
    return codes.astype(np.int64), labels


def weights_of(rule: Any, labels: list) -> Tensor | None:
    """Return the weight of every group; None where they follow the training.

    Parameters
    ----------
    rule : {"balanced", "worst"}, dict or GroupBound
    labels : list
        The groups.
    """
    if isinstance(rule, dict):
        return torch.tensor([float(rule[one]) for one in labels], dtype=torch.float64)
    return torch.ones(len(labels), dtype=torch.float64) if rule == "balanced" else None
