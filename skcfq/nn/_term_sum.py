"""Weighted means of losses of rows, and their weighted sum."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Part(NamedTuple):
    """Rows that follow each other in a vector of losses, and whose mean is one term.

    Attributes
    ----------
    name : str
        Of the term; one without a name is not reported.
    weight : float
        Of the mean in the sum.
    shares : Tensor of shape (n,)
        Of each row in the mean, as of :func:`shares_of`.
    apart : bool, default=False
        The losses are no part of the sum, but of the vector ``apart``, with their weight.
    """

    name: str
    weight: float
    shares: Tensor
    apart: bool = False


class TermSum:
    """Sum of weighted means of row losses, with one product a vector of losses.

    Attributes
    ----------
    terms : dict of str to Tensor of shape ()
        The mean of every part that has a name, without a graph.
    value : Tensor of shape () or None
        The weighted sum; None before anything was added.
    apart : Tensor of shape (n,) or None
        Sum of the weighted losses of the parts that are kept apart, row by row.

    Notes
    -----
    On small networks a node of the graph costs more than its arithmetic. So the means of all parts
    of a vector are one product in the graph, and those that are reported are taken outside of it.

    Examples
    --------
    >>> total, losses = TermSum(), torch.tensor([1.0, 3.0, 4.0])
    >>> own, other = torch.full((2,), 0.5), torch.ones(1)
    >>> total.add(losses, Part("own", 1.0, own), Part("other", 2.0, other))
    >>> total.terms, total.value
    ({'own': tensor(2.), 'other': tensor(4.)}, tensor(10.))
    """

    def __init__(self) -> None:
        self.terms: dict[str, Tensor] = {}
        self.value: Tensor | None = None
        self.apart: Tensor | None = None

    def add(self, losses: Tensor, *parts: Part) -> None:
        """Add the means of consecutive parts of some losses.

        Parameters
        ----------
        losses : Tensor of shape (n,)
            n is the number of rows of all parts.
        *parts : Part
            One whose weight is 0 is reported only.
        """
        start, factors, reported = 0, [], losses.detach()
        for name, weight, shares, apart in parts:
            end = start + len(shares)
            if name:
                self.terms[name] = reported[start:end] @ shares
            if apart and weight > 0:
                given = weight * losses[start:end]
                self.apart = given if self.apart is None else self.apart + given
            factors.append(_times(0.0 if apart else weight, shares))
            start = end
        self.plus(losses @ (torch.cat(factors) if len(factors) > 1 else factors[0]))

    def plus(self, value: Tensor) -> None:
        """Add a number to the sum."""
        self.value = value if self.value is None else self.value + value


def shares_of(weights: Tensor) -> Tensor:
    r"""Return :math:`w_i / \sum_j w_j`; 0 where all weights are 0.

    Parameters
    ----------
    weights : Tensor of shape (n,)
        Non-negative.

    Examples
    --------
    >>> shares_of(torch.tensor([1.0, 3.0]))
    tensor([0.2500, 0.7500])
    """
    return weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def _times(weight: float, shares: Tensor) -> Tensor:
    return shares if weight == 1 else weight * shares
