r"""The one arithmetic of quantized networks: what ``predict`` computes, wherever it runs.

Inputs are rounded to signed codes, each column at its own power of two of one step. Every layer
adds up products of integer codes exactly, adds an integer bias, and hidden layers rescale the sum
by an integer multiplier and a shift, round half to even, and clip. All classes share one scale, so
the decision is the argmax of integers; of equal ones the first class wins. With input :math:`z`,
step :math:`s_0`, column shift :math:`c` and unit :math:`2^u`, weight codes :math:`W`, bias
:math:`b`, accumulator shift :math:`f`, multiplier :math:`m`, shift :math:`k` and highest code
:math:`Q`:

.. math::
    q_0 &= 2^c\,\mathrm{clip}(\lfloor z/(2^{c+u} s_0)\rceil, -2^{b_0-1}, 2^{b_0-1}-1) \\
    t_\ell &= 2^{f_\ell}\,W_\ell q_{\ell-1} + b_\ell \\
    q_\ell &= \mathrm{clip}(\lfloor t_\ell m_\ell / 2^{k_\ell}\rceil, 0, Q_\ell)

Where every unit has a weight step of its own, :math:`f`, :math:`m` and :math:`k` are those of the
unit, and the totals of the last layer are multiplied by :math:`m`, which gives the classes their
common scale.

The integers are carried in float64, because the fast matrix products of numpy, torch and
onnxruntime are those of floating-point numbers. Every number above stays below 2^53, so each
product, sum and shift is exact in any order: an engine that computes in int32 or int64 gets the
same result, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from skcfq.deploy._products import ExactNetwork, InputCodes


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One layer of an :class:`IntegerNetwork`.

    Attributes
    ----------
    weight : int8 or int16 ndarray of shape (n_out, n_in)
        Weight codes.
    bits : int or int64 ndarray of shape (n_out,)
        Width of the codes, of the layer or of each unit.
    step : float or ndarray of shape (n_out,), float64
        Weight step, of the layer or of each unit: a weight is its code times this.
    bias : int64 ndarray of shape (n_out,)
        In units of the accumulator.
    fraction_bits : int or int64 ndarray of shape (n_out,)
        f: the accumulator's unit is the product of the input's step and ``step``, over 2^f.
    multiplier, shift : int or int64 ndarray of shape (n_out,)
        m and k. In the last layer 0 and 0, and its totals are the logits; with one step a class
        the totals are multiplied by m, and k is 0.
    levels : int
        Highest code Q of the rectified output; 0 in the last layer.
    """

    weight: np.ndarray
    bits: int | np.ndarray
    step: float | np.ndarray
    bias: np.ndarray
    fraction_bits: int | np.ndarray
    multiplier: int | np.ndarray = 0
    shift: int | np.ndarray = 0
    levels: int = 0

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self.weight.size

    @property
    def unit_bits(self) -> np.ndarray:
        """Width of the codes of each unit, int64 of shape (n_out,)."""
        return np.full(len(self.weight), self.bits, dtype=np.int64)

    @property
    def widest(self) -> int:
        """The widest of the widths."""
        return int(np.max(self.bits))

    @cached_property
    def matrix(self) -> np.ndarray:
        """Weight codes times 2^f as float64, shape (n_in, n_out)."""
        return np.ascontiguousarray(self.weight.T.astype(np.float64)) * self.unit_factors

    @cached_property
    def offset(self) -> np.ndarray:
        """Bias as float64, shape (n_out,)."""
        return self.bias.astype(np.float64)

    @property
    def unit_factors(self) -> np.ndarray:
        """2^f as float64, shape () or (n_out,)."""
        return np.ldexp(1.0, self.fraction_bits)

    @cached_property
    def rescale(self) -> float | np.ndarray | None:
        """The factor m / 2^k, exactly, of shape () or (n_out,); None where there is none."""
        if not np.any(self.multiplier):
            return None
        factor = np.ldexp(np.asarray(self.multiplier, dtype=np.float64), -np.asarray(self.shift))
        return factor if factor.ndim else float(factor)

    @property
    def is_per_channel(self) -> bool:
        """Whether every unit has a step of its own."""
        return np.ndim(self.step) > 0

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed on demand."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A quantized network as integers; numpy alone runs it.

    Attributes
    ----------
    input_step : float
        Step of the finest inputs.
    input_bits : int
        Width of the inputs.
    layers : tuple of IntegerLayer
    logit_scale : float
        A logit is an integer total times this.
    input_shifts : int64 ndarray of shape (n_inputs,)
        A column's codes are shifted by this, so that its step is ``input_step`` times 2 to this.
    input_units : int64 ndarray of shape (n_inputs,) or None
        A column is divided by 2 to this before all else; None divides by 1.
    input_centers : int64 ndarray of shape (n_inputs,) or None
        The codes of a column lie around this one; None stands for 0.

    Examples
    --------
    >>> layer = IntegerLayer(np.array([[0, 0], [1, -2]]), 2, 0.5, np.array([0, 1]), 0)
    >>> network = IntegerNetwork(0.25, 8, (layer,), 0.125, np.zeros(2, int))
    >>> network.logits(np.array([[1.0, 0.3]])).tolist()
    [[0.0, 0.375]]
    >>> network.decisions(np.array([[1.0, 0.3], [-1.0, 1.0]])).tolist()
    [1, 0]
    """

    input_step: float
    input_bits: int
    layers: tuple[IntegerLayer, ...]
    logit_scale: float
    input_shifts: np.ndarray
    input_units: np.ndarray | None = None
    input_centers: np.ndarray | None = None

    @cached_property
    def input_factors(self) -> np.ndarray:
        """What the shifts multiply by, float64 of shape (n_inputs,)."""
        return np.ldexp(1.0, self.input_shifts)

    @cached_property
    def input_steps(self) -> np.ndarray:
        """The step that each column is rounded at, float64 of shape (n_inputs,)."""
        steps = self.input_step * self.input_factors
        return steps if self.input_units is None else np.ldexp(steps, self.input_units)

    @property
    def n_inputs(self) -> int:
        """Number of encoded columns."""
        return self.layers[0].weight.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.layers[-1].bias)

    @property
    def bit_widths(self) -> np.ndarray:
        """Weight bits of each layer, shape (L,): whole, or averages where units differ."""
        if any(np.ndim(layer.bits) for layer in self.layers):
            return np.array([layer.unit_bits.mean() for layer in self.layers])
        return np.array([layer.bits for layer in self.layers])

    @property
    def average_bits(self) -> float:
        """Average weight bits per weight."""
        bits = [int(layer.unit_bits.sum()) * layer.weight.shape[1] for layer in self.layers]
        return sum(bits) / sum(layer.n_weights for layer in self.layers)

    @cached_property
    def input_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest code of every column, before its shift, float64 of (n_inputs,)."""
        centers = np.zeros(self.n_inputs) if self.input_centers is None else self.input_centers
        half = 2.0 ** (self.input_bits - 1)
        return centers - half, centers + (half - 1)

    def codes(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer codes of encoded rows, as float64 of shape (n, n_inputs).

        Parameters
        ----------
        Z : ndarray of shape (n, n_inputs), float64
        """
        codes = np.rint(np.asarray(Z, dtype=np.float64) / self.input_steps)
        np.clip(codes, *self.input_range, out=codes)
        codes *= self.input_factors
        return codes

    def totals(self, Z: np.ndarray) -> np.ndarray:
        """Return the integer totals of the last layer, as float64 of shape (n, n_classes).

        Parameters
        ----------
        Z : ndarray of shape (n, n_inputs), float64
            Encoded rows without gaps.
        """
        Z = np.asarray(Z, dtype=np.float64)
        return self.defined_totals(Z) if self.exact is None else self.exact.totals(Z)

    @cached_property
    def exact(self) -> ExactNetwork | None:
        """The products as they are run; None where float64 may not hold each of them exactly.

        That is no network of :func:`integer_network`, but a file may hold one.
        """
        inputs = InputCodes(self.input_steps, *self.input_range)
        return ExactNetwork.of(inputs, self.input_factors, self.layers, self.logit_scale)

    def defined_totals(self, Z: np.ndarray) -> np.ndarray:
        """Return the totals as they are defined, one operation after the other."""
        codes = self.codes(Z)
        for layer in self.layers:
            codes = codes @ layer.matrix
            codes += layer.offset
            if layer.rescale is not None:
                codes *= layer.rescale
            if layer.levels:
                np.rint(codes, out=codes)
                np.clip(codes, 0.0, float(layer.levels), out=codes)
        return codes

    def logits(self, Z: np.ndarray) -> np.ndarray:
        """Return the logits of encoded rows, shape (n, n_classes), float64."""
        return self.totals(Z) * self.logit_scale

    def decisions(self, Z: np.ndarray) -> np.ndarray:
        """Return the position of the decided class, shape (n,): the first of the largest totals."""
        if self.exact is None:
            return self.totals(Z).argmax(axis=1)
        return self.exact.decisions(np.asarray(Z, dtype=np.float64))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is computed on demand."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits, row by row.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
