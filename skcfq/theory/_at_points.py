"""ε at points and around them: computed, sampled, and to first order (Eq. 47, 61, 62, 65, 66)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skcfq.theory._model_pairs import read_pair
from skcfq.theory._neighborhoods import neighborhood
from skcfq.theory._perturbation import Perturbation, sizes
from skcfq.utils import Interval, StrOptions, check_parameters

if TYPE_CHECKING:
    from skcfq.models import Predictor

RADIUS = [Interval(Real, 0, 1e6, closed="both")]
NORM = [StrOptions({"l2", "linf"})]
OVER = [StrOptions({"numbers", "encoded"})]
_MOST_SAMPLES = 1_000_000


@check_parameters(centered=["boolean"])
def exact_perturbation(
    reference: Any, deployed: Any, X: Any, *, centered: bool = False, background: Any = None
) -> Perturbation:
    r"""Return how far the logits of two models lie apart at each point itself (Eq. 47).

    .. math:: \epsilon(u, 0) = \|g_q(u) - g(u)\|_\infty

    Parameters
    ----------
    reference, deployed : estimator or Predictor
        Fitted classifiers of one feature space.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    centered : bool, default=False
        Leave out what all logits have in common: the difference after the best shift, half the
        range over the classes. No decision sees a shift.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    perturbation : Perturbation
        Certified and exact, up to float64 rounding, of the points and of nothing around them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> theory.exact_perturbation(reference, stricter, X, background=X).direction
    'exact'
    """
    before, after = read_pair(reference, deployed, X, background).logits
    return Perturbation(
        sizes(after - before, centered=centered), "certified", "exact", centered=centered
    )


@check_parameters(
    radius=RADIUS,
    norm=NORM,
    over=OVER,
    n_samples=[Interval(Integral, 1, _MOST_SAMPLES, closed="both")],
    centered=["boolean"],
)
def sampled_perturbation(
    reference: Any,
    deployed: Any,
    X: Any,
    *,
    radius: float,
    norm: str = "l2",
    over: str = "numbers",
    n_samples: int = 256,
    centered: bool = False,
    random_state: Any = None,
    background: Any = None,
) -> Perturbation:
    r"""Return the largest distance of the logits among points drawn around each point (Eq. 61).

    .. math:: \widehat\epsilon_i(\rho) = \max_j \|g_q(u_{ij}) - g(u_{ij})\|_\infty

    Parameters
    ----------
    reference, deployed : estimator or Predictor
        Fitted classifiers of one feature space with logits on encoded rows.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    radius : float
        :math:`\rho`.
    norm : {"l2", "linf"}, default="l2"
        Draw from the ball or from the box.
    over : {"numbers", "encoded"}, default="numbers"
        What moves, and what the radius counts in. ``"numbers"``: all numbers in their spreads,
        while categories stay, as when advice is carried out inexactly. ``"encoded"``: all encoded
        columns in their units, which is the paper's :math:`\mathbb B_\rho`.
    n_samples : int, default=256
        Points drawn around each point, uniformly; the point itself is always among them.
    centered : bool, default=False
        As in :func:`exact_perturbation`.
    random_state : int, RandomState instance or None, default=None
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    perturbation : Perturbation
        Sampled, a lower bound: the neighborhood may hold a larger distance. Its ``quantile_95``
        and ``maximum`` are those of Eq. 62.

    Notes
    -----
    A sample proves nothing of a neighborhood. What :func:`margin_condition` says with it holds at
    the point, whose own distance is in it; that all of the ball survives does not follow, and is
    often false.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> found = theory.sampled_perturbation(
    ...     reference, stricter, X, radius=0.1, n_samples=20, random_state=0, background=X
    ... )
    >>> found.direction, found.maximum >= found.quantile_95
    ('lower bound', True)
    """
    pair = read_pair(reference, deployed, X, background)
    around = neighborhood((pair.reference, pair.deployed), radius, norm, over)
    rng = check_random_state(random_state)
    values = sizes(_difference(pair.reference, pair.deployed, pair.encoded), centered=centered)
    for i, point in enumerate(pair.encoded):
        for offsets in around.draws(n_samples, rng):
            found = _difference(pair.reference, pair.deployed, point + offsets)
            # With a gap in the row, NaN stays.
            values[i] = np.maximum(values[i], sizes(found, centered=centered).max())
    return Perturbation(values, "sampled", "lower bound", float(radius), norm, over, centered)


@check_parameters(radius=RADIUS, norm=NORM, over=OVER, centered=["boolean"])
def first_order_perturbation(
    reference: Any,
    deployed: Any,
    X: Any,
    *,
    radius: float,
    norm: str = "l2",
    over: str = "numbers",
    centered: bool = False,
    background: Any = None,
) -> Perturbation:
    r"""Estimate ε around each point from values and gradients there (Eq. 65, 66).

    .. math:: \epsilon(u, \rho) \approx \|g_q(u) - g(u)\|_\infty
              + \rho\,\|\nabla(g_q - g)(u)\|_{\infty \leftarrow 2}

    Parameters
    ----------
    reference, deployed : estimator or Predictor
        Fitted classifiers of one feature space with logits on encoded rows.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        Raw rows, such as ``result.points``.
    radius : float
        :math:`\rho`.
    norm : {"l2", "linf"}, default="l2"
        Of the neighborhood; for the box the operator norm is :math:`\infty \leftarrow \infty`.
    over : {"numbers", "encoded"}, default="numbers"
        As in :func:`sampled_perturbation`; the gradient is by what the radius counts in.
    centered : bool, default=False
        As in :func:`exact_perturbation`; of the gradients too.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics.

    Returns
    -------
    perturbation : Perturbation
        Estimated: neither bound, for ranking points. Its ``parts`` are ``"at_point"`` and
        ``"around"``, the two terms.

    Notes
    -----
    A quantized network is a staircase: its gradient is 0 wherever it exists, and tells nothing.
    What is differentiated is the surrogate that it was trained as, the clipped network without
    rounding, through the masks of the exact values (straight-through).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import theory
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> reference = LogisticRegression().fit(X, X[:, 0] > 3)
    >>> stricter = LogisticRegression().fit(X, X[:, 0] > 4)
    >>> found = theory.first_order_perturbation(reference, stricter, X, radius=0.1, background=X)
    >>> found.kind, sorted(found.parts)
    ('estimated', ['around', 'at_point'])
    """
    pair = read_pair(reference, deployed, X, background)
    around = neighborhood((pair.reference, pair.deployed), radius, norm, over)
    before, after = (
        _values_and_slopes(one, pair.encoded) for one in (pair.reference, pair.deployed)
    )
    at_point = sizes(after[0] - before[0], centered=centered)
    slopes = after[1] - before[1]
    if centered:
        # The range of linear functions is that of two of them.
        apart = around.operator_norm(slopes[:, :, None] - slopes[:, None])
        change = apart.max(axis=(1, 2)) / 2
    else:
        change = around.operator_norm(slopes).max(axis=1)
    parts = {"at_point": at_point, "around": change}
    return Perturbation(
        at_point + change, "estimated", "estimate", float(radius), norm, over, centered, parts
    )


def _difference(reference: Predictor, deployed: Predictor, Z: np.ndarray) -> np.ndarray:
    """Return deployed less reference logits of encoded rows, shape (n, n_classes)."""
    rows = torch.from_numpy(Z)
    return (deployed.logits(rows) - reference.logits(rows)).detach().numpy()


def _values_and_slopes(predictor: Predictor, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (n, K) of encoded rows and their gradients (n, K, d)."""
    rows = torch.from_numpy(Z).requires_grad_(True)
    logits = predictor.logits(rows)
    slopes = [
        torch.autograd.grad(logits[:, k].sum(), rows, retain_graph=True)[0]
        for k in range(logits.shape[1])
    ]
    return logits.detach().numpy(), torch.stack(slopes, dim=1).numpy()
