"""Recourse on a table of plain numbers, as arrays of single columns, and when a task is that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from skcfq.models import rounding_margin
from skcfq.solvers.problems import FAR
from skcfq.utils import row_products

if TYPE_CHECKING:
    from skcfq.actions import PlainNumbers
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Task

# Numbers of one array of a block: about a dozen of them stay in the cache of one core.
BLOCK = 2**14


def float_table(task: Task) -> str | None:
    """Require an array of floats, and an encoder that treats every column alone."""
    if not (isinstance(task.X, np.ndarray) and task.X.dtype == np.float64):
        return "X is no array of float64."
    return None if task.actions.space.is_affine else "the encoder is not affine."


def plain_features(task: Task) -> str | None:
    """Require numbers without a grid, of which as many may change as there are."""
    actions = task.actions
    if not 0 < len(actions.plain_numbers.index) == actions.n_features:
        return "some features are no plain numbers."
    if actions.max_changes is not None and actions.max_changes < actions.n_features:
        return f"max_changes={actions.max_changes} makes a choice."
    rules = task.overrides or actions.downstream or actions.has_min_change or actions.has_linking
    return "rules go beyond the limits of each number." if rules else None


def one_target(task: Task) -> str | None:
    """Require that all people want the same class."""
    return "people want different classes." if task.one_target is None else None


def plain_question(task: Task) -> str | None:
    """Require that one action a person is asked for, which need not survive anything."""
    more = task.n_alternatives > 1 or task.perturbation_radius or task.weight_radius
    if more or task.proba is not None:
        return "more is asked of the actions than a margin."
    return None


@dataclass(frozen=True, eq=False)
class PlainProblem:
    """One batch of n refused people in a float table under one linear model of two classes.

    Attributes
    ----------
    predictor : Predictor
    target : int
        Position of the class that all want.
    margin, first_margin : ndarray of shape (n,)
        Margin in logit units that a valid point of each person must have, and that it is asked for.
    single_precision : bool
        Whether valid points must be so in float32 too.
    X : ndarray of shape (n, n_raw_columns), float64
    logits : ndarray of shape (n, 2)
        Of the own rows.
    numbers : PlainNumbers
        The m features, all that may change.
    gain : ndarray of shape (m,)
        What the margin gains per encoded unit.
    weights : ndarray of shape (m,)
        Cost per encoded unit.
    norm : {"l1", "l2"}
    """

    predictor: Predictor
    target: int
    margin: np.ndarray
    first_margin: np.ndarray
    single_precision: bool
    X: np.ndarray
    logits: np.ndarray
    numbers: PlainNumbers
    gain: np.ndarray
    weights: np.ndarray
    norm: str

    @classmethod
    def of(cls, task: Task) -> PlainProblem:
        """Read a task that meets the requirements of this file."""
        assert task.logits is not None
        coef, _ = task.predictor.linear_arrays
        target = int(task.target[0])
        gain = (coef[:, target] - coef[:, 1 - target])[task.actions.numeric_columns]
        return cls(
            task.predictor,
            target,
            task.margin,
            task.first_margin,
            task.single_precision,
            task.X,
            task.logits,
            task.actions.plain_numbers,
            gain,
            task.cost.weights,
            task.cost.norm,
        )

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_features(self) -> int:
        """Number m of features."""
        return len(self.gain)

    def need(self) -> np.ndarray:
        """Return what each person's action must add to the margin, shape (n,)."""
        # As in linear_problem: the moved point's own logits may be larger, its raw row rounds.
        rounding = rounding_margin(self.logits)
        own = self.logits[:, self.target] - self.logits[:, 1 - self.target]
        return np.maximum(rounding, self.first_margin) + rounding - own

    def far_rows(self, infeasible: np.ndarray) -> np.ndarray:
        """Tell whose needs rounding may have spoiled, shape (n,).

        Parameters
        ----------
        infeasible : ndarray of shape (n,), bool
            People about whom this would be a false proof, and not just a dearer action.
        """
        far = np.abs(self.logits).max(axis=1) > FAR
        coef, _ = self.predictor.linear_arrays
        heavy = np.abs(coef).max(axis=1)
        rows = np.flatnonzero(infeasible & ~far)
        if len(rows):
            encoded = self.predictor.space.encode(self.X[rows], copy=False)
            far[rows] = (np.abs(encoded) * heavy > FAR).any(axis=1)
        return far

    def of_rows(self, rows: np.ndarray) -> PlainProblem:
        """Return the problem of some of the people, who are asked for no more than they must."""
        margin = self.margin[rows]
        return replace(
            self, X=self.X[rows], logits=self.logits[rows], margin=margin, first_margin=margin
        )

    def gaps(self) -> np.ndarray:
        """Tell who has a gap of a feature that the encoder fills; an open one shows itself."""
        filled = self.numbers.columns[~np.isnan(self.numbers.fill)]
        return np.asarray(np.isnan(self.X[:, filled]).any(axis=1))

    def confirm(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ask the model about raw rows: whether it says the target, and by which margin."""
        predictor, target = self.predictor, self.target
        coef, intercept = predictor.linear_arrays
        confirmed = np.asarray(predictor.predict(points) == predictor.classes[target])
        margin = np.empty(len(points))
        # The encoded rows of a block stay in the cache.
        for rows in blocks(len(points), 8 * BLOCK, predictor.space.n_encoded):
            encoded = predictor.space.encode(points[rows], copy=False)
            logits = row_products(encoded, coef) + intercept
            margin[rows] = logits[:, target] - logits[:, 1 - target]
            required = np.maximum(rounding_margin(logits), self.margin[rows])
            if self.single_precision:
                required = np.maximum(required, predictor.noise(encoded, logits))
            confirmed[rows] &= margin[rows] >= required
        return confirmed, margin


def blocks(n: int, size: int, width: int) -> Iterator[slice]:
    """Cut n rows of some width into blocks of about `size` numbers."""
    step = max(size // max(width, 1), 64)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
