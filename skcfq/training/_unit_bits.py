"""One width for each unit, by what quantizing it alone costs at the teacher's recourse points."""

from __future__ import annotations

import torch
from torch import Tensor

from skcfq.nn import QuantizedNetwork, unit_errors
from skcfq.quantization import allocate_bits
from skcfq.training._bit_policy import BitPolicy, BitSample


class UnitBits(BitPolicy):
    r"""A width for each unit, chosen once before training.

    Parameters
    ----------
    candidates : tuple of int, default=(2, 3, 4, 8)

    Notes
    -----
    Each unit is quantized alone, at every width, on the network that training starts from, its
    weights and its bias so that they make up for each other's errors, which training and rounding
    will make them do: what hidden units lose at 2 or 3 bits is then little, and what the first
    layer does, whose inputs have little in common, is not. What counts is the mean squared change
    of the margin at the teacher's recourse points; at the rows where there are none, as in
    :class:`~skcfq.QATClassifier`. The widths of least total within the budget are taken exactly:
    the integer program over :math:`\sum_u n_u b_u`, where :math:`n_u` weights lead to unit u.

    Units need a weight step each (``granularity="per_channel"``) and activations of a width of
    their own (``activation_bits=8``), as by default.

    Examples
    --------
    >>> UnitBits(candidates=(2, 4, 8)).candidates
    (2, 4, 8)
    """

    def __init__(self, candidates: tuple[int, ...] = (2, 3, 4, 8)) -> None:
        self.candidates = candidates

    def choose(
        self, network: QuantizedNetwork, budget: float, sample: BitSample
    ) -> list[list[int]]:
        """Measure every unit, and allocate."""
        known = torch.cat([sample.rows, sample.points])
        weights = torch.cat([sample.weights, sample.point_weights])
        errors = unit_errors(network, *_where_it_counts(sample), fitted_to=(known, weights))
        fan_in = [layer.weight_matrix.shape[1] for layer in network.quantized_layers]
        n_units = [len(one) for one in errors]
        sizes = [n for n, units in zip(fan_in, n_units, strict=True) for _ in range(units)]
        widths = allocate_bits(-torch.cat(errors).numpy(), sizes, network.candidates, budget)
        return [one.tolist() for one in torch.tensor(widths).split(n_units)]


def _where_it_counts(sample: BitSample) -> tuple[Tensor, Tensor]:
    """Return recourse points and their weights, or rows where there are none."""
    if sample.point_weights.sum() > 0:
        return sample.points, sample.point_weights
    return sample.rows, sample.weights
