"""A learned choice of one bit width per layer: a softmax policy, sampled by Gumbel noise (§4.3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.quantization._allocation import allocate_bits
from skcfq.quantization._bits import check_budget, check_candidates

# A free bit is worth so much of the largest difference between losses: no more than a tie-breaker.
_WORTH_OF_A_BIT = 1e-6
# Every layer's most probable width has at least this probability in a policy that is sure.
_SURE = 0.99


class GumbelBits(nn.Module):
    r"""Categorical distribution over candidate widths for every layer.

    Parameters
    ----------
    n_weights : sequence of int of shape (n_layers,)
        Number of weights of each layer.
    candidates : iterable of int, default=(2, 3, 4, 8)
        Increasing widths, R of them.
    budget : float, default=4.0
        Average weight bits per weight that the network may have.
    warmth : float, default=2.0
        Starting logit of the widest uniform candidate that meets the budget; the others start at 0.
    costs : sequence of float of shape (n_layers,), optional
        What :meth:`bit_cost` counts for a bit of each layer, up to a factor; the number of its
        weights by default.

    Attributes
    ----------
    logits : Parameter of shape (n_layers, R)
        Unnormalised :math:`\log\pi_{\ell,r}`.

    Raises
    ------
    BudgetError
        If even the smallest candidate is above the budget.

    Examples
    --------
    >>> policy = GumbelBits([100, 300], budget=4)
    >>> policy.sample(1.0, torch.Generator().manual_seed(0)).sum(1)
    tensor([1., 1.], grad_fn=<SumBackward1>)
    >>> policy.allocate()
    [4, 4]
    """

    _bit_share: Tensor
    _cost_share: Tensor

    def __init__(
        self,
        n_weights: Sequence[int],
        candidates: Iterable[int] = (2, 3, 4, 8),
        budget: float = 4.0,
        warmth: float = 2.0,
        costs: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.candidates = check_candidates(candidates)
        self.n_weights = [int(n) for n in n_weights]
        self.budget = float(budget)
        check_budget(budget, self.candidates)
        uniform = max(r for r, bits in enumerate(self.candidates) if bits <= self.budget)
        logits = torch.zeros(len(self.n_weights), len(self.candidates))
        logits[:, uniform] = warmth
        self.logits = nn.Parameter(logits)
        costs = self.n_weights if costs is None else [float(cost) for cost in costs]
        if len(costs) != len(self.n_weights) or not min(costs) >= 0 or not sum(costs) > 0:
            raise ValueError(
                f"costs={costs!r}; give a number of at least 0 for each of the "
                f"{len(self.n_weights)} layers, one of them positive."
            )
        counted = {"_bit_share": self.n_weights, "_cost_share": costs}
        bits = torch.tensor(self.candidates, dtype=torch.float64)
        for name, count in counted.items():
            share = torch.tensor(count, dtype=torch.float64) / sum(count)
            self.register_buffer(name, (share[:, None] * bits).float(), persistent=False)

    def probabilities(self) -> Tensor:
        r"""Return :math:`\pi`, shape (n_layers, R)."""
        return self.logits.softmax(1)

    def sample(self, temperature: float, generator: torch.Generator | None = None) -> Tensor:
        r"""Draw one width per layer.

        Parameters
        ----------
        temperature : float
            Temperature :math:`\tau>0` of the relaxation that carries the gradient.
        generator : torch.Generator, optional
            Source of the Gumbel noise.

        Returns
        -------
        Tensor of shape (n_layers, R)
            Exact one-hot rows; their gradient is that of the relaxed sample.
        """
        noise = torch.empty_like(self.logits, requires_grad=False)
        noise.exponential_(generator=generator).log_().neg_()
        return _StraightThroughSample.apply(self.logits, noise, float(temperature))

    def expected_bits(self, selection: Tensor | None = None) -> Tensor:
        """Average bits per weight.

        Parameters
        ----------
        selection : Tensor of shape (n_layers, R), optional
            A sample; by default the expectation under the policy is returned.

        Returns
        -------
        Tensor of shape ()
        """
        weights = self.probabilities() if selection is None else selection
        return (weights * self._bit_share).sum()

    def bit_cost(self, selection: Tensor | None = None) -> Tensor:
        """Excess of the average cost over the budget, 0 where it is met.

        Parameters
        ----------
        selection : Tensor of shape (n_layers, R), optional
            As in :meth:`expected_bits`.

        Returns
        -------
        Tensor of shape ()
            In bits per weight, or per unit of ``costs``, so that its weight does not depend on
            the size of the network.
        """
        weights = self.probabilities() if selection is None else selection
        return torch.relu((weights * self._cost_share).sum() - self.budget)

    def follow(
        self,
        losses: np.ndarray,
        center: Sequence[int],
        *,
        penalty: float = 0.0,
        temperature: float | None = None,
    ) -> None:
        r"""Become the policy of least loss and most entropy.

        .. math:: \pi_{\ell,r} \propto \exp(-(F_{\ell,r} + \lambda C_{\ell,r}) / T)

        F and C are what each width of a layer makes of the loss and of the excess cost while the
        others have those of the center. It is where the natural gradient of
        :math:`E_\pi[F+\lambda C]-T\,H(\pi)` leads.

        Parameters
        ----------
        losses : ndarray of shape (n_layers, R)
            Loss of every width of every layer.
        center : sequence of int of shape (n_layers,)
            Widths of the other layers.
        penalty : float, default=0.0
            :math:`\lambda`, in units of the loss per unit of :meth:`bit_cost`.
        temperature : float, optional
            T, in units of the loss; by default so low that each layer is sure of a width.

        Notes
        -----
        A grid contains those of fewer bits, with a step that is a multiple of its own. That a width
        loses more than a narrower one says something of its step at the moment and nothing of the
        width, so it counts as losing as little. Of widths that lose alike the widest is taken.
        """
        found = np.minimum.accumulate(np.nan_to_num(losses, nan=np.inf, posinf=1e30), axis=1)
        scale = np.ptp(found, axis=1).max() or 1.0
        found = found - _WORTH_OF_A_BIT * scale * np.asarray(self.candidates)
        found += penalty * self._excess_around(center)
        above = found - found.min(axis=1, keepdims=True)
        if len(self.candidates) > 1 and temperature is None:
            gap = np.partition(above, 1, axis=1)[:, 1].min()
            temperature = max(gap, _WORTH_OF_A_BIT * scale) / math.log(len(above[0]) / (1 - _SURE))
        with torch.no_grad():
            self.logits.copy_(torch.from_numpy(-above / (temperature or 1.0)))

    def _excess_around(self, center: Sequence[int]) -> np.ndarray:
        """Return the bit cost of every width of a layer, the others having those of the center."""
        counts = self._cost_share.double().cpu().numpy()
        chosen = [self.candidates.index(width) for width in center]
        own = counts[np.arange(len(chosen)), chosen]
        return np.maximum(own.sum() - own[:, None] + counts - self.budget, 0.0)

    def most_probable(self) -> list[int]:
        """Return the most probable width of every layer, whatever the budget."""
        return [self.candidates[index] for index in self.logits.argmax(1).tolist()]

    def allocate(self) -> list[int]:
        """Return the most probable widths that meet the budget, and spend what they leave.

        Probabilities are noisy, and a bit within the budget costs nothing: layers are widened, the
        most probable step first, as long as one fits.
        """
        scores = self.logits.detach().double().log_softmax(1).cpu().numpy()
        return allocate_bits(scores, self.n_weights, self.candidates, self.budget, spend=True)


class _StraightThroughSample(torch.autograd.Function):
    """Hard one-hot draw with the gradient of the softmax at a temperature."""

    @staticmethod
    def forward(ctx, logits, noise, temperature):
        perturbed = logits + noise
        ctx.save_for_backward(logits, noise)
        ctx.temperature, ctx.soft = temperature, (perturbed / temperature).softmax(1)
        index = perturbed.argmax(1, keepdim=True)
        return torch.zeros_like(logits).scatter_(1, index, 1.0)

    @staticmethod
    def backward(ctx, grad):
        soft = ctx.soft
        if torch.is_grad_enabled():
            logits, noise = ctx.saved_tensors
            soft = ((logits + noise) / ctx.temperature).softmax(1)
        weighted = grad * soft
        centered = weighted - soft * weighted.sum(1, keepdim=True)
        return centered / ctx.temperature, None, None
