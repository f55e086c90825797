"""One model on the codes of another: two encoders of the same raw columns, and a map between them.

Two models that are compared need one space: costs and actions are those of the reference. Where the
other model's codes are affine in the reference's, a linear model stays linear and a network keeps
its gradients. Rows whose gaps the two encoders fill otherwise are asked about as raw rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.encoding import (
    AffineBlock,
    Block,
    FeatureSpace,
    MonotoneBlock,
    TableBlock,
    functions_to_json,
)
from skcfq.exceptions import FeatureSpaceError
from skcfq.models._functions import RowHead, row_head_of
from skcfq.models._heads import LinearHead, linear_weights
from skcfq.models._predictor import Predictor
from skcfq.utils import as_objects, row_products

if TYPE_CHECKING:
    from torch import Tensor

# Rounding of codes that are computed in two ways, as a share of their size.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Codes of one space as affine functions of those of another: ``Z @ matrix + offset``.

    Attributes
    ----------
    first, second : FeatureSpace
    matrix : ndarray of shape (d_first, d_second)
    offset : ndarray of shape (d_second,)
    """

    first: FeatureSpace
    second: FeatureSpace
    matrix: np.ndarray
    offset: np.ndarray

    def differs(self, X: Any) -> np.ndarray:
        """Return which raw rows get other codes this way, bool of shape (n,).

        Such are rows with a gap that the two encoders fill otherwise, or with a category that only
        the second one knows.
        """
        got = row_products(self.first.encode(X, copy=False), self.matrix) + self.offset
        wanted = self.second.encode(X, copy=False)
        return ~np.isclose(got, wanted, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True).all(axis=1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TranslatedPredictor(Predictor):
    """A model that reads the codes of another, whose space this is.

    Logits of encoded rows follow from the map of the codes; margins and decisions of raw rows are
    those of the model's own encoder.

    Attributes
    ----------
    native : Predictor
        The model on its own space.
    function : Predictor
        The model as a function of raw rows.
    codes : CodeMap
    """

    native: Predictor
    function: Predictor
    codes: CodeMap

    def apart(self, X: Any) -> np.ndarray:
        """Return the raw rows that the space does not tell the model, bool of shape (n,)."""
        return self.codes.differs(X)

    def as_function(self) -> Predictor:
        """Return the model as a function of raw rows."""
        return self.function

    @property
    def decides_on_codes(self) -> bool:
        """Whether logits of encoded rows are those of the raw rows: up to rounding only."""
        return False

    def row_logits(self, X: Any) -> Tensor:
        """Return the class logits of raw rows, shape (n, n_classes)."""
        return self.native.row_logits(X)

    def row_scores(self, X: Any) -> np.ndarray:
        """Return what :meth:`row_logits` does, as an array."""
        return self.native.row_scores(X)

    @property
    def is_logistic(self) -> bool:
        """Whether the probability of the last of two classes is the sigmoid of its margin."""
        return self.native.is_logistic

    @property
    def is_piecewise_constant(self) -> bool:
        """Whether inputs are quantized."""
        return self.native.is_piecewise_constant

    @property
    def integers(self) -> None:
        """The integers that decide on encoded rows: none, they read the model's own codes."""


def on_space_of(first: Predictor, second: Predictor) -> Predictor:
    """Return the second of two models as one that reads the codes of the first.

    Parameters
    ----------
    first, second : Predictor
        Of the same raw columns, each on its own feature space.

    Returns
    -------
    predictor : Predictor
        On the space of ``first``. Linear where ``second`` is, differentiable where its codes are
        affine in those of the first; else a function of raw rows. Decisions and margins of raw rows
        are those of the model's own encoder.

    Raises
    ------
    FeatureSpaceError
        The two read different raw columns.
    """
    _check_same_columns(first, second)
    if isinstance(second.head, RowHead):
        return replace(second, space=first.space, own_space=False)
    reason = f"its encoder is not affine in the codes of {first.name}"
    row_head = row_head_of(second.model, second.name, reason, second.threshold)
    function = replace(second, space=first.space, head=row_head, own_space=False)
    codes = code_map(first.space, second.space)
    if codes is None:
        return function
    return TranslatedPredictor(
        second.model,
        first.space,
        second.classes,
        _head_on(second.head, codes),
        second.threshold,
        own_space=False,
        native=second,
        function=function,
        codes=codes,
    )


def code_map(first: FeatureSpace, second: FeatureSpace) -> CodeMap | None:
    """Return how the codes of the second space follow from those of the first.

    Parameters
    ----------
    first, second : FeatureSpace
        Of the same raw columns.

    Returns
    -------
    codes : CodeMap or None
        None where they do not follow from numbers and categories that both know.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> X = np.array([[0.0], [4.0]])
    >>> codes = code_map(
    ...     FeatureSpace.from_frame(X), FeatureSpace.from_encoder(MinMaxScaler().fit(X), X)
    ... )
    >>> codes.matrix.tolist(), codes.offset.tolist()
    ([[0.25]], [0.0])
    """
    matrix = np.zeros((first.n_encoded, second.n_encoded))
    offset = np.zeros(second.n_encoded)
    for theirs in second.blocks:
        if not theirs.width:
            continue
        own = first.block(theirs.name)
        found = _block_map(own, theirs)
        if found is None:
            return None
        matrix[np.ix_(own.columns, theirs.columns)], offset[theirs.columns] = found
    return CodeMap(first, second, matrix, offset)


def _block_map(own: Block, theirs: Block) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the matrix and offset of one raw column, or None."""
    if isinstance(own, AffineBlock) and isinstance(theirs, AffineBlock):
        if not own.scale:
            return None
        scale = theirs.scale / own.scale
        return np.array([[scale]]), np.array([theirs.offset - scale * own.offset])
    if isinstance(own, MonotoneBlock) and isinstance(theirs, MonotoneBlock):
        same = functions_to_json(own) == functions_to_json(theirs)
        return (np.eye(1), np.zeros(1)) if same else None
    if isinstance(own, TableBlock) and isinstance(theirs, TableBlock):
        return _table_map(own, theirs)
    return None


def _table_map(own: TableBlock, theirs: TableBlock) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the map that takes the code of each category that both know to the other's."""
    known = []
    for level, value in enumerate(own.categories):
        try:
            known.append((own.codes[level], theirs.encode(as_objects([value]))[0]))
        except FeatureSpaceError:
            # What one of the two refuses, nobody is asked about.
            continue
    if not known:
        return None
    codes, wanted = (np.stack(side) for side in zip(*known, strict=True))
    finite = np.isfinite(codes).all(axis=1)
    codes, wanted = codes[finite], wanted[finite]
    if not len(codes):
        return None
    matrix, offset = _affine_fit(codes, wanted)
    close = np.allclose(codes @ matrix + offset, wanted, rtol=_ROUNDING, atol=_ROUNDING)
    return (matrix, offset) if close else None


def _affine_fit(codes: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one_hot = np.isin(codes, (0.0, 1.0)).all() and (codes.sum(axis=1) <= 1).all()
    if not one_hot:
        solution, *_ = np.linalg.lstsq(np.column_stack([codes, np.ones(len(codes))]), wanted)
        return solution[:-1], solution[-1]
    # Differences of the codes themselves: no rounding of an elimination.
    zero = np.flatnonzero(~codes.any(axis=1))
    offset = wanted[zero[0]] if len(zero) else np.zeros(wanted.shape[1])
    matrix = np.zeros((codes.shape[1], wanted.shape[1]))
    rows = codes.any(axis=1)
    matrix[codes[rows].argmax(axis=1)] = wanted[rows] - offset
    return matrix, offset


def _head_on(head: Any, codes: CodeMap) -> Any:
    weights = linear_weights(head)
    if weights is not None:
        coef, intercept = weights
        return LinearHead(coef @ codes.matrix.T, intercept + coef @ codes.offset)
    from skcfq.models._mlp_head import MLPHead, TranslatedHead

    if isinstance(head, MLPHead):
        return head.behind(codes.matrix, codes.offset)
    return TranslatedHead(head, codes.matrix, codes.offset)


def _check_same_columns(first: Predictor, second: Predictor) -> None:
    own, theirs = first.space.raw_columns, second.space.raw_columns
    if own == theirs:
        return
    only = [name for name in theirs if name not in set(own)]
    missing = [name for name in own if name not in set(theirs)]
    raise FeatureSpaceError(
        f"{first.name} and {second.name} read different raw columns: {missing} only the first, "
        f"{only} only the second, or another order. Give both the same table, such as pipelines "
        "that select their columns."
    )
