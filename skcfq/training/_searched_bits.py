"""Bit widths of least measured loss, chosen once before training: in the spirit of HAQ and HAWQ."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor

from skcfq.nn import QuantizedNetwork, cross_entropy, logit_distance, weighted_mean
from skcfq.quantization import MeasuredLosses, search_widths
from skcfq.training._bit_policy import BitPolicy, BitSample
from skcfq.utils import Interval, StrOptions

SEARCHED = ("task", "error")


class SearchedBits(BitPolicy):
    """Widths of least loss of the whole quantized network, measured before training.

    The accuracy-centric baseline of mixed precision: bits go where accuracy needs them.

    Parameters
    ----------
    kind : {"task", "error"}, default="task"
        What is measured on the network that training starts from, with all its layers quantized:

        - ``"task"``: cross-entropy of the labels at the rows.
        - ``"error"``: what the logits lose on rows and recourse points.
    max_choices : int, default=256
        Every choice of widths is measured where there are at most so many: with four widths, up
        to four layers. Of more layers, the loss of every width of one layer is measured, an
        integer program adds these up, and its answers are measured and improved.
    candidates : tuple of int, default=(2, 3, 4, 8)

    Notes
    -----
    Of choices that lose alike, within 2 % of the least loss, the one with the most bits is taken.
    :class:`SensitivityBits` with ``"error"`` quantizes one layer at a time and adds the losses up;
    here layers are measured together.

    Examples
    --------
    >>> SearchedBits("error").candidates
    (2, 3, 4, 8)
    """

    _parameter_constraints: dict = {
        "kind": [StrOptions(set(SEARCHED))],
        "max_choices": [Interval(Integral, 0, 10**6, closed="both")],
    }

    def __init__(
        self,
        kind: str = "task",
        *,
        max_choices: int = 256,
        candidates: tuple[int, ...] = (2, 3, 4, 8),
    ) -> None:
        self.kind = kind
        self.max_choices = max_choices
        self.candidates = candidates

    def choose(self, network: QuantizedNetwork, budget: float, sample: BitSample) -> list[int]:
        """Measure choices of widths, and return the best."""
        loss_of = _task_loss(sample) if self.kind == "task" else _error(network, sample)
        training, kept = network.training, network.unit_bit_widths
        network.eval()

        @torch.no_grad()
        def measure(widths: tuple[int, ...]) -> float:
            network.set_bit_widths(widths)
            return loss_of(network).item()

        start = [network.candidates[0]] * len(network.n_weights)
        losses = MeasuredLosses(measure, network.candidates)
        found = search_widths(losses, network.n_weights, budget, start, most=self.max_choices)
        network.set_bit_widths(kept)
        network.train(training)
        return found


def _task_loss(sample: BitSample) -> Callable[[QuantizedNetwork], Tensor]:
    return lambda network: cross_entropy(network(sample.rows), sample.labels, sample.weights)


@torch.no_grad()
def _error(network: QuantizedNetwork, sample: BitSample) -> Callable[[QuantizedNetwork], Tensor]:
    x = torch.cat([sample.rows, sample.points])
    weights = torch.cat([sample.weights, sample.point_weights])
    exact = network.unquantized(x)
    return lambda network: weighted_mean(logit_distance(network(x), exact), weights)
