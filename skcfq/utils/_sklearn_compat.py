"""The one place that imports private names of scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_feature_names_in",
    "check_sample_weight",
    "power_transformer_scaler",
]


def power_transformer_scaler(transformer: Any) -> Any:
    """Return the scaler inside a fitted ``PowerTransformer``, None without standardization."""
    return transformer._scaler if transformer.standardize else None
