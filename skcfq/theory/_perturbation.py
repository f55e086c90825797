"""How far the logits of two models lie apart: ε of Eq. 44, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from skcfq.exceptions import EmptyPopulationWarning
from skcfq.utils import warn_user


@dataclass(frozen=True, eq=False, repr=False)
class Perturbation:
    r"""What is known of the logit perturbation :math:`\epsilon(u, \rho)` of n points (Eq. 44).

    .. math:: \epsilon(u, \rho) = \sup_{v \in \mathbb B_\rho(u)} \|g_q(v) - g(v)\|_\infty

    Returned by the functions of :mod:`skcfq.theory`, never made by a user.

    Attributes
    ----------
    values : ndarray of shape (n,)
        In logit units.
    kind : {"certified", "sampled", "estimated"}
        How they were found.
    direction : {"exact", "upper bound", "lower bound", "estimate"}
        What they are of :math:`\epsilon`.
    radius : float
        :math:`\rho`; 0 for the points themselves.
    norm : {"l2", "linf"}
        Whether the neighborhood is a ball or a box.
    over : {"numbers", "encoded"}
        Whether the radius counts in spreads of the numbers, or in units of all encoded columns.
    centered : bool
        Whether a shift that all classes share, which no decision sees, was left out.
    parts : mapping of str to ndarray of shape (n,) or (n, L)
        What the values are the sum of, where they are one.
    """

    values: np.ndarray
    kind: str
    direction: str
    radius: float = 0.0
    norm: str = "l2"
    over: str = "numbers"
    centered: bool = False
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def maximum(self) -> float:
        """The largest value (Eq. 62); NaN with a warning where there is no point."""
        return self._summary(np.max)

    @property
    def quantile_95(self) -> float:
        """The 0.95 quantile of the values (Eq. 62); NaN with a warning where there is no point."""
        return self._summary(lambda values: np.quantile(values, 0.95))

    def _summary(self, function: Callable[[np.ndarray], float]) -> float:
        if len(self.values):
            return float(function(self.values))
        warn_user(
            "Perturbation: there is no point, so its figures are NaN.", EmptyPopulationWarning
        )
        return float("nan")

    def __repr__(self) -> str:
        figures = ""
        if len(self.values):
            figures = (
                f": median {np.median(self.values):.3g}, 95 % {self.quantile_95:.3g}, "
                f"maximum {self.maximum:.3g}"
            )
        centered = ", centered" if self.centered else ""
        return (
            f"Perturbation({self.kind} ({self.direction}) at {len(self.values)} points, radius "
            f"{self.radius:g} ({self.norm} over {self.over}){centered}{figures})"
        )


def sizes(differences: np.ndarray, *, centered: bool) -> np.ndarray:
    """Return the largest absolute logit of differences (..., n_classes), shape (...).

    Parameters
    ----------
    differences : ndarray of shape (..., n_classes)
    centered : bool
        After the best shift of all classes, which leaves half the range.
    """
    if centered:
        return (differences.max(axis=-1) - differences.min(axis=-1)) / 2
    return np.abs(differences).max(axis=-1)
