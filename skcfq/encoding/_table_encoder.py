"""A small weighted encoder of mixed tables: gaps filled, numbers scaled, categories one-hot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcfq.encoding._blocks import AffineBlock, Block, TableBlock, declared_order
from skcfq.encoding._space import build_space
from skcfq.encoding._statistics import weighted_mean_std, weighted_median
from skcfq.exceptions import ManyLevelsWarning, NumbersAsTextWarning
from skcfq.utils import (
    as_numbers,
    as_objects,
    check_feature_names_in,
    check_sample_weight,
    is_integer_like,
    missing_mask,
    plain,
    raw_table,
    validate_table,
    values_of,
    warn_user,
)

# Fewer are no burden, and a small table may have them all once.
_MANY_LEVELS = 50
_FEWEST_NUMBERS = 3


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a table of numbers, text, categories and gaps; weights count as repeated rows.

    Numeric columns: gaps become the weighted median, then the column gets weighted mean 0 and
    standard deviation 1 (a constant column is only centered). All other columns, booleans
    included, become one-hot groups; a gap is a category of its own if ``fit`` saw one, and a
    value that ``fit`` did not see is all zeros.

    Attributes
    ----------
    feature_space_ : FeatureSpace
        The fitted map; ``transform`` is its ``encode``.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if ``X`` was a DataFrame with text names.

    Notes
    -----
    scikit-learn's scalers and encoders composed by a ColumnTransformer do the same without
    weights; :meth:`FeatureSpace.from_encoder` reads those.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.encoding import TableEncoder
    >>> X = pd.DataFrame({"age": [20.0, 40.0, None], "job": ["cook", "clerk", None]})
    >>> encoder = TableEncoder().fit(X)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'job_clerk', 'job_cook', 'job_missing']
    >>> encoder.transform(X)[2]
    array([0., 0., 0., 1.])
    """

    _parameter_constraints: dict = {}

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> TableEncoder:
        """Learn scales and categories.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight zero do not count at all.

        Returns
        -------
        self : TableEncoder
        """
        self._validate_params()
        X = validate_table(self, X, reset=True)
        n = X.shape[0]
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        weights = np.ones(n) if sample_weight is None else sample_weight.astype(np.float64)
        counted = weights > 0
        columns, names, is_frame = raw_table(X)
        columns = [column[counted] for column in columns]
        weights = weights[counted]
        blocks: list[Block] = []
        width = 0
        for name, column in zip(names, columns, strict=True):
            block = _fit_block(name, column, weights, width)
            blocks.append(block)
            width += block.width
        _warn_of_names(blocks, len(weights))
        _warn_of_spelled_numbers(blocks, columns, len(weights))
        self.feature_space_ = build_space(blocks, columns, is_frame, weights)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_encoded)
            float64; float32 if X is an array of float32.
        """
        check_is_fitted(self)
        X = validate_table(self, X, reset=False)
        Z = self.feature_space_.encode(X)
        narrow = isinstance(X, np.ndarray) and X.dtype == np.float32
        return Z.astype(np.float32) if narrow else Z

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the encoded columns.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the raw columns; those seen in ``fit``, or x0, x1, …, by default.

        Returns
        -------
        names : ndarray of str objects of shape (n_encoded,)
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        encoded = np.empty(self.feature_space_.n_encoded, dtype=object)
        for name, block in zip(names, self.feature_space_.blocks, strict=True):
            encoded[block.columns] = list(block.encoded_names(name))
        return encoded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _fit_block(name: Any, column: Any, weights: np.ndarray, start: int) -> Block:
    column = values_of(column)
    if _is_numeric(column):
        return _fit_numbers(name, column, weights, start)
    return _fit_categories(name, column, start)


def _warn_of_names(blocks: list[Block], n: int) -> None:
    """Name the columns whose categories tell rows apart rather than kinds of rows."""
    names = [f"{block.name!r} ({block.n_levels} levels)" for block in _of_names(blocks, n)]
    if names:
        warn_user(
            f"More than half of the {n} rows have a category of their own in {', '.join(names)}. "
            "Drop identifiers, turn dates and numbers that are stored as text into numbers "
            "(pandas.to_numeric, pandas.to_datetime), and merge rare categories: such a column "
            "says nothing of new rows, and takes one encoded column a level.",
            ManyLevelsWarning,
        )


def _of_names(blocks: list[Block], n: int) -> list[TableBlock]:
    tables = [block for block in blocks if isinstance(block, TableBlock)]
    return [block for block in tables if block.n_levels > max(_MANY_LEVELS, n / 2)]


def _warn_of_spelled_numbers(blocks: list[Block], columns: list[Any], n: int) -> None:
    """Name the text columns that hold nothing but numbers, unless they are declared categories."""
    told = [block.name for block in _of_names(blocks, n)]
    names = [
        f"{block.name!r} ({', '.join(map(repr, block.categories[:3]))}, ...)"
        for block, column in zip(blocks, columns, strict=True)
        if isinstance(block, TableBlock)
        and block.name not in told
        and not isinstance(values_of(column), pd.Categorical)
        and _spell_numbers(block.categories)
    ]
    if names:
        warn_user(
            f"Numbers are stored as text in {', '.join(names)}: each is a category of its own, "
            "none larger than another. Turn them into numbers (pandas.to_numeric); codes that "
            "happen to be digits are declared by a pandas column of type 'category'.",
            NumbersAsTextWarning,
        )


def _spell_numbers(labels: tuple) -> bool:
    """Tell whether three or more levels are all numbers in text; two are a flag."""
    text = [label for label in labels if isinstance(label, str)]
    gaps = sum(label != label for label in labels)
    if len(text) < _FEWEST_NUMBERS or len(text) + gaps < len(labels):
        return False
    try:
        return all(math.isfinite(float(label)) for label in text)
    except ValueError:
        return False


def _is_numeric(column: Any) -> bool:
    if isinstance(column, pd.Categorical) or pd.api.types.is_bool_dtype(column.dtype):
        return False
    if column.dtype == object:
        kind = pd.api.types.infer_dtype(column, skipna=True)
        return kind in ("integer", "floating", "mixed-integer-float")
    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def _fit_numbers(name: Any, column: Any, weights: np.ndarray, start: int) -> AffineBlock:
    numbers = as_numbers(column)
    missing = np.isnan(numbers)
    fill = weighted_median(numbers[~missing], weights[~missing]) if not missing.all() else 0.0
    mean, std = weighted_mean_std(np.where(missing, fill, numbers), weights)
    # A spread that is rounding error must not blow the column up, nor 1 / scale overflow.
    scale = std if std > max(10 * np.finfo(np.float64).eps * abs(mean), 1e-300) else 1.0
    return AffineBlock(
        name=name,
        columns=np.array([start]),
        scale=1.0 / scale,
        offset=-mean / scale,
        fill=fill,
        is_integer=is_integer_like(column),
    )


def _fit_categories(name: Any, column: Any, start: int) -> TableBlock:
    missing = missing_mask(column)
    labels = [plain(v) for v in pd.unique(as_objects(column)[~missing])]
    try:
        labels.sort()
    except TypeError:
        labels.sort(key=lambda v: (type(v).__name__, v))
    if missing.any():
        labels.append(np.nan)
    width = len(labels)
    return TableBlock(
        name=name,
        columns=np.arange(start, start + width),
        categories=tuple(labels),
        codes=np.eye(width),
        unknown_code=np.zeros(width),
        order=declared_order(column, labels),
    )
