"""How valid states are where all models are integer networks: by what they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.models import frozen_integers
from skcfq.solvers.problems._integer_jitter import IntegerJitter, Slacks
from skcfq.solvers.problems._integer_sums import Changes, IntegerSums

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion
    from skcfq.models import Predictor
    from skcfq.solvers.problems._perturbations import Jitter

# Up to this total, sums of any parts of a few totals are exact in float64.
_EXACT = 2.0**51
# Changes are added up one by one where at most one column in so many changes.
_FEW = 8


@dataclass(frozen=True, eq=False)
class IntegerStates:
    """What integer networks add up to at the own points of n people, and around them.

    Attributes
    ----------
    sums : list of IntegerSums
        Of each model.
    jitter : IntegerJitter or None
        Where states must survive jitter.
    """

    sums: list[IntegerSums]
    jitter: IntegerJitter | None

    @classmethod
    def of(
        cls, models: Sequence[Predictor], region: ActionRegion, jitter: Jitter | None
    ) -> IntegerStates | None:
        """Return that of people who may move in a region; None where points are written out.

        Parameters
        ----------
        models : sequence of Predictor
        region : ActionRegion
        jitter : Jitter or None
            What all states must survive.
        """
        known = (frozen_integers(model.head) for model in models)
        networks = [one for one in known if one is not None and one.largest_first_sum <= _EXACT]
        if len(networks) < len(models) or region.downstream is not None:
            return None
        if not bool(torch.isfinite(region.origin).all()):
            return None
        nowhere = torch.zeros(region.origin.shape[1], dtype=torch.float64)
        sums = [IntegerSums.of(network, region, nowhere) for network in networks]
        return cls(sums, None if jitter is None else IntegerJitter.of(networks, region, jitter))

    def take(self, rows: Tensor) -> IntegerStates:
        """Return that of some of the people."""
        jitter = None if self.jitter is None else self.jitter.take(rows)
        return IntegerStates([one.take(rows) for one in self.sums], jitter)

    def slack(
        self, region: ActionRegion, states: tuple[Tensor, ...], slacks: Slacks
    ) -> Tensor | None:
        """Return the slack of states, shape (N,); None where too much changes to be added up.

        Parameters
        ----------
        region : ActionRegion
            Of the n people.
        states : (person, values, levels)
            Of N states.
        slacks : callable
            From the logits of all models at states, and which of the N each is.
        """
        changes = Changes.of(region, *states)
        n, d = len(changes.person), self.sums[0].codes.shape[1]
        if self.jitter is None and _FEW * len(changes) > n * d:
            return None
        logits = [one.network.logits_after_first(one.at(changes)) for one in self.sums]
        slack = slacks(logits, torch.arange(n))
        if self.jitter is None:
            return slack
        # What is refused where it stands need not be asked about around it.
        rows = (slack >= 0).nonzero().squeeze(1)
        if len(rows):
            near = self.jitter.worst(changes.take(rows), lambda of, part: slacks(of, rows[part]))
            slack[rows] = torch.minimum(slack[rows], near)
        return slack
