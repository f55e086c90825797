r"""The products of an integer network as they are run: exact, in blocks, in the narrowest floats.

A sum of products of codes is exact in float32 in any order where no sum of absolute products
reaches 2^24, and in float64 below 2^53. What follows is one factor and one offset a unit:

.. math::
    q_\ell = \mathrm{clip}(\lfloor \alpha\,W_\ell q_{\ell-1} + \beta\rceil, 0, Q_\ell),
    \qquad \alpha = m\,2^{f-k}, \quad \beta = b\,m\,2^{-k}

Both are exact in float64 where all totals times their multipliers stay below 2^53, which is how
networks are made. :class:`ExactNetwork` checks the bounds of each layer, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

# Whole numbers up to these are floats.
_FLOAT32, _FLOAT64 = 2.0**24, 2.0**53
# Below, a cast takes longer than what it saves.
_FEW_ROWS = 24
# Numbers of a block: what it needs stays in a cache.
_BLOCK_NUMBERS = 1 << 17
_MOST_ROWS, _FEWEST_ROWS = 2048, 64
_LONG_ROW = 16
_ZERO = np.zeros(())


def row_blocks(n: int, width: int, at_least: int = _FEWEST_ROWS) -> Iterator[slice]:
    """Yield slices of n rows that are run together; ``width`` is that of the widest of tables.

    Examples
    --------
    >>> [(rows.start, rows.stop) for rows in row_blocks(3000, 100)]
    [(0, 1310), (1310, 2620), (2620, 3000)]
    """
    size = max(at_least, min(_MOST_ROWS, _BLOCK_NUMBERS // max(width, 1)))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


class Scratch:
    """Arrays that one block of rows leaves to the next: the system need not clear new memory.

    Examples
    --------
    >>> scratch = Scratch()
    >>> scratch.take("sums", (8, 2)) is not scratch.take("codes", (8, 2))
    True
    >>> np.shares_memory(scratch.take("sums", (8, 2)), scratch.take("sums", (5, 2)))
    True
    """

    def __init__(self) -> None:
        self._arrays: dict[Any, np.ndarray] = {}

    def take(self, key: Any, shape: tuple[int, int], dtype: Any = np.float64) -> np.ndarray:
        """Return an array of any content; the first one that is asked for is the longest."""
        array = self._arrays.get(key)
        if array is None:
            # Short rows are slow to walk along: their columns lie in one piece.
            order: Any = "C" if shape[1] >= _LONG_ROW else "F"
            array = self._arrays[key] = np.empty(shape, dtype=dtype, order=order)
        return array[: shape[0]]


@dataclass(frozen=True, eq=False)
class ExactLayer:
    """One layer, whose sums of products are known to be exact.

    Attributes
    ----------
    matrix : ndarray of shape (n_in, n_out), float32 or float64
        Weight codes, in the type in which sums of products are exact.
    scale, offset : ndarray of shape (n_out,), float64
        α and β.
    highest : float64 ndarray of shape ()
        Highest code Q of the rectified output; 0 in the last layer.
    """

    matrix: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, layer: Any, entering: np.ndarray, factors: np.ndarray | float) -> ExactLayer | None:
        """Return an integer layer in this form; None where its sums may not be exact.

        Parameters
        ----------
        layer : IntegerLayer
        entering : ndarray of shape (n_in,), float64
            Highest absolute codes that enter.
        factors : ndarray of shape (n_in,), or 1
            Powers of two that multiply these codes.
        """
        weights = np.ascontiguousarray(layer.weight.T, dtype=np.float64)
        weights *= np.reshape(factors, (-1, 1))
        reach = entering @ np.abs(weights)
        multiplier, shift = layer.multiplier, layer.shift
        if not np.any(multiplier):
            multiplier, shift = 1, 0
        multiplier = np.asarray(multiplier, dtype=np.float64)
        bias = layer.bias.astype(np.float64)
        totals = reach * layer.unit_factors + np.abs(bias)
        if not (totals * multiplier < _FLOAT64).all():
            return None
        narrow = reach.max(initial=0.0) <= _FLOAT32
        exponents = np.asarray(layer.fraction_bits) - np.asarray(shift)
        n_out = len(bias)
        return cls(
            weights.astype(np.float32) if narrow else weights,
            np.broadcast_to(np.ldexp(multiplier, exponents), n_out).copy(),
            np.ldexp(bias * multiplier, -np.asarray(shift)),
            np.array(float(layer.levels)),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether float32 holds all sums of products."""
        return self.matrix.dtype == np.float32

    @cached_property
    def scaled(self) -> np.ndarray:
        """The weight codes times α, float64 of shape (n_in, n_out): products exact too."""
        return self.matrix * self.scale

    def output(self, totals: np.ndarray) -> np.ndarray:
        """Rectify scaled totals, float64, in their place: the codes that leave the layer."""
        if self.highest:
            np.rint(totals, out=totals)
            # Limits that are arrays need no conversion, which a single row would feel.
            totals.clip(_ZERO, self.highest, out=totals)
        return totals

    def run_sums(self, sums: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return what leaves the layer, float64, of sums of products of shape (n, n_out)."""
        totals = np.multiply(sums, self.scale, out=scratch.take((self, "totals"), sums.shape))
        totals += self.offset
        return self.output(totals)

    def run(self, codes: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return what leaves the layer, float64, of codes of shape (n, n_in)."""
        dtype = self.matrix.dtype
        if codes.dtype != dtype:
            entering = scratch.take((self, "codes"), codes.shape, dtype)
            np.copyto(entering, codes, casting="same_kind")
            codes = entering
        sums = scratch.take((self, "sums"), (len(codes), len(self.scale)), dtype)
        return self.run_sums(np.matmul(codes, self.matrix, out=sums), scratch)

    def run_few(self, codes: np.ndarray) -> np.ndarray:
        """Return what leaves the layer, float64, of codes of a few rows or of one, float64."""
        totals = codes.dot(self.scaled)
        totals += self.offset
        return self.output(totals)


@dataclass(frozen=True, eq=False)
class InputCodes:
    """How encoded columns become codes, before their shifts.

    Attributes
    ----------
    steps, lowest, highest : ndarray of shape (n_inputs,), float64
    """

    steps: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    def take(self, columns: np.ndarray) -> InputCodes:
        """Return the codes of some columns."""
        return InputCodes(self.steps[columns], self.lowest[columns], self.highest[columns])

    def of(self, Z: np.ndarray) -> np.ndarray:
        """Return the codes of encoded rows, float64 like them, of shape (..., n_inputs)."""
        codes = Z / self.steps
        np.rint(codes, out=codes)
        np.maximum(codes, self.lowest, out=codes)
        return np.minimum(codes, self.highest, out=codes)

    def narrow(self, Z: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return the codes of encoded rows as float32 of shape (n, n_inputs)."""
        exact = np.divide(Z, self.steps, out=scratch.take((self, "exact"), Z.shape))
        np.rint(exact, out=exact)
        codes = scratch.take((self, "codes"), Z.shape, np.float32)
        # What is beyond float32 is beyond the limits too, which float32 holds exactly.
        with np.errstate(over="ignore"):
            np.copyto(codes, exact, casting="same_kind")
        np.maximum(codes, self._narrow_limits[0], out=codes)
        return np.minimum(codes, self._narrow_limits[1], out=codes)

    @cached_property
    def _narrow_limits(self) -> tuple[np.ndarray, np.ndarray]:
        return self.lowest.astype(np.float32), self.highest.astype(np.float32)


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """An integer network whose products are known to be exact.

    Attributes
    ----------
    inputs : InputCodes
    layers : tuple of ExactLayer
        The shifts of the inputs are in the first one's matrix.
    logit_scale : float64 ndarray of shape ()
    """

    inputs: InputCodes
    layers: tuple[ExactLayer, ...]
    logit_scale: np.ndarray

    @classmethod
    def of(
        cls,
        inputs: InputCodes,
        factors: np.ndarray,
        layers: Sequence[Any],
        logit_scale: float,
    ) -> ExactNetwork | None:
        """Return integer layers in this form; None where the sums of one may not be exact."""
        entering, made = np.maximum(np.abs(inputs.lowest), np.abs(inputs.highest)), []
        for layer in layers:
            one = ExactLayer.of(layer, entering, factors)
            if one is None:
                return None
            made.append(one)
            entering, factors = np.full(len(layer.bias), float(layer.levels)), np.ones(())
        return cls(inputs, tuple(made), np.array(logit_scale))

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.layers[-1].offset)

    @cached_property
    def width(self) -> int:
        """Number of units of the widest layer."""
        return max(len(layer.offset) for layer in self.layers)

    def totals(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer totals of encoded rows, float64 of shape (n, n_classes)."""
        totals = np.empty((len(Z), self.n_classes))
        for rows, block in self._blocks(Z):
            totals[rows] = block
        return totals

    def decisions(self, Z: np.ndarray) -> np.ndarray:
        """Return the position of the first of the largest totals, shape (n,)."""
        positions = np.empty(len(Z), dtype=np.intp)
        for rows, block in self._blocks(Z):
            positions[rows] = block.argmax(axis=1)
        return positions

    def _blocks(self, Z: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        if len(Z) < _FEW_ROWS:
            codes = self.inputs.of(Z)
            for layer in self.layers:
                codes = layer.run_few(codes)
            yield slice(None), codes
            return
        first, scratch = self.layers[0], Scratch()
        for rows in row_blocks(len(Z), max(self.width, len(self.inputs.steps))):
            block = Z[rows]
            if first.is_narrow:
                codes = self.inputs.narrow(block, scratch)
            else:
                codes = self.inputs.of(block)
            yield rows, self.after_first(first.run(codes, scratch), scratch)

    def after_first(self, codes: np.ndarray, scratch: Scratch) -> np.ndarray:
        """Return the totals, of the codes that leave the first layer, shape (n, n_classes)."""
        for layer in self.layers[1:]:
            codes = layer.run(codes, scratch)
        return codes
