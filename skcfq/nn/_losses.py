"""Losses on logits, each a weighted mean over rows (§4.2 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor

# A row this far from the boundary, in logits, counts half as much as one on it.
_NEAR = 0.2
# Beyond so many logits a decision is as good as sure.
_FAR = 4.0


def weighted_mean(losses: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    r"""Return :math:`\sum_i w_i\ell_i / \sum_i w_i`.

    Parameters
    ----------
    losses : Tensor of shape (n_samples,)
        Loss of each row.
    sample_weight : Tensor of shape (n_samples,), optional
        Non-negative weights.

    Returns
    -------
    Tensor of shape ()
        0 where all weights are 0, or no row is given.

    Examples
    --------
    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
    tensor(2.)
    """
    if sample_weight is None:
        return losses.mean() if losses.numel() else losses.sum()
    total = sample_weight.sum().clamp_min(torch.finfo(losses.dtype).tiny)
    # One product, so that the graph has one node.
    return losses @ (sample_weight / total)


def cross_entropy(logits: Tensor, labels: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Weighted cross entropy.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_classes)
        Logits.
    labels : Tensor of shape (n_samples,), int64
        Class indices.
    sample_weight : Tensor of shape (n_samples,), optional
        Non-negative weights.

    Returns
    -------
    Tensor of shape ()

    Examples
    --------
    >>> cross_entropy(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    tensor(0.6931)
    """
    if sample_weight is None and len(labels):
        return torch.nn.functional.cross_entropy(logits, labels)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return weighted_mean(losses, sample_weight)


def target_margin(logits: Tensor, target: Tensor | int) -> Tensor:
    """Logit of the target less the highest other logit.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_classes)
        Logits of at least two classes.
    target : Tensor of shape (n_samples,), int64, or int
        Target class of each row, or of all rows.

    Returns
    -------
    Tensor of shape (n_samples,)
        :math:`m(x; y_{tgt})`, positive where the target wins.

    Examples
    --------
    >>> target_margin(torch.tensor([[1.0, 3.0, 2.0]]), 1)
    tensor([1.])
    """
    if not isinstance(target, Tensor):
        target = torch.full((len(logits),), target, dtype=torch.int64, device=logits.device)
    column = target.unsqueeze(1)
    if logits.shape[1] == 2:
        return (logits.gather(1, column) - logits.gather(1, 1 - column)).squeeze(1)
    others = logits.scatter(1, column, float("-inf")).max(dim=1).values
    return logits.gather(1, column).squeeze(1) - others


def logit_distance(logits: Tensor, wanted: Tensor, transition: float = 0.5) -> Tensor:
    r"""Distance of logits up to a constant, which no decision depends on.

    Parameters
    ----------
    logits, wanted : Tensor of shape (n_samples, n_classes)
        Logits of the student and of the teacher.
    transition : float, default=0.5
        Distance at which the loss turns from squared to absolute, in logit units.

    Returns
    -------
    Tensor of shape (n_samples,)
        Smooth l1 of twice the centered difference, averaged over classes; for two classes the
        smooth l1 of the difference of the margins.

    Examples
    --------
    >>> logit_distance(torch.tensor([[0.0, 2.0]]), torch.tensor([[5.0, 6.0]]))
    tensor([0.7500])
    """
    gap = logits - wanted
    if gap.shape[1] == 2:
        return _smooth(gap[:, 1] - gap[:, 0], transition)
    gap = 2.0 * (gap - gap.mean(dim=1, keepdim=True))
    return _smooth(gap, transition).mean(dim=1)


def near_boundary(logits: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Return weights of rows that are the larger, the nearer a row is to another decision.

    Parameters
    ----------
    logits : Tensor of shape (n_samples, n_classes)
    sample_weight : Tensor of shape (n_samples,), optional

    Examples
    --------
    >>> near_boundary(torch.tensor([[1.0, 1.0], [0.0, 0.8]])).round(decimals=3)
    tensor([5., 1.])
    """
    best = logits.topk(2, dim=1).values
    closeness = 1.0 / (_NEAR + best[:, 0] - best[:, 1])
    return closeness if sample_weight is None else closeness * sample_weight


def boundary_loss(logits: Tensor, wanted: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Return what quantizers are chosen by: lost logits, the more the nearer to a decision.

    Parameters
    ----------
    logits, wanted : Tensor of shape (n_samples, n_classes)
    sample_weight : Tensor of shape (n_samples,), optional

    Returns
    -------
    Tensor of shape ()
        Logits further than 4 below the largest are alike: what a heavy tail loses there changes
        no decision.

    Examples
    --------
    >>> boundary_loss(torch.tensor([[0.0, 30.0]]), torch.tensor([[0.0, 5.0]]))
    tensor(0.)
    """

    def cut(logits: Tensor) -> Tensor:
        return (logits - logits.amax(dim=1, keepdim=True)).clamp_min(-_FAR)

    weights = near_boundary(wanted, sample_weight)
    return weighted_mean(logit_distance(cut(logits), cut(wanted)), weights)


def margin_distance(
    logits: Tensor, wanted: Tensor, target: Tensor | int, transition: float = 0.5
) -> Tensor:
    """Distance of two target margins.

    Parameters
    ----------
    logits, wanted : Tensor of shape (n_samples, n_classes)
        Logits of the student and of the teacher.
    target : Tensor of shape (n_samples,), int64, or int
        Target class.
    transition : float, default=0.5
        Distance at which the loss turns from squared to absolute, in logit units.

    Returns
    -------
    Tensor of shape (n_samples,)
        Smooth l1 of the difference of the margins.

    Examples
    --------
    >>> margin_distance(torch.tensor([[0.0, 2.0]]), torch.tensor([[5.0, 6.0]]), 1)
    tensor([0.7500])
    """
    return _smooth(target_margin(logits, target) - target_margin(wanted, target), transition)


def group_mean(
    losses: Tensor,
    groups: Tensor,
    sample_weight: Tensor,
    group_weights: Tensor | None = None,
    *,
    worst: bool = False,
) -> Tensor:
    r"""Combine the mean losses of groups (Eq. 33).

    Parameters
    ----------
    losses : Tensor of shape (n_samples,)
        Loss of each row.
    groups : Tensor of shape (n_samples,), int64
        Group of each row.
    sample_weight : Tensor of shape (n_samples,)
        Non-negative weights, within groups.
    group_weights : Tensor of shape (n_groups,), optional
        Weight of each group; the weight of its rows by default.
    worst : bool, default=False
        Return the largest weighted group mean instead, :math:`\max_g`; without ``group_weights``
        every group counts as it is.

    Returns
    -------
    Tensor of shape ()
        Groups without a row do not count; 0 without rows.

    Examples
    --------
    >>> losses, groups = torch.tensor([1.0, 1.0, 4.0]), torch.tensor([0, 0, 1])
    >>> group_mean(losses, groups, torch.ones(3)), group_mean(losses, groups, torch.ones(3),
    ...                                                       worst=True)
    (tensor(2.), tensor(4.))
    """
    if len(losses) == 0:
        return losses.sum()
    n_groups = int(groups.max()) + 1
    total = sample_weight.new_zeros(n_groups).index_add_(0, groups, sample_weight)
    summed = losses.new_zeros(n_groups).index_add(0, groups, losses * sample_weight)
    means = summed / total.clamp_min(torch.finfo(losses.dtype).tiny)
    present = total > 0
    if group_weights is not None:
        weights = group_weights[:n_groups].to(means.dtype) * present
    else:
        weights = present.to(means.dtype) if worst else total
    if worst:
        return (means * weights).max()
    return weighted_mean(means, weights)


def _smooth(gap: Tensor, transition: float) -> Tensor:
    if transition == 0:
        return gap.abs()
    zero = torch.zeros_like(gap)
    return torch.nn.functional.smooth_l1_loss(gap, zero, reduction="none", beta=transition)
