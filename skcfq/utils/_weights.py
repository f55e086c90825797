"""What weights of rows and classes may be."""

from __future__ import annotations

import reprlib
from numbers import Real
from typing import Any

import numpy as np

# Products of two such weights, and sums over a billion rows, are numbers in single precision too.
_LEAST, _MOST = 1e-15, 1e15


def is_weight(value: Any) -> bool:
    """Tell whether a value is one number that can weigh something: 0 to 1e15, no truth value.

    Examples
    --------
    >>> [is_weight(value) for value in (0, np.float32(0.5), True, "1", -1.0, float("nan"))]
    [True, True, False, False, False, False]
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and bool(0 <= value <= _MOST)


def as_weights(values: Any, name: str) -> np.ndarray:
    """Return weights as float64, of any shape.

    Parameters
    ----------
    values : array-like
    name : str
        Of the parameter.

    Raises
    ------
    ValueError
        They are no numbers.
    """
    try:
        weights = np.asarray(values)
        if np.iscomplexobj(weights):
            raise TypeError("complex numbers weigh nothing")
        return weights.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"`{name}` is {reprlib.repr(values)}; give one number a row ({error})."
        ) from error


def as_row_weights(values: Any, n_rows: int, name: str = "sample_weight") -> np.ndarray:
    """Return weights of rows as float64 of shape (n_rows,).

    Raises
    ------
    ValueError
        They are no weights, or not one a row.

    Examples
    --------
    >>> as_row_weights([1, 2], 3)
    Traceback (most recent call last):
    ...
    ValueError: `sample_weight` has shape (2,); give one number for each of the 3 rows.
    """
    weights = as_weights(values, name)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"`{name}` has shape {weights.shape}; give one number for each of the {n_rows} rows."
        )
    check_weights(weights, name)
    return weights


def check_weights(weights: np.ndarray, name: str) -> None:
    """Refuse weights that are no weights, or whose sums a training would lose.

    Parameters
    ----------
    weights : ndarray of any shape, float
        Zeros are allowed.
    name : str
        Of the parameter.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_weights(np.array([0.0, 2.0]), "sample_weight")
    >>> check_weights(np.array([1.0, -1.0]), "sample_weight")
    Traceback (most recent call last):
    ...
    ValueError: `sample_weight` holds -1.0; give finite numbers, none negative.
    """
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise ValueError(
            f"`{name}` holds {float(weights[wrong][0])}; give finite numbers, none negative."
        )
    lost = (weights > 0) & ((weights < _LEAST) | (weights > _MOST))
    if lost.any():
        raise ValueError(
            f"`{name}` holds {float(weights[lost][0]):g}; give weights that are 0 or between "
            f"{_LEAST:g} and {_MOST:g}, for example divided by their mean. Only their ratios count "
            "in a mean."
        )
