"""Widths of least measured loss under a budget, where any function of all widths is the loss."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from skcfq.quantization._allocation import allocate_bits, capacity_of
from skcfq.quantization._bits import check_candidates

# Losses that differ by less than this share of them are alike.
_TIE = 0.02
# So many choices at most are measured around a best one in which two layers differ from it.
_MOST_PAIRS = 256

LossOfWidths = Callable[[tuple[int, ...]], float]


class MeasuredLosses:
    """A loss of all widths together that is measured once for each choice.

    Parameters
    ----------
    measure : callable
        One width a layer to a loss; what is no number counts as the largest loss.
    candidates : iterable of int
        Increasing widths, R of them.

    Examples
    --------
    >>> losses = MeasuredLosses(lambda widths: 1 / sum(widths), (2, 8))
    >>> losses.around((2, 2)).tolist()
    [[0.25, 0.1], [0.25, 0.1]]
    >>> len(losses.measured)
    3
    """

    def __init__(self, measure: LossOfWidths, candidates: Iterable[int]) -> None:
        self._measure = measure
        self._known: dict[tuple[int, ...], float] = {}
        self.candidates = check_candidates(candidates)

    def __call__(self, widths: Sequence[int]) -> float:
        key = tuple(int(width) for width in widths)
        if key not in self._known:
            loss = float(self._measure(key))
            self._known[key] = math.inf if math.isnan(loss) else loss
        return self._known[key]

    @property
    def measured(self) -> list[tuple[int, ...]]:
        """The choices that were measured so far."""
        return list(self._known)

    def around(self, center: Sequence[int]) -> np.ndarray:
        """Return the loss of every width of a layer while the others have those of the center.

        Parameters
        ----------
        center : sequence of int of shape (L,)

        Returns
        -------
        losses : ndarray of shape (L, R)
        """
        given = [int(width) for width in center]
        rows = [
            [self([*given[:layer], width, *given[layer + 1 :]]) for width in self.candidates]
            for layer in range(len(given))
        ]
        return np.array(rows)


def search_widths(
    losses: MeasuredLosses,
    n_weights: Sequence[int],
    budget: float,
    start: Sequence[int],
    *,
    most: int = 64,
) -> list[int]:
    r"""Return widths of small measured loss under a budget.

    Parameters
    ----------
    losses : MeasuredLosses
    n_weights : sequence of int of shape (L,)
    budget : float
        Average bits per weight, at most.
    start : sequence of int of shape (L,)
        Where the search begins, where not every choice is measured; within the budget.
    most : int, default=64
        Every choice is measured where there are at most so many, R^L.

    Returns
    -------
    list of int
        Of the choices that were measured and lose at most 2 % more than the best of them, the one
        with the most bits: a wider layer can do what a narrower one does, and loses more only at
        its steps of the moment.

    Notes
    -----
    Of many layers, the loss of every width of one layer is measured around the best choice so far,
    and these are added up: for each layer and each of its widths, the widths of the others with
    the least sum under the budget are found exactly, and measured; then, of up to six layers, all
    choices in which two layers differ from the best. The search goes on from the best of all that
    was measured, until there is no better one.

    Examples
    --------
    >>> losses = MeasuredLosses(lambda widths: 4.0 ** -widths[0] + 9 * 4.0 ** -widths[1], (2, 4, 8))
    >>> search_widths(losses, [100, 100], 5, (4, 4))
    [4, 4]
    >>> search_widths(losses, [10, 100], 5, (4, 4))
    [8, 4]
    """
    sizes = [int(n) for n in n_weights]
    capacity = capacity_of(min(budget, losses.candidates[-1]), sum(sizes))

    def bits_of(widths: Iterable[int]) -> int:
        return sum(n * bits for n, bits in zip(sizes, widths, strict=True))

    def measured_within() -> list[tuple[int, ...]]:
        return [widths for widths in losses.measured if bits_of(widths) <= capacity]

    def measure(choices: Iterable[Sequence[int]]) -> tuple[int, ...]:
        """Measure what is within the budget, and return the best of all so far."""
        for widths in choices:
            if bits_of(widths) <= capacity:
                losses(widths)
        return min(measured_within(), key=losses)

    if len(losses.candidates) ** len(sizes) <= most:
        measure(itertools.product(losses.candidates, repeat=len(sizes)))
    else:
        best, found = None, measure([start, *([bits] * len(sizes) for bits in losses.candidates)])
        while found != best:
            best = found
            found = measure(_proposals(losses, sizes, budget, best))
            if found == best:
                found = measure(_pairs(best, losses.candidates))
    within = measured_within()
    bound = min(map(losses, within))
    bound += _TIE * abs(bound)
    return list(max((one for one in within if losses(one) <= bound), key=bits_of))


def _proposals(
    losses: MeasuredLosses, sizes: list[int], budget: float, center: Sequence[int]
) -> list[list[int]]:
    """Return the best choices of the added losses, one with each width of each layer."""
    found = losses.around(center)
    largest = found[np.isfinite(found)].max(initial=0.0)
    scores = -np.where(np.isfinite(found), found, 2.0 * abs(largest) + 1.0)
    forced = 1.0 + 2.0 * np.ptp(scores, axis=1).sum()
    proposed = [allocate_bits(scores, sizes, losses.candidates, budget, spend=True)]
    for layer, index in itertools.product(range(len(sizes)), range(len(losses.candidates))):
        raised = scores.copy()
        raised[layer, index] += forced
        proposed.append(allocate_bits(raised, sizes, losses.candidates, budget))
    return proposed


def _pairs(center: Sequence[int], candidates: Sequence[int]) -> Iterator[list[int]]:
    """Yield every choice in which two layers differ from the center, where these are not many."""
    n_layers = len(center)
    if math.comb(n_layers, 2) * len(candidates) ** 2 > _MOST_PAIRS:
        return
    for pair in itertools.combinations(range(n_layers), 2):
        for given in itertools.product(candidates, repeat=2):
            widths = list(center)
            for layer, bits in zip(pair, given, strict=True):
                widths[layer] = bits
            yield widths
