r"""How much each raw feature adds to one person's score, against a population.

With :math:`v(S)` the mean score of rows that have the features of :math:`S` from the person and all
others from a row of the population, the contribution of a feature is its Shapley value: the mean,
over all orders of the features, of what :math:`v` gains when it joins those before it. The
contributions sum to the person's score less the population's mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skcfq.models import Predictor
from skcfq.utils import row_sums, stack_rows, take_rows

# Takes, for each of N rows, the source of each feature, int of shape (N, p): 0 is the person, k is
# row k - 1 of the population. Returns scores of shape (N,).
Scores = Callable[[np.ndarray], np.ndarray]
# Rows that a model is asked about at a time.
_ROWS = 32_768


# Features of which all sets are looked at.
ENUMERATED = 10


@dataclass(frozen=True)
class Reference:
    """Whom people are compared with, and how many rows and orders are drawn.

    Parameters
    ----------
    background : DataFrame or ndarray
    kind : {"background", "accepted"}
    n_rows, n_orders : int
    random_state : int, RandomState or None
    """

    background: Any
    kind: str
    n_rows: int
    n_orders: int
    random_state: Any

    def rows(self, predictor: Predictor, target: int) -> Any:
        """Return all raw rows to compare with, for one target.

        Raises
        ------
        ValueError
            There are none.
        """
        if self.kind == "background":
            found = self.background
        else:
            label = predictor.classes[target]
            accepted = np.flatnonzero(predictor.predict(self.background) == label)
            found = take_rows(self.background, accepted)
        if len(found) == 0:
            which = (
                "has no rows"
                if self.kind == "background"
                else (f"has no row that the model gives {predictor.classes.tolist()[target]!r}")
            )
            raise ValueError(
                f"background {which}, and people are compared with their average. Give a "
                "background that has some, or reference='background'."
            )
        return found


def contributions_of(
    predictor: Predictor, X: Any, target: np.ndarray, given: np.ndarray, reference: Reference
) -> tuple[str, np.ndarray]:
    """Work out what each feature adds to the logit of the target less that of the given class.

    Parameters
    ----------
    predictor : Predictor
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        People who do not have the target.
    target, given : int ndarray of shape (n,)
        Positions of the classes.
    reference : Reference

    Returns
    -------
    method : {"linear", "enumeration", "orders"}
    contributions : ndarray of shape (n, p)
        For each raw column of the feature space.
    """
    features = np.array([block.width > 0 for block in predictor.space.blocks], dtype=bool)
    found = np.zeros((len(X), len(features)))
    rng = check_random_state(reference.random_state)
    many = features.sum() > ENUMERATED
    for wanted in np.unique(target):
        own = np.flatnonzero(target == wanted)
        people = reference.rows(predictor, int(wanted))
        if predictor.is_linear:
            mean = predictor.space.encode(people).mean(axis=0)
            weights = predictor.linear_arrays[0]
            Z = predictor.space.encode(take_rows(X, own))
            slopes = weights[:, wanted] - weights.T[given[own]]
            found[own] = _linear(predictor, Z - mean, slopes)
            continue
        if len(people) > reference.n_rows:
            drawn = rng.choice(len(people), reference.n_rows, replace=False)
            people = take_rows(people, np.sort(drawn))
        orders = (
            _drawn_orders(rng, len(people), reference.n_orders, features.sum()) if many else None
        )
        for row in own.tolist():
            table = stack_rows([take_rows(X, np.array([row])), people])
            scores = _mixed_scores(predictor, table, int(wanted), int(given[row]))
            found[row] = (
                enumerated_contributions(scores, len(people), features)
                if orders is None
                else sampled_contributions(scores, orders, features)
            )
    method = "linear" if predictor.is_linear else "orders" if many else "enumeration"
    return method, found


def _linear(predictor: Predictor, moved: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the contributions to scores that are linear in encoded columns, shape (n, p)."""
    parts = moved * slopes
    return np.stack([row_sums(parts[:, block.columns]) for block in predictor.space.blocks], axis=1)


def enumerated_contributions(scores: Scores, n_rows: int, features: np.ndarray) -> np.ndarray:
    """Return exact Shapley values, by all sets of features.

    Parameters
    ----------
    scores : callable
    n_rows : int
        Rows of the population.
    features : bool ndarray of shape (p,)
        Which features may count; the others have no influence on any score.

    Returns
    -------
    contributions : ndarray of shape (p,)
    """
    players = np.flatnonzero(features)
    d = len(players)
    sets = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1
    value = np.empty(2**d)
    step = max(_ROWS // n_rows, 1)
    for start in range(0, 2**d, step):
        chosen = sets[start : start + step]
        sources = np.zeros((len(chosen), n_rows, len(features)), dtype=np.int64)
        sources[:, :, players] = np.where(chosen[:, None], 0, np.arange(1, n_rows + 1)[:, None])
        found = scores(sources.reshape(-1, len(features)))
        value[start : start + step] = found.reshape(len(chosen), n_rows).mean(axis=1)
    size = sets.sum(axis=1)
    weight = np.array([factorial(s) * factorial(d - s - 1) / factorial(d) for s in range(d)])
    contributions = np.zeros(len(features))
    for k, player in enumerate(players):
        without = np.flatnonzero(~sets[:, k])
        gains = value[without + 2**k] - value[without]
        contributions[player] = (weight[size[without]] * gains).sum()
    return contributions


def sampled_contributions(scores: Scores, orders: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return Shapley values by some orders of the features, each with its reverse.

    Parameters
    ----------
    scores : callable
    orders : int ndarray of shape (n_rows, k, d)
        For each row of the population, k orders of the features that may count.
    features : bool ndarray of shape (p,)

    Returns
    -------
    contributions : ndarray of shape (p,)
        Without bias. They sum to what the exact ones sum to, whatever the orders.
    """
    total = np.zeros(len(features))
    players = np.flatnonzero(features)
    n_rows, k, d = orders.shape
    pairs = np.concatenate([orders, orders[:, :, ::-1]], axis=1)
    for rows in _parts(n_rows, 2 * k * (d + 1)):
        ranks = np.argsort(pairs[rows], axis=2)
        # Steps 0 to d: those of a rank below the step are the person's.
        own = ranks[:, :, None, :] < np.arange(d + 1)[:, None]
        source = np.arange(n_rows)[rows] + 1
        sources = np.zeros((*own.shape[:3], len(features)), dtype=np.int64)
        sources[..., players] = np.where(own, 0, source[:, None, None, None])
        found = scores(sources.reshape(-1, len(features))).reshape(own.shape[:3])
        gains = np.diff(found, axis=2)
        joined = np.take_along_axis(gains, ranks, axis=2)
        total[players] += joined.sum(axis=(0, 1))
    return total / (n_rows * 2 * k)


def _parts(n: int, rows_each: int) -> Iterator[slice]:
    step = max(_ROWS // rows_each, 1)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _drawn_orders(
    rng: np.random.RandomState, n_rows: int, n_permutations: int, d: int
) -> np.ndarray:
    """Draw orders of d features for each row of a population, shape (n_rows, n_permutations, d)."""
    return np.argsort(rng.random_sample((n_rows, n_permutations, d)), axis=2)


def _mixed_scores(predictor: Predictor, table: Any, target: int, given: int) -> Scores:
    """Return how rows that are mixed of a person and a population score.

    Parameters
    ----------
    predictor : Predictor
    table : DataFrame or ndarray of shape (1 + n_rows, n_raw_columns)
        The person, then the population.
    target, given : int
        Positions of the classes.

    Returns
    -------
    scores : callable
    """

    def margin(logits: np.ndarray) -> np.ndarray:
        return logits[:, target] - logits[:, given]

    blocks = predictor.space.blocks
    if predictor.differentiable:
        # No encoded column depends on two raw ones, so that encoded rows are mixed alike.
        encoded = predictor.space.encode(table)
        owner = np.zeros(encoded.shape[1], dtype=np.int64)
        for k, block in enumerate(blocks):
            owner[block.columns] = k
        columns = np.arange(encoded.shape[1])

        def of_encoded(sources: np.ndarray) -> np.ndarray:
            import torch

            rows = encoded[sources[:, owner], columns]
            return margin(predictor.logits(torch.from_numpy(rows)).detach().numpy())

        return of_encoded
    positions = [position for position, _ in predictor.space.columns_of(table)[0]]

    def of_raw(sources: np.ndarray) -> np.ndarray:
        return margin(predictor.row_scores(_mixed(table, positions, sources)))

    return of_raw


def _mixed(table: Any, positions: list[int], sources: np.ndarray) -> Any:
    """Return raw rows whose columns come from several rows; what no model reads is the person's."""
    of_column = {position: sources[:, k] for k, position in enumerate(positions)}
    person = np.zeros(len(sources), dtype=np.int64)
    rows = [of_column.get(j, person) for j in range(table.shape[1])]
    if not isinstance(table, pd.DataFrame):
        return np.stack([table[row, j] for j, row in enumerate(rows)], axis=1)
    columns = {j: table.iloc[:, j].array.take(row) for j, row in enumerate(rows)}
    mixed = pd.DataFrame(columns)
    mixed.columns = table.columns
    return mixed
