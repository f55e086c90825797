"""Groups in the terms at x: what each counts, and how that follows what they lose."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skcfq.models import Predictor
from skcfq.nn import FaithfulModule, TrainingRows, weighted_mean
from skcfq.training._group_rules import GroupBound
from skcfq.training._groups import codes_and_labels, weights_of
from skcfq.training._table import TrainingTable

# Step of the weights for the worst group, per pass and nat of cross-entropy: of the hundred updates
# that a pass has, 0.01 each, as in the paper below.
_RATE = 1.0
# No group counts more than everybody together.
_MOST = 1.0


@dataclass(frozen=True, eq=False)
class TaskGroups:
    """How the terms at x combine groups.

    Attributes
    ----------
    labels : list of hashable
        Of each code.
    weights : Tensor of shape (n_groups,), float64, or None
        Fixed ones; None where they follow what is lost.
    bound : GroupBound or None
        What they follow; None: the worst group.
    """

    labels: list[Hashable]
    weights: Tensor | None
    bound: GroupBound | None = None

    @property
    def holds_out(self) -> bool:
        """Whether rows are needed that nothing is trained on."""
        return self.bound is not None

    def factors(self, rows: TrainingRows) -> Tensor:
        """Return by what the rows of each group are multiplied at the start.

        Parameters
        ----------
        rows : TrainingRows
            What is trained on.

        Returns
        -------
        Tensor of shape (n_groups,), float64
        """
        if self.bound is not None:
            return torch.ones(len(self.labels), dtype=torch.float64)
        weights = torch.ones(len(self.labels)) if self.weights is None else self.weights
        return factors_for(weights, self.shares_in(rows))

    def shares_in(self, rows: TrainingRows) -> Tensor:
        """Return the share of each group in the weight of some rows, shape (n_groups,), float64.

        Parameters
        ----------
        rows : TrainingRows
        """
        assert rows.groups is not None
        totals = torch.zeros(len(self.labels), dtype=torch.float64)
        totals.index_add_(0, rows.groups.cpu(), rows.weights.double().cpu())
        return totals / totals.sum()


def factors_for(weights: Tensor, shares: Tensor) -> Tensor:
    """Return the factors of rows that give groups some weights; 0 for groups without a row.

    Parameters
    ----------
    weights, shares : Tensor of shape (n_groups,)
        What the groups are to count, and what they count by their rows.
    """
    known = shares > 0
    return torch.where(known, weights.double() / torch.where(known, shares, 1.0), 0.0)


def grouped_for_task(
    table: TrainingTable, rule: Any, sensitive_features: np.ndarray | None, name: str
) -> tuple[TrainingTable, TaskGroups | None]:
    """Return the table with the group of every row, and how these are combined.

    Parameters
    ----------
    table : TrainingTable
    rule : {"balanced", "worst"}, dict, GroupBound or None
    sensitive_features : ndarray of shape (n,) or None
        Group of each row, of any hashable type.
    name : str
        Of the parameter that holds the rule.

    Raises
    ------
    ValueError
        Groups are missing: all, those of some rows, or their weights.
    """
    if rule is None:
        return table, None
    codes, labels = codes_and_labels(sensitive_features, rule, name)
    bound = rule if isinstance(rule, GroupBound) else None
    return replace(table, groups=codes), TaskGroups(labels, weights_of(rule, labels), bound)


class WorstGroup:
    r"""Weights that follow the cross-entropy of each group: the worst counts more and more.

    After every pass :math:`q_g \leftarrow q_g e^{\rho \ell_g}`, up to their sum, from equal ones
    on: group DRO (Sagawa et al., ICLR 2020), with one step a pass instead of one a batch, since a
    small group is in few batches.

    Parameters
    ----------
    groups : TaskGroups
    rows : TrainingRows
        What is trained on.
    """

    def __init__(self, groups: TaskGroups, rows: TrainingRows) -> None:
        self.shares = groups.shares_in(rows)
        self.columns = ["group_task_loss"]
        self.weights = (self.shares > 0).double()

    def __call__(self, module: FaithfulModule) -> dict[str, float]:
        """Move the weights after a pass, and return what is to be told of it.

        Parameters
        ----------
        module : FaithfulModule
        """
        groups = module.row_groups
        assert groups is not None
        lost = groups.means().double().cpu()
        scaled = self.weights * (_RATE * (lost - lost.max())).exp()
        self.weights = scaled / scaled.sum()
        groups.factors = factors_for(self.weights, self.shares).to(groups.factors)
        return {"group_task_loss": float(lost[self.shares > 0].max())}


class BoundedGroups:
    """Multipliers of the groups whose accuracy has fallen too far below the teacher's.

    Parameters
    ----------
    groups : TaskGroups
    rows : TrainingRows
        What is trained on.
    held : TrainingRows
        What the accuracy is measured on.
    teacher : Predictor
    """

    def __init__(
        self, groups: TaskGroups, rows: TrainingRows, held: TrainingRows, teacher: Predictor
    ) -> None:
        assert groups.bound is not None
        assert held.groups is not None
        self.bound, self.held = groups.bound, held
        self.columns = ["group_accuracy_drop"]
        self.shares = groups.shares_in(rows)
        self.members = [held.groups == code for code in range(len(groups.labels))]
        self.multipliers = torch.zeros_like(self.shares)
        with torch.no_grad():
            logits = teacher.logits_in(held.rows.dtype)(held.rows.cpu())
        self.right = self._right(logits.to(held.rows))

    def __call__(self, module: FaithfulModule) -> dict[str, float]:
        """Move the multipliers after a pass, and return what is to be told of it.

        Parameters
        ----------
        module : FaithfulModule
        """
        groups, drops = module.row_groups, self.drops(module)
        assert groups is not None
        excess = (drops - self.bound.accuracy_drop).nan_to_num(0.0)
        moved = self.multipliers + self.bound.rate * excess
        self.multipliers = moved.clamp(0.0, _MOST)
        factors = factors_for(self.shares + self.multipliers, self.shares)
        groups.factors = factors.to(groups.factors)
        return {"group_accuracy_drop": float(np.nanmax(drops.numpy()))}

    @torch.no_grad()
    def drops(self, module: FaithfulModule) -> Tensor:
        """Return what each group loses against the teacher; NaN for groups that are not there.

        Parameters
        ----------
        module : FaithfulModule
        """
        network = module.network
        training = network.training
        network.eval()
        lost = self.right - self._right(network(self.held.rows))
        network.train(training)
        weights = self.held.weights
        found = [
            weighted_mean(lost[who], weights[who]).item() if who.any() else float("nan")
            for who in self.members
        ]
        return torch.tensor(found, dtype=torch.float64)

    def _right(self, logits: Tensor) -> Tensor:
        return (logits.argmax(dim=1) == self.held.labels).to(self.held.weights)
