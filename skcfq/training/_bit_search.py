"""How widths are searched while the network is trained, and settled before it is tuned."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.nn import Batch, FaithfulModule, SampleTable
from skcfq.quantization import GumbelBits, MeasuredLosses, search_widths
from skcfq.training._bit_policies import LearnedBits

# Times that losses are measured while widths are searched; once more at the end.
_LOOKS = 4
# Rows that widths are compared on.
_COMPARED_ROWS = 1024
# All choices are measured at both ends of the search where there are no more.
_LISTED = 64
# At a temperature of 1, a width that loses so much more of the loss is e times as rare.
_SHARE = 0.05


class BitSearch:
    """The search of one training.

    Parameters
    ----------
    policy : LearnedBits
    module : FaithfulModule
        With the policy that is learned.
    table : SampleTable
        The rows of the training.
    calibration : tuple of two Tensors
        Rows that clips are refitted on, and their weights.
    n_passes : int
        Passes over the data that search.
    """

    def __init__(
        self,
        policy: LearnedBits,
        module: FaithfulModule,
        table: SampleTable,
        calibration: tuple[Tensor, Tensor],
        n_passes: int,
    ) -> None:
        assert module.policy is not None
        self.policy = policy
        self.module = module
        self.calibration = calibration
        self.n_passes = n_passes
        self._learned: GumbelBits = module.policy
        self._table = table
        self._compared: Batch | None = None
        self._measures = policy.gradient == "measured"
        self._learned.logits.requires_grad_(not self._measures)

    def begin(self, epoch: int) -> None:
        """Prepare a pass: cool the policy, and let it learn from losses that are measured."""
        if epoch >= self.n_passes:
            self.settle()
            return
        first, last = self.policy.temperatures
        self.module.temperature = first * (last / first) ** (epoch / max(self.n_passes - 1, 1))
        if not self._measures:
            self.module.network.set_bit_widths(self._learned.allocate())
        elif epoch == 0:
            self._measure(_SHARE * self.module.temperature, _LISTED)
        elif epoch * _LOOKS % self.n_passes < _LOOKS:
            self._refit()
            self._measure(_SHARE * self.module.temperature, 0)

    def settle(self) -> None:
        """Make the choice discrete."""
        if self._measures:
            self._refit()
            self._measure(None, _LISTED)
        else:
            self.module.network.set_bit_widths(self._learned.allocate())
        if self.policy.settle == "argmax":
            self.module.network.set_bit_widths(self._learned.most_probable())
        self.module.searching = False

    def _refit(self) -> None:
        # A width that was not drawn got no gradient while the weights moved: its step is stale.
        rows, weights = self.calibration
        self.module.network.refit(unselected_only=True, x=rows, sample_weight=weights)

    def _measure(self, share: float | None, most: int) -> None:
        """Fix the widths of least loss within the budget, and let the policy follow the losses."""
        learned, network = self._learned, self.module.network
        batch = self.module.with_points(self._batch())
        losses = MeasuredLosses(
            lambda widths: self.module.loss_at(widths, batch), learned.candidates
        )
        start = network.bit_widths.tolist()
        if network.average_bits > learned.budget:
            start = learned.allocate()
        center = search_widths(losses, network.n_weights, learned.budget, start, most=most)
        network.set_bit_widths(center)
        temperature = None if share is None else share * abs(losses(center))
        learned.follow(
            losses.around(center), center, penalty=self.policy.penalty, temperature=temperature
        )

    def _batch(self) -> Batch:
        """Return the rows that widths are compared on: the same in the whole training."""
        n = len(self._table)
        if n <= _COMPARED_ROWS:
            return self._table.whole
        if self._compared is None:
            rows = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:_COMPARED_ROWS]
            self._compared = self._table.take(rows.to(self._table.samples.device))
        return self._compared
