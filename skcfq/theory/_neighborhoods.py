"""Neighborhoods of points in encoded space: the ball of §5, and the box around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skcfq.encoding import statistic_of
from skcfq.exceptions import ActionSetError
from skcfq.models import Predictor, carried_action_set

# Rows that models are asked about at once.
_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Neighborhood:
    r"""Points within a radius.

    Attributes
    ----------
    spreads : ndarray of shape (d,)
        What the radius counts in, of encoded columns; 0 where a column does not move.
    radius : float
    norm : {"l2", "linf"}
        The ball :math:`\mathbb B_\rho` of §5, or the box around it.
    """

    spreads: np.ndarray
    radius: float
    norm: str

    def draws(self, n: int, rng: np.random.RandomState) -> Iterator[np.ndarray]:
        """Draw n uniform points around the origin, and yield them in parts of shape (k, d)."""
        moving = np.flatnonzero(self.spreads)
        for first in range(0, n, _ROWS):
            part = np.zeros((min(_ROWS, n - first), len(self.spreads)))
            if len(moving) and self.radius:
                drawn = self._unit_draws(len(part), len(moving), rng)
                part[:, moving] = drawn * (self.radius * self.spreads[moving])
            yield part

    def _unit_draws(self, n: int, m: int, rng: np.random.RandomState) -> np.ndarray:
        if self.norm == "linf":
            return rng.uniform(-1.0, 1.0, size=(n, m))
        directions = rng.standard_normal((n, m))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return directions * rng.uniform(size=(n, 1)) ** (1.0 / m)

    def ends(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the boxes around points (n, d), which hold the balls too."""
        return points - self.radius * self.spreads, points + self.radius * self.spreads

    def operator_norm(self, slopes: np.ndarray) -> np.ndarray:
        """Return by how much linear functions change from the center on, at most.

        Parameters
        ----------
        slopes : ndarray of shape (..., d)
            By encoded columns.

        Returns
        -------
        change : ndarray of shape (...)
        """
        order = 2 if self.norm == "l2" else 1
        return self.radius * np.linalg.norm(slopes * self.spreads, ord=order, axis=-1)


def neighborhood(
    predictors: Sequence[Predictor], radius: float, norm: str, over: str
) -> Neighborhood:
    """Return the neighborhoods in the feature space that some models share.

    Parameters
    ----------
    predictors : sequence of Predictor
    radius : float
    norm : {"l2", "linf"}
    over : {"numbers", "encoded"}
        ``"numbers"``: all numbers by their spreads, whole and immutable ones included.
        ``"encoded"``: all encoded columns by their units.

    Raises
    ------
    BackgroundRequiredError
        The spreads are not known.
    """
    space = predictors[0].space
    if over == "encoded":
        return Neighborhood(np.ones(space.n_encoded), float(radius), norm)
    spreads = np.zeros(space.n_encoded)
    held = _columns_of_groups(predictors) if radius else set()
    for block in space.blocks if radius else ():
        if block.kind in ("affine", "monotone") and int(block.columns[0]) not in held:
            # A column without a spread moves by its own unit, as for the perturbation radius.
            spread = statistic_of(block, "encoded_std", "A neighborhood of a point")
            spreads[block.columns] = spread or 1.0
    return Neighborhood(spreads, float(radius), norm)


def _columns_of_groups(predictors: Sequence[Predictor]) -> set[int]:
    """Return the encoded columns of one-hot groups that the models' action set declares."""
    try:
        rules = carried_action_set(*predictors)
    except ActionSetError:
        # Behind the steps of a pipeline, rules name other columns than these.
        return set()
    if rules is None:
        return set()
    groups = (one for one in rules.compile(predictors[0].space).categorical if one.is_group)
    return {int(column) for group in groups for column in group.encoded_columns}
