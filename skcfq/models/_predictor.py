"""Any supported classifier as one thing: a feature space and differentiable logits on it.

torch is imported where tensors are asked for: a linear model answers in arrays without it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from skcfq.deploy import DeployedClassifier, IntegerNetwork
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import (
    UnsupportedModelError,
)
from skcfq.models._functions import FunctionModel, RowHead
from skcfq.models._heads import (
    EstimatorHead,
    LinearHead,
    head_digest,
    is_own_estimator,
    linear_weights,
    named_rows,
    random_rows,
)
from skcfq.models._pipelines import split_model
from skcfq.models._single_precision import SinglePrecision, single_precision_of
from skcfq.models._tree_reading import read_trees
from skcfq.utils import TILE, row_products, take_rows

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from skcfq.models._heads import Head
    from skcfq.models._thresholds import DecisionThreshold
    from skcfq.models._tree_ensembles import TreeEnsemble
    from skcfq.nn import FrozenMLP, FullPrecisionMLP

# Rows on which a model's decisions are compared with its margins.
_DECISIONS = 512
# A difference of logits above this share of them is no rounding.
_CLEAR = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Predictor:
    """A fitted classifier, read: its feature space, its classes and its logits.

    Built by :func:`as_predictor`.

    Attributes
    ----------
    model : estimator
        The fitted object that was read; its ``predict`` is the authority on decisions.
    space : FeatureSpace
        The map between the raw columns that ``model`` receives and encoded columns.
    classes : ndarray of shape (n_classes,)
        Labels, in the order of the logits.
    head : LinearHead, MLPHead, EstimatorHead, DeployedNetwork or RowHead
        Encoded rows to logits; raw rows to logits where the model is only a function.
    threshold : DecisionThreshold or None
        The threshold of the model's own that is in the logits already.
    own_space : bool
        Whether ``space`` is how the model itself encodes rows.
    """

    model: Any
    space: FeatureSpace
    classes: np.ndarray
    head: Head | RowHead
    threshold: DecisionThreshold | None = None
    own_space: bool = True

    def apart(self, X: Any) -> np.ndarray:
        """Return the raw rows that ``space`` does not tell the model, bool of shape (n,): none."""
        return np.zeros(len(X), dtype=bool)

    def as_function(self) -> Predictor:
        """Return the model as one that is asked about raw rows where :meth:`apart` says so."""
        return self

    def logits(self, Z: Tensor) -> Tensor:
        """Return the class logits of encoded rows, differentiable with respect to them.

        Parameters
        ----------
        Z : Tensor of shape (n, d), float64
            Rows in encoded space.

        Returns
        -------
        logits : Tensor of shape (n, n_classes), float64

        Raises
        ------
        UnsupportedModelError
            The model is only a function of raw rows.
        """
        if isinstance(self.head, RowHead):
            raise UnsupportedModelError(
                f"{self.name} is only a function of raw rows: it has no logits on encoded rows and "
                "no gradients. Use row_logits, or a solver with method='black_box'."
            )
        return self.head(Z)

    def frozen_logits(self) -> Callable[[Tensor], Tensor]:
        """Return what :meth:`logits` computes with the weights as they are now.

        For whoever asks often: whether weights have changed, and where they are, takes as long to
        find out as a small product. Of a function of raw rows it is of no use either.
        """
        frozen = getattr(self.head, "frozen", None)
        return self.logits if frozen is None else frozen()

    def frozen_network(self) -> FrozenMLP | None:
        """Return the rectified layers that are all that the head is, with the weights as they are.

        None for every other model.
        """
        from skcfq.models._mlp_head import MLPHead

        if isinstance(self.head, MLPHead):
            return self.head.network()
        return None if self._network is None else self._network.frozen()

    def loss_gradient(self, Z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the summed cross-entropy of a target, and the logits.

        Parameters
        ----------
        Z : Tensor of shape (n, d)
            Rows in encoded space.
        target : Tensor of shape (n,), int64

        Returns
        -------
        gradient : Tensor of shape (n, d)
            A tensor of its own.
        logits : Tensor of shape (n, n_classes)
        """
        import torch
        from torch.nn.functional import cross_entropy

        network = self._network
        if network is not None:
            from skcfq.nn import of_lanes, to_lanes

            found = network.frozen().loss_gradient(to_lanes(Z), to_lanes(target))
            gradient, logits = (of_lanes(tiles, len(Z)) for tiles in found)
            return gradient, logits
        Z = Z.detach().requires_grad_(True)
        logits = self.logits(Z)
        (gradient,) = torch.autograd.grad(cross_entropy(logits, target, reduction="sum"), Z)
        return gradient.contiguous(), logits.detach()

    def in_precision(self, dtype: torch.dtype) -> FrozenMLP | None:
        """Return the logits alone in another precision; None where they are not a plain network's.

        Parameters
        ----------
        dtype : torch.dtype
            Of the rows that it takes.
        """
        network = self._network
        return None if network is None else network.frozen().to(dtype)

    def logits_in(self, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """Return the map from rows of a precision to logits; plain networks compute in it too.

        Parameters
        ----------
        dtype : torch.dtype
        """
        same = self.in_precision(dtype)
        return same.logits if same is not None else lambda Z: self.logits(Z.double())

    def noise(self, Z: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return how much margin a float32 copy of the model may lack at encoded rows.

        Parameters
        ----------
        Z : ndarray of shape (n, d)
            Rows in encoded space.
        logits : ndarray of shape (n, n_classes)
            Theirs.

        Returns
        -------
        noise : ndarray of shape (n,)
            In logit units. 0 for a model of integers, and for a function of raw rows, whose
            arithmetic nobody knows.
        """
        single = self._single_precision
        return np.zeros(len(Z)) if single is None else single.noise(Z, logits)

    @cached_property
    def typical_noise(self) -> float:
        """The largest noise of some rows like those of the population; the same each time."""
        single = self._single_precision
        return 0.0 if single is None else single.typical(self._array_logits)

    def single_precision_logits(self, Z: np.ndarray) -> np.ndarray | None:
        """Return the logits of a float32 copy at encoded rows, shape (n, n_classes).

        Parameters
        ----------
        Z : ndarray of shape (n, d)

        Returns
        -------
        logits : ndarray or None
            None where it is not known what such a copy computes, and for models of integers.
        """
        single = self._single_precision
        return None if single is None else single.logits(Z)

    @cached_property
    def _single_precision(self) -> SinglePrecision | None:
        return single_precision_of(self.space, self.head, self.is_piecewise_constant)

    def _array_logits(self, Z: np.ndarray) -> np.ndarray:
        if isinstance(self.head, LinearHead):
            return self.head.array_logits(Z)
        import torch

        return self.logits(torch.from_numpy(Z)).detach().numpy()

    def nominal_margin(self, target: int) -> float:
        """Return the margin of a target on the threshold, were it none of the model's own."""
        if self.threshold is None:
            return 0.0
        return self.threshold.logit if target == 1 else -self.threshold.logit

    @property
    def _network(self) -> FullPrecisionMLP | None:
        """The network whose rectified layers are all that the head is."""
        if not isinstance(self.head, EstimatorHead) or self.head.shift:
            return None
        from skcfq.nn import FullPrecisionMLP

        network = getattr(self.head.estimator, "network_", None)
        return network if isinstance(network, FullPrecisionMLP) else None

    def row_logits(self, X: Any) -> Tensor:
        """Return the class logits of raw rows, shape (n, n_classes)."""
        import torch

        if isinstance(self.head, RowHead):
            # The last row again and again, in place of rows that nobody knows.
            rows = np.arange(len(X) + -len(X) % TILE).clip(max=max(len(X) - 1, 0))
            tiles = X if len(rows) == len(X) else take_rows(X, rows)
            return torch.from_numpy(self.head(tiles)[: len(X)])
        return self.logits(torch.from_numpy(self.space.encode(X, copy=False)))

    def row_scores(self, X: Any) -> np.ndarray:
        """Return what :meth:`row_logits` does, as an array; linear models need no torch for it.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_raw_columns)

        Returns
        -------
        logits : ndarray of shape (n, n_classes)
        """
        if isinstance(self.head, RowHead):
            return self.row_logits(X).detach().numpy()
        return self.encoded_scores(self.space.encode(X, copy=False))

    def encoded_scores(self, Z: np.ndarray) -> np.ndarray:
        """Return what :meth:`row_scores` does, for rows that are encoded.

        Parameters
        ----------
        Z : ndarray of shape (n, d)

        Returns
        -------
        logits : ndarray of shape (n, n_classes)
        """
        if isinstance(self.head, LinearHead):
            coef, intercept = self.linear_arrays
            return row_products(Z, coef) + intercept
        import torch

        return self.logits(torch.from_numpy(Z)).detach().numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return the model's own labels for raw rows.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, n_raw_columns)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return np.asarray(self.model.predict(X))

    @cached_property
    def is_logistic(self) -> bool:
        """Whether the probability of the last of two classes is the sigmoid of its margin."""
        if len(self.classes) != 2 or self.threshold is not None:
            return False
        if isinstance(self.head, RowHead):
            return self.head.output == "probabilities"
        if not hasattr(self.model, "predict_proba"):
            return False
        final = split_model(self.model)[1]
        if isinstance(final, DeployedClassifier) or is_own_estimator(final):
            return True
        rows = random_rows(self.head)
        logits = self._array_logits(rows)
        shares = np.asarray(final.predict_proba(named_rows(rows, final)))[:, 1]
        return bool(np.allclose(expit(logits[:, 1] - logits[:, 0]), shares, rtol=0, atol=1e-6))

    @property
    def differentiable(self) -> bool:
        """Whether the model has logits on encoded rows, with gradients."""
        return not isinstance(self.head, RowHead)

    @property
    def decides_on_codes(self) -> bool:
        """Whether logits of encoded rows are those of the raw rows, to the last bit."""
        return self.differentiable

    @property
    def is_linear(self) -> bool:
        """Whether the logits are linear in the encoded columns."""
        return self._weights is not None

    @cached_property
    def linear(self) -> tuple[Tensor, Tensor] | None:
        """Weights (n_classes, d) and intercepts (n_classes,) of linear logits, else None."""
        if self._weights is None:
            return None
        import torch

        coef, intercept = self._weights
        return torch.from_numpy(coef), torch.from_numpy(intercept)

    @cached_property
    def linear_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights (d, n_classes) and intercepts of a linear model as arrays."""
        assert self._weights is not None
        coef, intercept = self._weights
        return np.ascontiguousarray(coef.T), intercept

    @cached_property
    def _weights(self) -> tuple[np.ndarray, np.ndarray] | None:
        return linear_weights(self.head)

    @property
    def is_piecewise_constant(self) -> bool:
        """Whether inputs are quantized: the cheapest point then lies on a rounding threshold."""
        quantized = isinstance(self.head, EstimatorHead) and hasattr(
            self.head.estimator, "bit_widths_"
        )
        return quantized or self.integers is not None

    @property
    def integers(self) -> IntegerNetwork | None:
        """The integers that decide on encoded rows; None for a model without such a form."""
        if isinstance(self.model, DeployedClassifier):
            return self.model.integer_network_
        if isinstance(self.head, EstimatorHead):
            return getattr(self.head.estimator, "integer_network_", None)
        return None

    @cached_property
    def trees(self) -> TreeEnsemble | None:
        """The trees that decide; None for other models, and where they cannot be read."""
        head = self.head
        if not isinstance(head, RowHead) or not self.own_space or head.output == "labels":
            return None
        final = split_model(self.model)[1]
        if self.space.n_encoded != getattr(final, "n_features_in_", None):
            return None
        return read_trees(final)

    @property
    def name(self) -> str:
        """Class name of the estimator that decides, or name of the function."""
        if isinstance(self.model, FunctionModel):
            return self.model.head.name
        return type(split_model(self.model)[1]).__name__

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the feature space, the classes and the parameters of the head."""
        labels = repr(self.classes.tolist())
        head = self.head
        digest = head.digest if isinstance(head, RowHead) else head_digest(head)
        parts = f"{self.space.fingerprint} {labels} {digest}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"Predictor({self.name}, {self.space.n_raw} raw and {self.space.n_encoded} encoded "
            f"columns, {len(self.classes)} classes)"
        )


def check_decisions(predictor: Predictor, background: Any) -> None:
    """Compare the argmax of the logits with the model's ``predict`` on rows of a population.

    Parameters
    ----------
    predictor : Predictor
    background : DataFrame, ndarray of shape (n, n_raw_columns), or None
        With None, nothing is compared.

    Raises
    ------
    UnsupportedModelError
        They differ where the logits leave no doubt.
    """
    if background is None:
        return
    step = max(len(background) // _DECISIONS, 1)
    X = take_rows(background, np.arange(0, len(background), step))
    if predictor.differentiable:
        # A model may refuse gaps that its background has.
        X = take_rows(X, np.flatnonzero(np.isfinite(predictor.space.encode(X)).all(axis=1)))
    if len(X) == 0:
        return
    logits = predictor.row_scores(X)
    top = np.sort(logits, axis=1)
    clear = top[:, -1] - top[:, -2] > _CLEAR * np.abs(logits).max(axis=1).clip(1)
    with warnings.catch_warnings():
        # A teacher may have been fitted on the array of what is a table here.
        warnings.filterwarnings("ignore", "X has feature names", UserWarning)
        decisions = predictor.predict(X)
    if not np.array_equal(decisions[clear], predictor.classes[logits.argmax(axis=1)][clear]):
        raise UnsupportedModelError(
            f"`predict` of {type(predictor.model).__name__} is not the argmax of what "
            f"{predictor.name} computes: it decides by a rule of its own."
        )
