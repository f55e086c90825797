"""The share of the training rows that is held out, and what a network does on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from skcfq.models import validity_slack
from skcfq.nn import (
    Batch,
    FaithfulModule,
    SampleTable,
    SupervisedModule,
    TrainingRows,
    weighted_mean,
)
from skcfq.training._table import TrainingTable

# skorch's names, which a user's own callbacks look for.
VALIDATION_COLUMNS = ["valid_loss", "valid_accuracy", "valid_validity_drop"]


@dataclass(frozen=True, eq=False)
class Validation:
    """Held-out rows, with the loss of those that are trained on.

    Attributes
    ----------
    module : SupervisedModule or FaithfulModule
        The loss, around the network that is trained, without a policy: the widths are those that
        are set.
    rows : TrainingRows
    people : Tensor of shape (n,) or None
        How many people with advice of the teacher each row stands for; None without recourse.
    """

    module: SupervisedModule | FaithfulModule
    rows: TrainingRows
    people: Tensor | None = None

    @cached_property
    def _whole(self) -> Batch:
        return SampleTable(self.rows, self.module.needs_points).whole

    def figures(self) -> dict[str, float]:
        """Return the loss, the accuracy and, with recourse, the share whose advice fails.

        What the loss draws at random (on paths, and feature mixup) is the same in every call.
        """
        module, matching = self.module, None
        training = module.network.training
        module.network.eval()
        if isinstance(module, FaithfulModule):
            module.generator.manual_seed(module.generator.initial_seed())
            matching = module.matching
        given = self.rows
        # The matching term is the only one whose value needs gradients: the student's own steps.
        with torch.set_grad_enabled(matching is not None):
            loss = module.loss_terms(self._whole)["loss"].item()
        with torch.no_grad():
            right = (module.network(given.rows).argmax(dim=1) == given.labels).to(given.weights)
            accuracy = weighted_mean(right, given.weights).item()
            found = {"valid_loss": loss, "valid_accuracy": accuracy}
            if self.people is not None:
                assert given.points is not None
                assert given.targets is not None
                advised = self.people > 0
                logits = module.network(given.points[advised])
                slack = validity_slack(logits, given.targets[advised])
                failed = (slack < 0).to(self.people.dtype)
                drop = weighted_mean(failed, self.people[advised])
                found["valid_validity_drop"] = drop.item() if advised.any() else np.nan
        module.network.train(training)
        return found


def strata_of(table: TrainingTable, fraction: float) -> np.ndarray:
    """Return strata by label and group; what is too rare to be held out goes by its label.

    Parameters
    ----------
    table : TrainingTable
        With groups.
    fraction : float
        Of the rows that are held out.

    Returns
    -------
    strata : ndarray of shape (n,), int64
    """
    assert table.groups is not None
    labels, least = table.labels, max(2.0, 1.0 / fraction)
    strata = table.groups * (labels.max() + 1) + labels
    cells, cell, counts = np.unique(strata, return_inverse=True, return_counts=True)
    for label in np.unique(labels):
        same = labels == label
        largest = cells[np.bincount(cell[same], minlength=len(cells)).argmax()]
        strata[same & (counts[cell] < least)] = largest
    return strata


def held_out(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows that are trained on, and of those held out, both rising.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Both parts have the classes, or other strata, in the same shares.
    fraction : float
        Of the rows that are held out.
    seed : int

    Raises
    ------
    ValueError
        There are too few rows of a class.
    """
    try:
        trained, held = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True, or a GroupBound, holds out validation_fraction={fraction} of "
            f"{len(labels)} rows, with rows of every class on both sides, which these labels do "
            f"not allow: {error} Give more rows, another validation_fraction, or "
            "early_stopping=False and no bound."
        ) from error
    return np.sort(trained), np.sort(held)
