"""What each person adds to the figures of skew, under a reference and under deployed models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skcfq.exceptions import UnsupportedModelError
from skcfq.metrics.skew import (
    Figure,
    NetworkLoss,
    acceptance_columns,
    largest_eigenvalues,
    log_losses,
    logit_spread,
    margins,
    positions_of,
    top_probabilities,
)
from skcfq.models import Predictor
from skcfq.proofs import RealNetwork, real_network

# Name of a figure -> what it is, in words, and what would be good.
SKEW_FIGURES: Mapping[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "high"),
    "loss": ("Mean log loss", "low"),
    "acceptance": ("Accepted", "same"),
    "false_refusals": ("Refused of those who deserve it", "low"),
    "false_acceptances": ("Accepted of those who do not", "low"),
    "changed_decisions": ("Decided otherwise than by the reference", "low"),
    "logit_variance": ("Variance of the logits", "same"),
    "top_probability": ("Mean of the largest probability", "same"),
    "near_boundary": ("Near the boundary", "low"),
    "gradient_norm": ("Norm of the gradient of the mean loss", "low"),
    "eigenvalue": ("Largest eigenvalue of the Hessian of the mean loss", "low"),
    "feasible_rate": ("Refused people who can be advised", "high"),
    "cost": ("Distance to the boundary: mean price of the cheapest action", "low"),
    "validity_drop": ("Advice that no longer works", "low"),
    "recourse_gap": ("Mean change of the price, either way", "low"),
}
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class SkewColumns:
    """The people, both kinds of models, and what is known of each person.

    Attributes
    ----------
    reference : Predictor
    deployed : list of Predictor
        One a seed.
    X : DataFrame or ndarray of shape (n, p)
    y : ndarray of shape (n,)
    target : label or None
    near : float
        Margin below which a person is near the boundary.
    recourse : list of DataFrame or None
        People as an audit has them, one table a seed.
    """

    reference: Predictor
    deployed: Sequence[Predictor]
    X: Any
    y: np.ndarray
    target: Any
    near: float
    recourse: Sequence[pd.DataFrame] | None = None

    @cached_property
    def decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the reference (n,), and of the deployed models (s, n)."""
        return self.reference.predict(self.X), np.stack([m.predict(self.X) for m in self.deployed])

    @cached_property
    def logits(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Logits of the reference (n, K), and of the deployed models (s, n, K); None of labels."""
        models = [self.reference, *self.deployed]
        if any(getattr(model.head, "output", "") == "labels" for model in models):
            return None
        first, *others = (model.row_scores(self.X) for model in models)
        return first, np.stack(others)

    @cached_property
    def networks(self) -> tuple[RealNetwork, list[RealNetwork]] | None:
        """The networks, where all models are such."""
        try:
            first, *others = map(real_network, [self.reference, *self.deployed])
        except UnsupportedModelError:
            return None
        return first, others

    @cached_property
    def encoded(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The rows as each model encodes them."""
        first, *others = (m.space.encode(self.X) for m in [self.reference, *self.deployed])
        return first, others

    @cached_property
    def positions(self) -> np.ndarray:
        """Positions of the true labels among the classes."""
        classes = self.reference.classes
        return positions_of(self.y, classes, len(classes))

    @cached_property
    def of_everybody(self) -> dict[str, Figure]:
        """Figures that do not depend on who else is in a group."""
        own, theirs = self.decisions
        found: dict[str, Figure] = {
            "accuracy": _both(lambda told: (told == self.y).astype(float), own, theirs),
            "changed_decisions": (np.zeros(len(own)), (theirs != own).astype(float)),
        }
        if self.target is not None:
            columns = [acceptance_columns(self.y, told, self.target) for told in (own, *theirs)]
            for name in columns[0]:
                first, *others = (one[name] for one in columns)
                found[name] = first, np.stack(others)
        if self.logits is not None:
            found["loss"] = _both(lambda z: log_losses(z, self.positions), *self.logits)
            found["top_probability"] = _both(top_probabilities, *self.logits)
            found["near_boundary"] = _both(
                lambda z: (margins(z) < self.near).astype(float), *self.logits
            )
        return found | ({} if self.recourse is None else _of_recourse(self.recourse))

    def of_group(self, people: np.ndarray, surface: bool) -> dict[str, Figure]:
        """Return all figures of some people, in the order of :data:`SKEW_FIGURES`."""
        found = {
            name: (old[people], new[:, people]) for name, (old, new) in self.of_everybody.items()
        }
        if self.logits is not None:
            old, new = self.logits
            found["logit_variance"] = _both(logit_spread, old[people], new[:, people])
        if surface and self.networks is not None:
            found |= self._of_surface(people)
        return {name: found[name] for name in SKEW_FIGURES if name in found}

    def _of_surface(self, people: np.ndarray) -> dict[str, Figure]:
        """Return each person's slope along the group's gradient, and curvature along its top."""
        assert self.networks is not None
        pairs = zip(
            [self.networks[0], *self.networks[1]], [self.encoded[0], *self.encoded[1]], strict=True
        )
        slopes, curvatures = [], []
        for network, encoded in pairs:
            loss = NetworkLoss.at(network, encoded[people], self.positions[people])
            gradient = loss.gradient()
            norm = np.linalg.norm(gradient)
            slopes.append(loss.slopes(gradient / norm if norm > 0 else gradient))
            top = largest_eigenvalues(loss, 1, _TOLERANCE, check_random_state(0)).first
            curvatures.append(loss.curvatures(top) if top.any() else np.full(len(people), np.nan))
        return {
            "gradient_norm": (slopes[0], np.stack(slopes[1:])),
            "eigenvalue": (curvatures[0], np.stack(curvatures[1:])),
        }


def _both(
    function: Callable[[np.ndarray], np.ndarray], first: np.ndarray, others: np.ndarray
) -> Figure:
    return function(first), np.stack([function(one) for one in others])


def _of_recourse(tables: Sequence[pd.DataFrame]) -> dict[str, Figure]:
    """Return the figures of recourse; before, advice works and its price has not changed."""
    first = tables[0]
    advised = first["advised"].to_numpy()

    def after(column: Callable[[pd.DataFrame], Any]) -> np.ndarray:
        return np.stack([np.asarray(column(table), dtype=np.float64) for table in tables])

    counted = np.where(advised, 0.0, np.nan)
    gaps = after(lambda t: t["gap"].abs())
    return {
        "feasible_rate": (
            np.where(first["accepted_reference"], np.nan, advised).astype(float),
            after(lambda t: t["advised_deployed"].where(~t["accepted_deployed"])),
        ),
        "cost": (
            first["cost"].to_numpy(dtype=float),
            after(lambda t: t["cost_deployed"].where(t["advised_deployed"])),
        ),
        "validity_drop": (counted, after(lambda t: (~t["holds"]).where(t["advised"]))),
        "recourse_gap": (np.where(np.isnan(gaps).all(axis=0), np.nan, 0.0), gaps),
    }
