"""One row at a time: tables from a category's value to its sums, and one small vector of numbers.

What stands in most rows is text that training knew and finite numbers, as Python's own values.
Everything else, and what compares in ways of its own, goes the way of whole columns.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from skcfq.deploy._first_layer import FirstLayer, LevelSums, UnusualRowsError
from skcfq.deploy._products import ExactNetwork

_PLAIN = frozenset({str, int, float})
_LARGEST = sys.float_info.max
# Up to here, whole numbers and floats are equal where Python says so.
_WHOLE = 2**53
# Values of a column that are remembered.
_MOST_VALUES = 1 << 14


class _SumsOf(dict):
    """The scaled sums of the values of a category, which are asked for once."""

    def __init__(self, table: LevelSums, scale: np.ndarray) -> None:
        super().__init__()
        self._table, self._scale = table, scale

    def __missing__(self, value: Any) -> np.ndarray:
        forms = [np.array([value], dtype=object)]
        if type(value) is not str:
            # One key stands for the number in every type that a column may have.
            if not abs(value) < _WHOLE:
                raise UnusualRowsError
            alike = [float(value)] + ([int(value)] if value == int(value) else [])
            forms += [np.array([one], dtype=kind) for one in alike for kind in (None, object)]
        levels = {int(self._table.block.level_of(form)[0]) for form in forms}
        place = levels.pop() + 1
        if levels or place == 0 or not self._table.is_known[place]:
            raise UnusualRowsError
        if len(self) >= _MOST_VALUES:
            self.clear()
        sums = self[value] = self._table.sums[place] * self._scale
        return sums


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
        self._tables = [(one.position, _SumsOf(one, layer.scale)) for one in first.tables]
        self._matrix = first.matrix * layer.scale
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

    def logits(self, row: Any) -> np.ndarray:
        """Return the logits of a row, shape (n_classes,).

        Parameters
        ----------
        row : list or tuple of length n_raw

        Raises
        ------
        UnusualRowsError
            It holds something else than finite numbers and values that the tables know.
        """
        if len(row) != self._n_raw or not _PLAIN.issuperset(map(type, row)):
            raise UnusualRowsError
        layers = self._layers
        total = layers[0].offset.copy()
        for position, sums_of in self._tables:
            total += sums_of[row[position]]
        if len(self._matrix):
            total += self._codes(row).dot(self._matrix)
        for position in self._unused:
            # Nobody reads them, but an estimator refuses what is no finite number.
            value = row[position]
            if not (type(value) is str or value != value or abs(value) <= _LARGEST):
                raise UnusualRowsError
        codes = layers[0].output(total)
        for layer in layers[1:]:
            codes = layer.run_few(codes)
        return codes * self._logit_scale

    def _codes(self, row: Any) -> np.ndarray:
        """Return the codes of the numbers of a row, shape (k,)."""
        one = self._numbers
        numbers = [row[position] for position in one.positions]
        try:
            # Text has no size, and no comparison holds for a gap.
            if not sum(map(abs, numbers)) < self._largest:
                raise UnusualRowsError
        except TypeError:
            raise UnusualRowsError from None
        if not one.others:
            Z = np.array(numbers, dtype=np.float64)
            Z *= one.scale
            Z += one.offset
            return one.codes.of(Z)
        columns: dict[int, Any] = {
            position: np.array([row[position]], dtype=object)
            for position in (*one.positions, *(position for position, _, _ in one.others))
        }
        return one.codes.of(one.encode(columns, slice(0, 1)))[0]
