"""Reads fitted scikit-learn encoders symbolically, as one function per raw column.

Reading starts with the raw columns themselves; every fitted step turns a list of symbolic columns
into another one. Steps whose output depends on two columns are refused by name, and what was read
is compared with the encoder's own ``transform``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from skcfq.encoding._blocks import AffineBlock, Block, encode_columns
from skcfq.encoding._category_readers import read_one_hot, read_ordinal
from skcfq.encoding._expressions import (
    Expression,
    Value,
    apply_block,
    apply_function,
    evaluate,
    fill_gaps,
    scale,
    to_block,
)
from skcfq.encoding._functions import Power, Quantile, read_user_function
from skcfq.exceptions import FeatureSpaceError, UnreadableStepError
from skcfq.utils import as_numbers, plain, power_transformer_scaler, raw_table

RELATIVE_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Context:
    """Where the reader is: the names of the enclosing steps, and the raw columns."""

    path: tuple[str, ...]
    columns: list[Any]
    names: list[Any]

    def inside(self, name: str) -> Context:
        """Return the context of a nested step."""
        return replace(self, path=(*self.path, name))

    @property
    def name(self) -> str:
        """The step's name, with those of the steps around it."""
        return " → ".join(self.path)

    def refuse(self, step: Any, reason: str) -> UnreadableStepError:
        """Return the error that names a step and why it cannot be read."""
        kind = type(step).__name__
        own = f"{self.name!r} ({kind})" if self.path else kind
        return UnreadableStepError(
            f"Step {own} cannot be read as one function per column: {reason}"
        )


@runtime_checkable
class BlockMap(Protocol):
    """A map that has been read already: one block per raw column."""

    @property
    def blocks(self) -> tuple[Block, ...]: ...

    def encode(self, X: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class Reading:
    """What was read from a fitted encoder, and the raw table that it was verified on.

    Parameters
    ----------
    blocks : list of Block
        One per raw column, without statistics.
    columns : list of 1-d arrays
    is_frame : bool
    """

    blocks: list[Block]
    columns: list[Any]
    is_frame: bool


def read_encoder(encoder: Any, X: Any, *, last: BlockMap | None = None) -> Reading:
    """Read a fitted encoder, and the map behind it if there is one.

    See :meth:`FeatureSpace.from_encoder`; the raw columns of ``last`` are the encoder's output.
    """
    if isinstance(encoder, type) or not hasattr(encoder, "transform"):
        raise TypeError(f"encoder={encoder!r} is no transformer. Give a fitted one.")
    check_is_fitted(encoder)
    X = _fitted_columns(encoder, X)
    columns, names, is_frame = raw_table(X)
    n_fitted = getattr(encoder, "n_features_in_", len(columns))
    if n_fitted != len(columns):
        raise FeatureSpaceError(
            f"X has {len(columns)} columns, but the encoder was fitted on {n_fitted}. Pass the "
            "rows that it was fitted on, or rows with the same columns."
        )
    context = Context((), columns, names)
    expressions = _read(encoder, [Value(i) for i in range(len(columns))], context)
    if last is not None:
        expressions = _read_blocks(last.blocks, expressions, context)
    blocks = [
        to_block(name, [(j, e) for j, e in enumerate(expressions) if e.source == i], column)
        for i, (name, column) in enumerate(zip(names, columns, strict=True))
    ]
    expected = encoder.transform(X)
    _verify(blocks, columns, expressions, expected if last is None else last.encode(expected))
    return Reading(blocks, columns, is_frame)


def _fitted_columns(encoder: Any, X: Any) -> Any:
    """Return the columns of X that the encoder was fitted on, in that order."""
    names = getattr(encoder, "feature_names_in_", None)
    if names is None or not isinstance(X, pd.DataFrame):
        return X
    missing = [name for name in names if name not in X.columns]
    if missing:
        raise FeatureSpaceError(
            f"X lacks the columns {missing} that the encoder was fitted on. Pass the rows that it "
            "was fitted on, or rows with the same columns."
        )
    return X.loc[:, list(names)]


def _read(step: Any, columns: list[Expression], context: Context) -> list[Expression]:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    if isinstance(step, FrozenEstimator):
        return _read(step.estimator, columns, context)
    known = getattr(step, "feature_space_", None)
    if isinstance(known, BlockMap) and hasattr(step, "transform"):
        return _mark(_read_blocks(known.blocks, columns, context), context)
    for kind, reader in _READERS:
        if isinstance(step, kind):
            return _mark(reader(step, columns, context), context)
    raise context.refuse(
        step,
        "it mixes columns, or is not known to keep them apart. Leave it out of the encoder and "
        "make it a part of the model.",
    )


def _mark(columns: list[Expression], context: Context) -> list[Expression]:
    """Note in each column the last step that it went through."""
    return [
        c if c.path.startswith(context.name) else replace(c, path=context.name) for c in columns
    ]


def _read_pipeline(step: Pipeline, columns: list[Expression], context: Context) -> list[Expression]:
    for name, inner in step.steps:
        # Samplers of imbalanced-learn change rows while fitting, and nothing afterwards.
        if hasattr(inner, "fit_resample"):
            continue
        columns = _read(inner, columns, context.inside(name))
    return columns


def _read_column_transformer(
    step: ColumnTransformer, columns: list[Expression], context: Context
) -> list[Expression]:
    names = getattr(step, "feature_names_in_", None)
    out: list[Expression] = []
    for name, inner, selected in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        positions = _selected_positions(selected, names, len(columns))
        if positions:
            chosen = [columns[i] for i in positions]
            out += _read(inner, chosen, context.inside(name))
    return out


def _selected_positions(selected: Any, names: Any, n: int) -> list[int]:
    """Return the positions of columns selected by name, position, slice or mask."""
    by_name = {} if names is None else {name: i for i, name in enumerate(names)}
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            start = 0 if selected.start is None else by_name[selected.start]
            stop = n if selected.stop is None else by_name[selected.stop] + 1
            return list(range(n))[start : stop : selected.step]
        return list(range(n))[selected]
    if isinstance(selected, str) or np.isscalar(selected):
        selected = [selected]
    selected = list(selected)
    if selected and all(isinstance(s, (bool, np.bool_)) for s in selected):
        return [i for i, chosen in enumerate(selected) if chosen]
    return [by_name[s] if isinstance(s, str) else int(s) % n for s in selected]


def _read_blocks(
    blocks: Sequence[Block], columns: list[Expression], context: Context
) -> list[Expression]:
    if len(columns) != len(blocks):
        raise UnreadableStepError(
            f"Step {context.name!r} was fitted on {len(blocks)} columns, but gets {len(columns)}."
        )
    out: dict[int, Expression] = {}
    for block, column in zip(blocks, columns, strict=True):
        parts = apply_block(column, block, path=context.name)
        out.update(zip(block.columns.tolist(), parts, strict=True))
    return [out[i] for i in sorted(out)]


def _read_imputer(
    step: SimpleImputer, columns: list[Expression], context: Context
) -> list[Expression]:
    if not pd.isna(step.missing_values):
        raise context.refuse(
            step, f"missing_values={step.missing_values!r} is a value, not a gap. Use NaN for gaps."
        )
    if step.add_indicator and len(step.indicator_.features_):
        raise context.refuse(step, "add_indicator=True encodes a column twice. Use False.")
    kept = ~pd.isna(step.statistics_)
    pairs = zip(columns, step.statistics_, kept, strict=True)
    return [fill_gaps(column, plain(value)) for column, value, keep in pairs if keep]


def _read_scaler(
    step: StandardScaler | RobustScaler | MinMaxScaler | MaxAbsScaler,
    columns: list[Expression],
    context: Context,
) -> list[Expression]:
    if isinstance(step, MinMaxScaler):
        if step.clip:
            raise context.refuse(step, "clip=True has no inverse beyond the range. Use False.")
        factors, offsets = step.scale_, step.min_
    else:
        center, spread = np.zeros(len(columns)), np.ones(len(columns))
        if isinstance(step, StandardScaler):
            center = step.mean_ if step.with_mean else center
        elif isinstance(step, RobustScaler):
            center = step.center_ if step.with_centering else center
        if step.scale_ is not None:
            spread = step.scale_
        factors, offsets = 1.0 / spread, -center / spread
    return [scale(c, a, b) for c, a, b in zip(columns, factors, offsets, strict=True)]


def _read_selector(
    step: SelectorMixin, columns: list[Expression], context: Context
) -> list[Expression]:
    return [c for c, keep in zip(columns, step.get_support(), strict=True) if keep]


def _read_power(
    step: PowerTransformer, columns: list[Expression], context: Context
) -> list[Expression]:
    powers = [Power(step.method, float(value)) for value in step.lambdas_]
    out = [apply_function(c, p) for c, p in zip(columns, powers, strict=True)]
    scaler = power_transformer_scaler(step)
    return out if scaler is None else _read_scaler(scaler, out, context)


def _read_quantile(
    step: QuantileTransformer, columns: list[Expression], context: Context
) -> list[Expression]:
    normal = step.output_distribution == "normal"
    return [
        apply_function(column, Quantile(np.array(quantiles), np.array(step.references_), normal))
        for column, quantiles in zip(columns, step.quantiles_.T, strict=True)
    ]


def _read_function(
    step: FunctionTransformer, columns: list[Expression], context: Context
) -> list[Expression]:
    if step.func is None:
        return columns
    out = []
    for column in columns:
        try:
            values = evaluate(column, context.names, context.columns)
            function = read_user_function(step, values)
        except FeatureSpaceError as error:
            raise context.refuse(step, str(error)) from error
        out.append(apply_function(column, function))
    return out


def _verify(
    blocks: list[Block], columns: list[Any], expressions: list[Expression], expected: Any
) -> None:
    """Raise, naming column and step, unless the blocks encode as the encoder's ``transform``."""
    if issparse(expected):
        expected = expected.toarray()
    narrow = getattr(expected, "dtype", None) == np.float32
    found = encode_columns(blocks, columns, len(columns[0]) if columns else 0)
    outputs = raw_table(expected)[0]
    expected = np.column_stack([as_numbers(c) for c in outputs]) if outputs else found
    if found.shape != expected.shape:
        raise UnreadableStepError(
            f"The encoder returns {expected.shape[1]} columns, but {found.shape[1]} were read "
            "from its steps: one of them overrides transform. Use scikit-learn's own steps."
        )
    tolerance = (1e-5 if narrow else RELATIVE_TOLERANCE) * (1.0 + np.abs(expected))
    tolerance += 16 * np.finfo(np.float64).eps * _offsets(blocks, found.shape[1])
    wrong = ~(np.abs(found - expected) <= tolerance)
    wrong &= ~((found == expected) | (np.isnan(found) & np.isnan(expected)))
    if wrong.any():
        j = int(np.flatnonzero(wrong.any(axis=0))[0])
        row = int(np.flatnonzero(wrong[:, j])[0])
        name = blocks[expressions[j].source].name
        raise UnreadableStepError(
            f"Step {expressions[j].path or 'of the encoder'!r} does not treat column {name!r} as "
            f"its fitted attributes say: transform gives {expected[row, j]:.6g} in row {row}, and "
            f"{found[row, j]:.6g} was read. It may mix columns, or override transform."
        )


def _offsets(blocks: list[Block], n_encoded: int) -> np.ndarray:
    """Return |offset| per encoded column: what rounding errors of scaled columns grow with."""
    offsets = np.zeros(n_encoded)
    for block in blocks:
        if isinstance(block, AffineBlock):
            offsets[block.columns] = abs(block.offset)
    return offsets


_READERS: list[tuple[Any, Callable[[Any, list[Expression], Context], list[Expression]]]] = [
    (Pipeline, _read_pipeline),
    (ColumnTransformer, _read_column_transformer),
    (SimpleImputer, _read_imputer),
    ((StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler), _read_scaler),
    (OneHotEncoder, read_one_hot),
    (OrdinalEncoder, read_ordinal),
    (PowerTransformer, _read_power),
    (QuantileTransformer, _read_quantile),
    (FunctionTransformer, _read_function),
    (SelectorMixin, _read_selector),
]

__all__ = ["read_encoder"]
