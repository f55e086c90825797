"""Which rows are chosen out of many: as many of each group, and those that teach the most."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.nn import FullPrecisionMLP
from skcfq.training._groups import Groups, codes_and_labels, weights_of

# Of the mean score: rows that are easy are drawn too, and their weights stay below ten.
_LEAST_SCORE = 0.1


def equal_quotas(sizes: np.ndarray, total: int) -> np.ndarray:
    """Share a number out to groups equally, as far as they have so many.

    Parameters
    ----------
    sizes : ndarray of shape (n_groups,), int64
    total : int
        At most the sum of the sizes.

    Returns
    -------
    quotas : ndarray of shape (n_groups,), int64
        With that sum; what a small group lacks goes to the others, and a rest to the first.

    Examples
    --------
    >>> equal_quotas(np.array([2, 50, 90]), 21).tolist()
    [2, 10, 9]
    """
    quotas, left = np.zeros_like(sizes), total
    while left > 0:
        wanting = np.flatnonzero(quotas < sizes)
        share, rest = divmod(left, len(wanting))
        more = share + (np.arange(len(wanting)) < rest)
        more = np.minimum(more, (sizes - quotas)[wanting])
        quotas[wanting] += more
        left -= int(more.sum())
    return quotas


def proportional_quotas(sizes: np.ndarray, total: int) -> np.ndarray:
    """Share a number out to groups by their sizes, by largest remainders.

    Parameters
    ----------
    sizes : ndarray of shape (n_groups,), int64
    total : int
        At most the sum of the sizes.

    Examples
    --------
    >>> proportional_quotas(np.array([10, 45, 45]), 7).tolist()
    [1, 3, 3]
    """
    exact = sizes * (total / max(int(sizes.sum()), 1))
    quotas = np.floor(exact).astype(np.int64)
    order = np.argsort(quotas - exact, kind="stable")
    quotas[order[: total - int(quotas.sum())]] += 1
    return quotas


def balanced_rows(codes: np.ndarray, size: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw as many rows of each group, as far as it has so many; rising positions.

    Parameters
    ----------
    codes : ndarray of shape (n,), int64
        Group of each row.
    size : int
    rng : RandomState
    """
    groups, counts = np.unique(codes, return_counts=True)
    quotas = equal_quotas(counts, min(size, len(codes)))
    drawn = [
        rng.permutation(np.flatnonzero(codes == group))[:quota]
        for group, quota in zip(groups, quotas, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def balanced_calibration(
    sensitive_features: np.ndarray,
    weights: np.ndarray,
    size: int | None,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw calibration rows of which every group counts the same.

    Parameters
    ----------
    sensitive_features : ndarray of shape (n,)
        Group of each row, of any hashable type.
    weights : ndarray of shape (n,)
        Within groups.
    size : int or None
        Number of rows; None takes all.
    rng : RandomState

    Returns
    -------
    rows : ndarray of shape (k,), int64
        Rising. As many of each group, as far as it has so many.
    weights : ndarray of shape (k,)
        Whose sums are the same for all groups.
    """
    codes, labels = codes_and_labels(sensitive_features, "balanced", "calibration")
    rows = np.arange(len(codes)) if size is None else balanced_rows(codes, size, rng)
    groups = Groups(torch.from_numpy(codes), weights_of("balanced", labels))
    return rows, groups.balance(torch.from_numpy(rows), torch.from_numpy(weights[rows])).numpy()


def inclusion_probabilities(scores: np.ndarray, n_drawn: int) -> np.ndarray:
    """Return how probably each row is to be drawn: in proportion to its score, 1 at most.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Finite and non-negative.
    n_drawn : int
        At most n.

    Returns
    -------
    probabilities : ndarray of shape (n,)
        With the sum ``n_drawn``; a score counts as a tenth of the mean at least.

    Examples
    --------
    >>> inclusion_probabilities(np.array([0.0, 1.0, 1.0, 10.0]), 2).round(2).tolist()
    [0.13, 0.43, 0.43, 1.0]
    """
    mean = scores.mean() if len(scores) else 0.0
    shares = np.ones(len(scores)) if mean == 0 else np.maximum(scores / mean, _LEAST_SCORE)
    found, sure = np.zeros(len(scores)), np.zeros(len(scores), dtype=bool)
    while n_drawn > 0:
        left = shares[~sure]
        found[sure], found[~sure] = 1.0, left / left.sum() * (n_drawn - sure.sum())
        if found.max() <= 1 or sure.all():
            break
        sure |= found >= 1
    return np.minimum(found, 1.0)


def systematic_draw(probabilities: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw rows without replacement, each with its probability; rising positions.

    Parameters
    ----------
    probabilities : ndarray of shape (n,)
        With a whole sum: the number of rows that are drawn.
    rng : RandomState
    """
    n_drawn = round(float(probabilities.sum()))
    order = rng.permutation(len(probabilities))
    marks = rng.uniform() + np.arange(n_drawn)
    places = np.cumsum(probabilities[order]).searchsorted(marks, side="right")
    drawn = np.unique(places[places < len(order)])
    # Sums are rounded: where a mark fell beside its row, another one takes the place.
    spare = np.setdiff1d(np.flatnonzero(probabilities[order] > 0), drawn)
    return np.sort(order[np.append(drawn, spare[: n_drawn - len(drawn)])])


def row_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each row, shape (n,).

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
    labels : Tensor of shape (n,), int64
    """
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def row_gradient_norms(network: FullPrecisionMLP, rows: Tensor, labels: Tensor) -> Tensor:
    r"""Return the norm of the gradient of each row's loss with respect to all weights.

    Parameters
    ----------
    network : FullPrecisionMLP
    rows : Tensor of shape (n, n_encoded)
    labels : Tensor of shape (n,), int64

    Returns
    -------
    Tensor of shape (n,)
        With :math:`a_l` the inputs of layer l and :math:`\delta_l` the gradient at its outputs,
        :math:`\big(\sum_l \|\delta_l\|^2 (\|a_l\|^2 + 1)\big)^{1/2}`.
    """
    # Weights that are frozen leave no graph; rows that ask for a gradient do.
    inputs, outputs, hidden = [], [], rows.detach().requires_grad_()
    for layer in network.layers:
        inputs.append(hidden.detach())
        outputs.append(layer(hidden))
        hidden = torch.relu(outputs[-1])
    gradients = torch.autograd.grad(row_losses(outputs[-1], labels).sum(), outputs)
    squared = [
        delta.square().sum(1) * (before.square().sum(1) + 1.0)
        for delta, before in zip(gradients, inputs, strict=True)
    ]
    return torch.stack(squared).sum(0).sqrt()
