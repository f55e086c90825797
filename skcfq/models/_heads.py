"""Differentiable heads: the part of a classifier that maps encoded rows to class logits.

Every head computes in float64, and no gradient is spent on its parameters. Binary scores s become
the two logits (0, s), whose argmax is the estimator's ``predict``. A linear head is two arrays, and
makes tensors of them where it is asked on tensors: exact methods need no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.exceptions import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor

    from skcfq.models._mlp_head import MLPHead
    from skcfq.models._thresholds import DecisionThreshold
    from skcfq.nn import DeployedNetwork, FullPrecisionMLP

REMEDY = (
    "Give a linear classifier, an MLPClassifier or an estimator of skcfq, alone or behind an "
    "encoder that works column by column; or give such a model trained on this one's labels."
)


class LinearHead:
    """Logits of a linear classifier.

    Parameters
    ----------
    coef : ndarray of shape (n_classes or 1, d)
        One row per class; a single row is a binary score.
    intercept : ndarray of shape (n_classes or 1,)

    Examples
    --------
    >>> import numpy as np, torch
    >>> head = LinearHead(np.array([[2.0, -1.0]]), np.array([0.5]))
    >>> head(torch.tensor([[1.0, 1.0]], dtype=torch.float64)).tolist()
    [[0.0, 1.5]]
    """

    def __init__(self, coef: np.ndarray, intercept: np.ndarray) -> None:
        self.coef = np.array(np.atleast_2d(coef), dtype=np.float64)
        self.intercept = np.array(np.atleast_1d(intercept), dtype=np.float64)
        self.n_inputs = self.coef.shape[1]

    def __call__(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        from skcfq.models._mlp_head import linear_logits

        return linear_logits(Z, *self._tensors)

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor]:
        import torch

        return torch.from_numpy(self.coef), torch.from_numpy(self.intercept)

    def array_logits(self, Z: np.ndarray) -> np.ndarray:
        """Map encoded rows to logits, as arrays."""
        coef, intercept = self.linear_weights()
        return Z @ coef.T + intercept

    def linear_weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return coefficients and intercepts of the logits, one row per class."""
        return _of_two_logits(self.coef, self.intercept)

    def shifted(self, margin: float) -> LinearHead:
        """Return a head whose margin of class 1 over class 0 is smaller by a number."""
        return LinearHead(self.coef, shifted_bias(self.intercept, margin))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the parameters."""
        return {"coef": self.coef, "intercept": self.intercept}

    def __repr__(self) -> str:
        return "LinearHead()"


class EstimatorHead:
    """Logits of an estimator of this library: its own ``logits_``, which ``predict`` uses too.

    Parameters
    ----------
    estimator : estimator
    shift : float, default=0.0
        What the margin of class 1 over class 0 is smaller by.
    """

    def __init__(self, estimator: Any, shift: float = 0.0) -> None:
        self.estimator = estimator
        self.n_inputs = estimator.feature_space_.n_encoded
        self.shift = shift

    def __call__(self, Z: Tensor) -> Tensor:
        """Map encoded rows (n, d) to logits (n, n_classes)."""
        from skcfq.nn import in_lanes, to_lanes

        network = self._plain
        if network is not None:
            logits = in_lanes(network.frozen().logits, Z)
        else:
            # Sums of integers are exact; of a module of the caller's own nothing more is known.
            logits = self.estimator.logits_(to_lanes(Z).flatten(0, 1))[: len(Z)]
        return shifted_bias(logits, self.shift) if self.shift else logits

    def frozen(self) -> Callable[[Tensor], Tensor]:
        """Return the map from rows to logits with the weights as they are now."""
        from skcfq.nn import DeployedNetwork, in_lanes

        network = self._plain
        integers = getattr(self.estimator, "integer_network_", None)
        if self.shift:
            return self
        if network is not None:
            return partial(in_lanes, network.frozen().logits)
        return self if integers is None else DeployedNetwork(integers).forward

    @property
    def _plain(self) -> FullPrecisionMLP | None:
        from skcfq.nn import FullPrecisionMLP

        network = getattr(self.estimator, "network_", None)
        return network if isinstance(network, FullPrecisionMLP) else None

    def shifted(self, margin: float) -> EstimatorHead:
        """Return a head whose margin of class 1 over class 0 is smaller by a number."""
        return EstimatorHead(self.estimator, margin)

    def state_dict(self) -> dict[str, Any]:
        """Return the parameters and buffers of the estimator's network."""
        network = self.estimator.network_.state_dict()
        return network | {"shift": np.array(self.shift)} if self.shift else network

    def linear_weights(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return weights and biases of a network that is one layer in full precision, else None."""
        network = self._plain
        if network is None or len(network.layers) > 1:
            return None
        weights = (network.layers[0].get_parameter(name) for name in ("weight", "bias"))
        coef, intercept = (weight.detach().double().numpy() for weight in weights)
        coef, intercept = _of_two_logits(coef, intercept)
        return coef, shifted_bias(intercept, self.shift) if self.shift else intercept

    def __repr__(self) -> str:
        return repr(self.estimator.network_)


if TYPE_CHECKING:
    Head = LinearHead | MLPHead | EstimatorHead | DeployedNetwork


def frozen_integers(head: Any) -> DeployedNetwork | None:
    """Return the integer network that is all that a head is; None for every other one."""
    from skcfq.nn import DeployedNetwork

    if isinstance(head, DeployedNetwork):
        return head
    if not isinstance(head, EstimatorHead) or head.shift:
        return None
    integers = getattr(head.estimator, "integer_network_", None)
    return None if integers is None else DeployedNetwork(integers)


def read_head(estimator: Any) -> Head:
    """Read the differentiable head of a fitted final estimator.

    Parameters
    ----------
    estimator : object
        A fitted classifier: one of this library (``feature_space_``, ``classes_``, ``logits_``),
        a linear classifier (``coef_``, ``intercept_``) or an ``MLPClassifier``.

    Returns
    -------
    head : LinearHead, MLPHead or EstimatorHead

    Raises
    ------
    UnsupportedModelError
        The estimator has none, or its ``predict`` is not the argmax of the head that was read.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> read_head(LogisticRegression().fit([[0.0], [1.0]], ["no", "yes"])).n_inputs
    1
    """
    if is_own_estimator(estimator):
        return EstimatorHead(estimator)
    head = _foreign_head(estimator)
    _verify(head, estimator)
    return head


def head_with_threshold(head: Any, estimator: Any, threshold: DecisionThreshold) -> Head:
    """Return a head whose argmax follows a threshold of the estimator's own score.

    Parameters
    ----------
    head : LinearHead, MLPHead or EstimatorHead
        Of two classes.
    estimator : object
        The fitted final estimator that ``head`` was read from.
    threshold : DecisionThreshold

    Raises
    ------
    UnsupportedModelError
        The score is not what the head's margin comes to.
    """
    if not is_own_estimator(estimator):
        rows = random_rows(head)
        logits = head.array_logits(rows)
        scores = getattr(estimator, threshold.method)(named_rows(rows, estimator))
        if not threshold.agrees(logits[:, 1] - logits[:, 0], np.asarray(scores)):
            raise UnsupportedModelError(
                f"The {threshold.method} of {type(estimator).__name__}, which a threshold is set "
                f"on, does not follow from its coefficients. {REMEDY}"
            )
    return head.shifted(threshold.logit)


def linear_weights(head: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the weights of a head that is linear.

    Parameters
    ----------
    head : LinearHead, MLPHead, EstimatorHead, DeployedNetwork or RowHead

    Returns
    -------
    weights : (ndarray of shape (n_classes, d), ndarray of shape (n_classes,)) or None
        Weights and intercepts of the logits, float64; a binary score has the rows (0, w). None
        for a head with a hidden layer or with quantized inputs.
    """
    # Neither integers nor a function of rows have any.
    read = getattr(head, "linear_weights", None)
    return None if read is None else read()


def shifted_bias(bias: Any, margin: float) -> Any:
    """Return biases, or logits, of two classes whose margin of class 1 is smaller by a number.

    Parameters
    ----------
    bias : ndarray or Tensor of shape (..., 1) or (..., 2)
        A single one is that of the score of class 1.
    margin : float
    """
    shifted = bias + 0.0
    shifted[..., -1] -= margin
    return shifted


def is_own_estimator(estimator: Any) -> bool:
    """Tell whether a fitted estimator speaks this library's protocol."""
    return all(hasattr(estimator, name) for name in ("feature_space_", "classes_", "logits_"))


def head_digest(head: Head) -> str:
    """Return the SHA-256 of a head's architecture and parameters."""
    digest = hashlib.sha256(f"{type(head).__name__} {head!r}".encode())
    for name, value in sorted(head.state_dict().items()):
        array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else _array(value))
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _array(value: Any) -> np.ndarray:
    import torch

    return torch.as_tensor(value).detach().cpu().numpy()


def _of_two_logits(coef: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the logits (0, s) where there is one score s."""
    if len(coef) > 1:
        return coef, intercept
    zeros = np.zeros_like(coef), np.zeros_like(intercept)
    return np.vstack([zeros[0], coef]), np.concatenate([zeros[1], intercept])


def _foreign_head(estimator: Any) -> LinearHead | MLPHead:
    name = type(estimator).__name__
    if not hasattr(estimator, "classes_"):
        raise UnsupportedModelError(f"{name} is no classifier: it has no `classes_`. {REMEDY}")
    if all(hasattr(estimator, part) for part in ("coefs_", "intercepts_", "out_activation_")):
        from skcfq.models._mlp_head import ACTIVATIONS, MLPHead

        single_label = estimator.n_outputs_ == 1 or estimator.out_activation_ == "softmax"
        if not single_label or estimator.activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"{name} with output {estimator.out_activation_!r} and activation "
                f"{estimator.activation!r} cannot be read: only single-label perceptrons with "
                f"activation {', '.join(ACTIVATIONS)} can. {REMEDY}"
            )
        return MLPHead(estimator.coefs_, estimator.intercepts_, estimator.activation)
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
        return LinearHead(np.asarray(estimator.coef_), np.asarray(estimator.intercept_))
    raise UnsupportedModelError(f"{name} has no linear or neural head that can be read. {REMEDY}")


def _verify(head: LinearHead | MLPHead, estimator: Any) -> None:
    """Compare the argmax of the head with ``predict`` on rows drawn in the encoded space.

    ``coef_`` means different things to different estimators (one-against-one machines have one
    row per pair of classes), so reading it is not enough.
    """
    rows = random_rows(head)
    logits = head.array_logits(rows)
    if logits.shape[1] == len(estimator.classes_):
        top = np.sort(logits, axis=1)
        clear = top[:, -1] - top[:, -2] > 1e-9 * np.abs(logits).max()
        expected = np.asarray(estimator.classes_)[logits.argmax(axis=1)]
        if np.array_equal(estimator.predict(named_rows(rows, estimator))[clear], expected[clear]):
            return
    raise UnsupportedModelError(
        f"The coefficients of {type(estimator).__name__} do not give one logit per class whose "
        f"argmax is its `predict`. {REMEDY}"
    )


def random_rows(head: Any) -> np.ndarray:
    """Return encoded rows on which a head is compared with its estimator, the same each time."""
    return np.random.RandomState(0).standard_normal((64, head.n_inputs))


def named_rows(rows: np.ndarray, estimator: Any) -> Any:
    """Return encoded rows with the names of the columns that an estimator was fitted on."""
    if not hasattr(estimator, "feature_names_in_"):
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=estimator.feature_names_in_)
