"""One row at a time: tables from a category's value to its sums, and one small vector of numbers.

What stands in most rows is text that training knew and finite numbers, as Python's own values.
Everything else, and what compares in ways of its own, goes the way of whole columns.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from skcfq.deploy._first_layer import PLAIN, FirstLayer, UnusualRowsError
from skcfq.deploy._products import ExactNetwork
from skcfq.exceptions import FeatureSpaceError

_LARGEST = sys.float_info.max


class OneRow:
    """A network on rows of Python's own values.

    Parameters
    ----------
    network : ExactNetwork
    first : FirstLayer
    n_raw : int
        Number of raw columns.
    """

    def __init__(self, network: ExactNetwork, first: FirstLayer, n_raw: int) -> None:
        layer, self._numbers = network.layers[0], first.numbers
        self._n_raw = n_raw
        self._layers, self._logit_scale = network.layers, network.logit_scale
        # Of each place that has sums, these.
        self._tables = [
            (one.position, one.places, [row if known else None for row, known in
             zip(one.sums * layer.scale, one.is_known, strict=True)])
            for one in first.tables
        ]  # fmt: skip
        self._matrix = first.matrix * layer.scale
        self._fill = self._numbers.fill.tolist()
        used = {one.position for one in first.tables} | {*self._numbers.positions}
        used |= {position for position, _, _ in self._numbers.others}
        self._unused = [position for position in range(n_raw) if position not in used]
        self._largest = self._largest_numbers()

    def _largest_numbers(self) -> float:
        """Return what numbers may add up to so that none leaves the floats on its way."""
        one, most = self._numbers, 2.0**500
        with np.errstate(over="ignore"):
            farthest = (np.abs(one.scale) * most + np.abs(one.offset)) / one.codes.steps
        return most if np.isfinite(farthest).all() else 0.0

    def logits(self, rows: Sequence[Any]) -> np.ndarray:
        """Return the logits of rows, shape (n, n_classes).

        Parameters
        ----------
        rows : sequence of list or tuple of length n_raw

        Raises
        ------
        UnusualRowsError
            One holds something else than finite numbers and values that the tables know.
        """
        layers = self._layers
        if len(rows) == 1:
            codes = layers[0].output(self._totals(rows[0]))
        else:
            codes = layers[0].output(np.array([self._totals(row) for row in rows]))
        for layer in layers[1:]:
            codes = layer.run_few(codes)
        logits = codes * self._logit_scale
        return logits[None] if len(rows) == 1 else logits

    def _totals(self, row: Any) -> np.ndarray:
        """Return the scaled totals of the first layer, shape (H,)."""
        if not PLAIN.issuperset(map(type, row)):
            row = [_unwrapped(value) for value in row]
            if not PLAIN.issuperset(map(type, row)):
                raise UnusualRowsError
        if len(row) != self._n_raw:
            raise UnusualRowsError
        total = self._layers[0].offset.copy()
        for position, places, sums in self._tables:
            own = sums[places[row[position]]]
            if own is None:
                raise UnusualRowsError
            total += own
        if len(self._matrix):
            total += self._codes(row).dot(self._matrix)
        for position in self._unused:
            # Nobody reads them, but an estimator refuses what is no finite number.
            value = row[position]
            if not (type(value) is str or value != value or abs(value) <= _LARGEST):
                raise UnusualRowsError
        return total

    def _codes(self, row: Any) -> np.ndarray:
        """Return the codes of the numbers of a row, shape (k,)."""
        one = self._numbers
        numbers = [row[position] for position in one.positions]
        try:
            # Text has no size, and no comparison holds for a gap.
            if not sum(map(abs, numbers)) < self._largest:
                pairs = zip(numbers, self._fill, strict=False)
                numbers = [fill if value != value else value for value, fill in pairs]
                if not sum(map(abs, numbers)) < self._largest:
                    raise UnusualRowsError
        except TypeError:
            raise UnusualRowsError from None
        # What blocks compute lies behind, and takes no part until then.
        numbers += [0.0] * (len(one.scale) - len(numbers))
        Z = np.array(numbers, dtype=np.float64)
        Z *= one.scale
        Z += one.offset
        try:
            for position, block, own in one.others:
                Z[own] = block.encode(np.array([row[position]], dtype=object))[0]
        except FeatureSpaceError as error:
            raise UnusualRowsError from error
        if one.others and not np.isfinite(Z).all():
            raise UnusualRowsError
        return one.codes.of(Z)


def _unwrapped(value: Any) -> Any:
    """Return a number as Python's own where it compares as that does, in an object column too."""
    return value.item() if isinstance(value, (np.integer, np.float64)) else value
