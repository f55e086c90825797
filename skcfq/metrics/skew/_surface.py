"""The loss surface of a network by group: norms of gradients, eigenvalues of Hessians."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from sklearn.utils import check_random_state

from skcfq.metrics.skew._checks import read_labels
from skcfq.metrics.skew._decisions import positions_of
from skcfq.metrics.skew._labels import members_of
from skcfq.metrics.skew._network_loss import NetworkLoss
from skcfq.models import as_predictor
from skcfq.proofs import real_network
from skcfq.utils import Interval, as_table, check_parameters

_COUNT = Interval(Integral, 1, None, closed="left")


def group_gradients(
    model: Any, X: Any, y: Any, groups: Any = None, *, background: Any = None
) -> pd.DataFrame:
    r"""Return the norm of the gradient of each group's mean loss, over all weights and biases.

    .. math:: \left\| \nabla_w \frac{1}{n_g} \sum_{i \in g} \ell(f_w(x_i), y_i) \right\|_2

    Where a network has been trained to the end, this is near 0 for all people together, and large
    for a group that the others outvote.

    Parameters
    ----------
    model : fitted classifier or Predictor
        A linear model, a network of rectifiers, or a quantized classifier of skcfq. Of the last,
        the gradient is the straight-through estimate at the dequantized weights: values are those
        of the deployed integers, and a change passes through roundings, not through clips. It is
        no slope of the deployed model, which is flat almost everywhere.
    X : DataFrame or ndarray of shape (n, p)
    y : array-like of shape (n,)
        True labels.
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.
    background : DataFrame or ndarray, optional
        Where the model carries no statistics; by default X.

    Returns
    -------
    figures : DataFrame
        One row for ``"everybody"`` and each group: ``n``, ``loss`` and ``gradient_norm``.

    Raises
    ------
    UnsupportedModelError
        The model is no such network.
    ValueError
        Lengths differ, or a label is no class of the model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> y = X[:, 0] > 3
    >>> model = LogisticRegression(C=1e6).fit(X, y)
    >>> norms = group_gradients(model, X, y, X[:, 0] > 3)["gradient_norm"]
    >>> bool(norms["everybody"] < 1e-3), bool(norms["True"] > norms["everybody"])
    (True, True)
    """
    rows = {}
    for name, loss in _losses(model, X, y, groups, background):
        norm = float(np.linalg.norm(loss.gradient()))
        rows[name] = {"n": loss.n_people, "loss": float(loss.loss.mean()), "gradient_norm": norm}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


@check_parameters(
    n_eigenvalues=[_COUNT],
    tol=[Interval(Real, 0, 1, closed="neither")],
    n_probes=[Interval(Integral, 2, 10_000, closed="both")],
    random_state=["random_state"],
)
def group_curvature(
    model: Any,
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    n_eigenvalues: int = 3,
    tol: float = 1e-4,
    n_probes: int = 32,
    background: Any = None,
    random_state: Any = 0,
) -> pd.DataFrame:
    r"""Return the largest eigenvalues of the Hessian of each group's mean loss, and its trace.

    Eigenvalues come from Lanczos iterations on products with the Hessian (ARPACK), the trace from
    Hutchinson's estimate :math:`\frac{1}{m} \sum_j r_j^\top H r_j` with random signs
    :math:`r_j`.

    Parameters
    ----------
    model, X, y, groups, background
        As in :func:`group_gradients`, the straight-through reading of a quantized network too: its
        Hessian is that of the network with clips and without roundings, at the deployed values.
    n_eigenvalues : int, default=3
        The largest, from the top; at most the number of weights less one.
    tol : float, default=1e-4
        Of each eigenvalue, relative to it.
    n_probes : int, default=32
        Number m of random vectors of the trace.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    figures : DataFrame
        One row for ``"everybody"`` and each group: ``n``, ``eigenvalue_1``, …, ``residual`` (the
        largest :math:`\|Hv - \lambda v\|`), ``trace`` and ``trace_error`` (its standard error, of
        the random vectors alone). Eigenvalues that did not converge are NaN.

    Raises
    ------
    UnsupportedModelError, ValueError
        As in :func:`group_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> model = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> found = group_curvature(model, X, X[:, 0] > 3, n_eigenvalues=1)
    >>> bool(found.loc["everybody", "eigenvalue_1"] > 0)
    True
    """
    random = check_random_state(random_state)
    rows = {}
    for name, loss in _losses(model, X, y, groups, background):
        k = min(n_eigenvalues, loss.size - 1)
        found = largest_eigenvalues(loss, k, tol, random)
        probes = 2.0 * random.randint(2, size=(n_probes, loss.size)) - 1
        traces = np.array([probe @ loss.hessian_product(probe) for probe in probes])
        rows[name] = {
            "n": loss.n_people,
            **{f"eigenvalue_{i + 1}": value for i, value in enumerate(found.values.tolist())},
            "residual": found.residual,
            "trace": float(traces.mean()),
            "trace_error": float(traces.std(ddof=1) / np.sqrt(n_probes)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """The k largest eigenvalues of a Hessian.

    Attributes
    ----------
    values : ndarray of shape (k,)
        From the largest; NaN of those that did not converge.
    first : ndarray of shape (size,)
        The vector of the largest; zeros where that did not converge.
    residual : float
        The largest of those that did; NaN without.
    """

    values: np.ndarray
    first: np.ndarray
    residual: float


def largest_eigenvalues(
    loss: NetworkLoss, k: int, tol: float, random: np.random.RandomState
) -> Eigenvalues:
    """Return the k largest eigenvalues of the Hessian of a mean loss."""
    operator = LinearOperator((loss.size, loss.size), loss.hessian_product, dtype=np.float64)
    start = random.normal(size=loss.size)
    try:
        values, vectors = eigsh(operator, k=k, which="LA", tol=tol, v0=start)
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    apart = [
        np.linalg.norm(loss.hessian_product(v) - value * v)
        for value, v in zip(values, vectors.T, strict=True)
    ]
    missing = np.full(k - len(values), np.nan)
    first = vectors[:, 0] if len(values) else np.zeros(loss.size)
    return Eigenvalues(np.append(values, missing), first, float(max(apart, default=np.nan)))


def _losses(
    model: Any, X: Any, y: Any, groups: Any, background: Any
) -> Iterator[tuple[str, NetworkLoss]]:
    """Yield the loss of everybody and of each group at the weights of a model."""
    X = as_table(X)
    background = X if background is None else background
    predictor = as_predictor(model, background=background, example=X)
    network, encoded = real_network(predictor), predictor.space.encode(X)
    truth = read_labels(y, "y", len(X), like="X")
    position = positions_of(truth, predictor.classes, len(predictor.classes))
    for name, people in members_of(groups, len(X)).items():
        yield name, NetworkLoss.at(network, encoded[people], position[people])
