"""How far a deployed network's weights are from the reference's, and what rounding explains."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from skcfq.models import as_predictor, predictor_of_same_space
from skcfq.theory._network_pairs import pair_of
from skcfq.utils import Interval, check_parameters

_FIT = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class WeightChanges:
    r"""Distances of the weights of two networks, layer by layer; measured, hence certified.

    Returned by :func:`weight_changes`, never made by a user.

    Attributes
    ----------
    spectral : ndarray of shape (L,)
        :math:`\|\Delta W_\ell\|_2`.
    largest : ndarray of shape (L,)
        :math:`\|\Delta W_\ell\|_\infty`, of single weights.
    biases : ndarray of shape (L,)
        :math:`\|\Delta b_\ell\|_2`.
    half_steps : ndarray of shape (L,)
        :math:`s_\ell/2`, of the coarsest unit where each has a step of its own; NaN where weights
        are not quantized.
    bits : ndarray of shape (L,)
        Weight widths, averages where units of a layer differ; 0 where weights are not quantized.
    """

    spectral: np.ndarray
    largest: np.ndarray
    biases: np.ndarray
    half_steps: np.ndarray
    bits: np.ndarray

    @property
    def is_rounding(self) -> np.ndarray:
        """Whether Eq. 59 holds: no weight has moved by more than half a step, bool (L,)."""
        return self.largest <= self.half_steps * (1 + _FIT)

    def __repr__(self) -> str:
        n = int(self.is_rounding.sum())
        return (
            f"WeightChanges(largest={np.round(self.largest, 3).tolist()}, "
            f"half_steps={np.round(self.half_steps, 3).tolist()}: "
            f"{n} of {len(self.bits)} layers are only rounded)"
        )


def weight_changes(reference: Any, deployed: Any, *, background: Any = None) -> WeightChanges:
    r"""Measure :math:`\Delta W_\ell` between two networks (in place of Eq. 59).

    Equation 59 bounds it by half a step, which is so for weights that were only rounded, in reach
    of their clips. A student that was trained, or calibrated with other steps, has moved its
    weights much further: its :math:`\epsilon` is mostly retraining.

    Parameters
    ----------
    reference : estimator or Predictor
        A linear model or a network of rectifiers.
    deployed : estimator or Predictor
        One with as many units in every layer: a quantized classifier of skcfq, as the integers that
        it is deployed as, or one like the reference.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    changes : WeightChanges
        Weights of the first layer are those for columns in the units in which it reads them.

    Raises
    ------
    UnsupportedModelError
        A model has no such layers, or the two have layers of different sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> changes = theory.weight_changes(reference, stricter, background=X)
    >>> bool(np.isclose(changes.largest[0], abs(stricter.coef_ - reference.coef_)[0, 0]))
    True
    """
    first = as_predictor(reference, background=background)
    networks = pair_of(first, predictor_of_same_space(first, deployed, background, background))
    integers = networks.deployed.integers
    differences = [layer.difference for layer in networks.layers]
    steps, bits = np.full(len(differences), np.nan), np.zeros(len(differences), dtype=np.int64)
    if integers is not None:
        differences[0] = differences[0] * input_units(integers)[:, None]
        steps = np.array([np.max(layer.step) for layer in integers.layers])
        bits = integers.bit_widths
    return WeightChanges(
        np.array([np.linalg.norm(one, ord=2) for one in differences]),
        np.array([np.abs(one).max() for one in differences]),
        np.array([np.linalg.norm(layer.offset_difference) for layer in networks.layers]),
        steps / 2,
        bits,
    )


def input_units(integers: Any) -> np.ndarray:
    """Return what an integer network divides encoded columns by, shape (d,)."""
    units = integers.input_units
    return np.ones(integers.n_inputs) if units is None else np.ldexp(1.0, units)


@check_parameters(
    clip=[Interval(Real, 0, None, closed="left")],
    bits=[Interval(Integral, 2, 64, closed="both")],
)
def rounding_bound(clip: float, bits: int) -> float:
    r"""Return the most that rounding moves a weight within its clip (Eq. 59).

    .. math:: \|\Delta W_\ell\|_\infty \le \frac{s_\ell}{2}, \qquad
              s_\ell = \frac{\alpha_\ell}{2^{b_\ell - 1} - 1}

    Parameters
    ----------
    clip : float
        :math:`\alpha_\ell`: no weight is further from 0.
    bits : int
        :math:`b_\ell`.

    Returns
    -------
    bound : float
        Certified for weights that are rounded and nothing else; :func:`weight_changes` measures
        those of a network that was trained.

    Examples
    --------
    >>> from skcfq import theory
    >>> theory.rounding_bound(3.5, bits=4)
    0.25
    """
    return float(clip) / (2 ** (int(bits) - 1) - 1) / 2
