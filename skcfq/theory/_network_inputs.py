"""Boxes of encoded points as the first layer of a network reads them: codes, or numbers.

An integer network sees nothing but codes, so a box of encoded points is a box of finitely many
points to it. Both kinds are counted in units: a code, or an encoded unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skcfq.proofs import Network
from skcfq.theory._row_boxes import RowBoxes
from skcfq.utils import tile_products


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """What a network reads of the boxes around n rows.

    Attributes
    ----------
    network : Network
    boxes : RowBoxes
        Of which m columns move.
    """

    network: Network
    boxes: RowBoxes

    @property
    def are_codes(self) -> bool:
        """Whether the network reads integer codes."""
        return self.network.integers is not None

    @cached_property
    def own(self) -> np.ndarray:
        """What moves at the rows themselves, in units, shape (n, m)."""
        return self._units(self.boxes.origin)

    @cached_property
    def low(self) -> np.ndarray:
        """Lower ends of what moves, in units, shape (n, m)."""
        return self._units(self.boxes.low)

    @cached_property
    def high(self) -> np.ndarray:
        """Upper ends of what moves, in units, shape (n, m)."""
        return self._units(self.boxes.high)

    @cached_property
    def slopes(self) -> np.ndarray:
        """What one unit adds to the totals of the first layer, shape (m, H)."""
        columns, integers = self.boxes.columns, self.network.integers
        slopes = self.network.layers[0].matrix[columns]
        return slopes if integers is None else slopes * integers.input_factors[columns, None]

    @cached_property
    def rest(self) -> np.ndarray:
        """Totals of the first layer but for what moves, shape (n, H)."""
        first, inputs = self.network.layers[0], self.network.inputs(self.boxes.origin).copy()
        inputs[:, self.boxes.columns] = 0.0
        return tile_products(inputs, first.matrix) + first.offset

    def totals(self, row: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return the totals of the first layer at points (N, m) of rows (N,), shape (N, H)."""
        return self.rest[row] + tile_products(units, self.slopes)

    def totals_between(
        self, row: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the totals of the first layer over N boxes of rows."""
        middle = self.totals(row, (low + high) / 2)
        radius = tile_products((high - low) / 2, np.abs(self.slopes))
        return middle - radius, middle + radius

    def encoded(self, row: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return encoded points of the boxes that are read as given units, shape (N, d).

        Of all that are read as one code, the middle one; the own value where it is.
        """
        boxes, columns = self.boxes, self.boxes.columns
        values = units
        if self.network.integers is not None:
            step = self.network.integers.input_steps[columns]
            least, most = self.network.integers.input_range
            # Codes at the ends of their range stand for all that is beyond.
            below = np.where(units <= least[columns], -np.inf, (units - 0.5) * step)
            above = np.where(units >= most[columns], np.inf, (units + 0.5) * step)
            low = np.maximum(below, boxes.low[row][:, columns])
            high = np.minimum(above, boxes.high[row][:, columns])
            values = (low + high) / 2
        points = boxes.origin[row]
        points[:, columns] = np.where(self.own[row] == units, points[:, columns], values)
        return points

    def _units(self, encoded: np.ndarray) -> np.ndarray:
        columns, integers = self.boxes.columns, self.network.integers
        if integers is None:
            return encoded[:, columns]
        codes = np.rint(encoded[:, columns] / integers.input_steps[columns])
        least, most = (end[columns] for end in integers.input_range)
        return np.clip(codes, least, most)
