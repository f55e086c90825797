"""The one place that imports private names of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _param_validation
from sklearn.utils._param_validation import (
    HasMethods,
    Options,
    StrOptions,
    make_constraint,
    validate_params,
)
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

from skcfq.utils._kinds import is_list
from skcfq.utils._weights import as_row_weights

__all__ = [
    "HasMethods",
    "Interval",
    "KnownParameters",
    "ListOf",
    "Named",
    "Options",
    "StrOptions",
    "boosted_nodes",
    "check_feature_names_in",
    "check_options",
    "check_parameters",
    "check_sample_weight",
    "positive_label_of",
    "power_transformer_scaler",
]


_Function = TypeVar("_Function", bound=Callable)


def check_parameters(**constraints: Any) -> Callable[[_Function], _Function]:
    """Return a decorator that checks parameters as scikit-learn's own functions do.

    Parameters
    ----------
    constraints : list by name of parameter
        As in ``_parameter_constraints`` of an estimator.
    """
    # Solvers and models that come as arguments check their own parameters.
    checked = validate_params(constraints, prefer_skip_nested_validation=False)
    return cast(Callable[[_Function], _Function], checked)


def check_options(options: BaseEstimator, path: str) -> None:
    """Check the parameters of an object that a parameter of an estimator holds.

    Parameters
    ----------
    options : BaseEstimator
        With ``_parameter_constraints``, as an estimator has them.
    path : str
        Name of the parameter that holds it, such as ``"objective.finish"``.

    Raises
    ------
    ValueError
        It names the path of the parameter, its value, and what is allowed.
    """
    for name, allowed in options._parameter_constraints.items():
        value = getattr(options, name)
        if not any(make_constraint(one).is_satisfied_by(value) for one in allowed):
            expected = " or ".join(map(_in_words, allowed))
            raise ValueError(f"{path}.{name} is {value!r}; give {expected}.")


def _in_words(constraint: Any) -> str:
    if isinstance(constraint, type):
        return f"a {constraint.__name__}"
    is_flag = isinstance(constraint, str) and constraint == "boolean"
    return "True or False" if is_flag else str(make_constraint(constraint))


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return weights of the rows of X: finite, none negative, not all zero."""
    if sample_weight is None:
        return np.ones(len(X))
    if isinstance(sample_weight, str):
        raise ValueError(
            f"sample_weight={sample_weight!r}: give one number a row. Weights by class are "
            "`class_weight` of the classifiers."
        )
    weights = as_row_weights(sample_weight, len(X))
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def power_transformer_scaler(transformer: Any) -> Any:
    """Return the scaler inside a fitted ``PowerTransformer``, None without standardization."""
    return transformer._scaler if transformer.standardize else None


def boosted_nodes(model: Any) -> list[list[np.ndarray]]:
    """Return the nodes of the trees of a fitted ``HistGradientBoostingClassifier``, by stages."""
    return [[tree.nodes for tree in stage] for stage in model._predictors]


def positive_label_of(model: Any) -> Any:
    """Return the label that a threshold classifier's score speaks of, None for the last one."""
    scorer = getattr(model, "_curve_scorer", None)
    return model.pos_label if scorer is None else scorer._get_pos_label()


class Interval(_param_validation.Interval):
    """Numbers of an interval: no truth values, and no integers that are beyond all floats.

    Examples
    --------
    >>> from numbers import Real
    >>> share = Interval(Real, 0, None, closed="left")
    >>> [share.is_satisfied_by(value) for value in (0, 0.5, True, 10**400, float("nan"))]
    [True, True, False, False, False]
    """

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell whether a value is in it."""
        if isinstance(val, bool | np.bool_) or not super().is_satisfied_by(val):
            return False
        try:
            return math.isfinite(float(val))
        except OverflowError:
            return False


class ListOf(Options):
    """Lists, tuples and arrays of one dimension whose entries all meet one of some constraints.

    Parameters
    ----------
    *constraints : constraint
        As in ``_parameter_constraints``.
    least : int, default=0
        Length, at least.
    most : int, default=None
        Length, at most.

    Examples
    --------
    >>> from numbers import Integral
    >>> widths = ListOf(Interval(Integral, 2, 16, closed="both"), least=1)
    >>> [widths.is_satisfied_by(value) for value in ((2, 4), [], [2, "x"], "24", np.array(2))]
    [True, False, False, False, False]
    >>> print(widths)
    a list, not empty, of which each is an int in the range [2, 16]
    """

    def __init__(self, *constraints: Any, least: int = 0, most: int | None = None) -> None:
        self.constraints = [make_constraint(one) for one in constraints]
        self.least = least
        self.most = most
        self.hidden = False

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell whether a value is such a list."""
        # Sets have no order.
        if not is_list(val) or isinstance(val, Set):
            return False
        entries = list(val)
        return self._has_length(len(entries)) and all(
            any(allowed.is_satisfied_by(entry) for allowed in self.constraints) for entry in entries
        )

    def _has_length(self, length: int) -> bool:
        return self.least <= length and (self.most is None or length <= self.most)

    def __str__(self) -> str:
        """Say what it takes."""
        if self.most is not None:
            length = f" of {self.least} to {self.most}"
            length = f" of {self.most}" if self.least == self.most else length
        else:
            length = ", not empty," if self.least else ""
        return f"a list{length} of which each is " + " or ".join(map(str, self.constraints))


class Named(Options):
    """Pairs of a name and what meets a constraint.

    Parameters
    ----------
    constraint : constraint
        As in ``_parameter_constraints``.

    Examples
    --------
    >>> named = Named(HasMethods("get_params"))
    >>> [named.is_satisfied_by(one) for one in (("mine", BaseEstimator()), ("mine", 3), "mine")]
    [True, False, False]
    >>> print(named)
    a pair of a name and an object implementing 'get_params'
    """

    def __init__(self, constraint: Any) -> None:
        self.constraint = make_constraint(constraint)
        self.hidden = False

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell whether a value is such a pair."""
        return (
            isinstance(val, tuple)
            and len(val) == 2
            and isinstance(val[0], str)
            and self.constraint.is_satisfied_by(val[1])
        )

    def __str__(self) -> str:
        """Say what it takes."""
        return f"a pair of a name and {self.constraint}"


class KnownParameters(BaseEstimator):
    """Estimator that reads the names of its parameters from its constructor only once.

    scikit-learn reads them whenever a parameter is asked for, which takes longer than advice for
    one person does.
    """

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        return super()._get_param_names()
