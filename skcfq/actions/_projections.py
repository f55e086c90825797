r"""Projections onto what a person may do, as pure functions on tensors (Appendix A.4).

The paper composes them as :math:`\Pi_{sparse} \circ \Pi_{cat} \circ \Pi_{box} \circ
\Pi_{imm}` (Eq. 7) on the action :math:`\delta`. The functions here keep that order, with four
amendments that make the result admissible always:

* they return the point :math:`u = x + \delta`, because going back and forth between the two
  leaves the box by an ulp;
* every step has the person's own value among its candidates, so staying is never excluded;
* a category moves to the nearest *allowed* code, which for plain 0/1 codes and no restriction is
  the arg max of Eq. 12;
* sparsity keeps the k features that move most, not the k encoded columns: top-k over columns
  tears one-hot groups apart.

All functions take and return float64 tensors; given numpy arrays they return numpy arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from skcfq.actions._numeric import SAME_VALUE

__all__ = [
    "Grids",
    "nearest_level",
    "project_box",
    "project_grids",
    "project_immutable",
    "project_min_change",
    "project_one_hot",
    "project_sparse",
]

Projection = TypeVar("Projection", bound=Callable[..., Any])

# Share by which limits and grids may lie short of the smallest change: they are rounded too.
SMALLEST = 1e-9
# Entries of a table of codes from which on distances are first found by the fast formula, and pairs
# that are then measured exactly at once.
_LARGE_TABLE, _PAIRS = 10_000, 1_000


def accepts_numpy(function: Projection) -> Projection:
    """Let a function on tensors take numpy arrays, and answer in kind."""

    @functools.wraps(function)
    def wrapper(first: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(first, Tensor):
            return function(first, *args, **kwargs)
        result = function(
            _to_tensor(np.asarray(first)),
            *(_to_tensor(value) for value in args),
            **{name: _to_tensor(value) for name, value in kwargs.items()},
        )
        return result.numpy()

    return wrapper  # type: ignore[return-value]  # of the function's own type


def _to_tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return torch.from_numpy(value.astype(np.float64) if value.dtype.kind == "f" else value.copy())


@accepts_numpy
def project_immutable(u: Tensor, origin: Tensor, mutable: Tensor) -> Tensor:
    """Put immutable columns back to the person's own value (Eq. 8).

    Parameters
    ----------
    u, origin : Tensor of shape (n, d)
        Proposed points and the people themselves, encoded.
    mutable : bool Tensor of shape (d,)

    Returns
    -------
    u : Tensor of shape (n, d)

    Examples
    --------
    >>> import numpy as np
    >>> project_immutable(np.array([[3.0, 4.0]]), np.zeros((1, 2)), np.array([True, False]))
    array([[3., 0.]])
    """
    return torch.where(mutable, u, origin)


@accepts_numpy
def project_box(u: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Clip points to per-person bounds (Eq. 9).

    Parameters
    ----------
    u, lower, upper : Tensor of shape (n, m)
        `lower` and `upper` contain the person's own value.

    Returns
    -------
    u : Tensor of shape (n, m)

    Examples
    --------
    >>> import numpy as np
    >>> project_box(np.array([[3.0, -4.0]]), np.zeros((1, 2)), np.ones((1, 2)))
    array([[1., 0.]])
    """
    return torch.minimum(torch.maximum(u, lower), upper)


@dataclass(frozen=True, eq=False)
class Grids:
    """The grids of k features, side by side.

    Attributes
    ----------
    points : Tensor of shape (k, g)
        Rising encoded points; infinite behind the last one.
    last : int64 Tensor of shape (k,)
        Position of the last point of each grid, 0 also where there is none.
    """

    points: Tensor
    last: Tensor

    @classmethod
    def of(cls, grids: Sequence[Tensor]) -> Grids:
        """Put grids side by side."""
        sizes = [grid.numel() for grid in grids]
        points = torch.full((len(grids), max([1, *sizes])), torch.inf, dtype=torch.float64)
        for row, grid in enumerate(grids):
            points[row, : sizes[row]] = grid
        return cls(points, torch.tensor(sizes, dtype=torch.int64).sub(1).clamp(min=0))

    def rank(self, values: Tensor, *, right: bool = False) -> Tensor:
        """Return how many points of their grids lie before values (n, k)."""
        ranks = torch.searchsorted(self.points, values.detach().T.contiguous(), right=right)
        return ranks.T

    def at(self, positions: Tensor) -> Tensor:
        """Return the points at positions (n, k), or at the nearest ones that there are."""
        inside = torch.minimum(positions.clamp(min=0), self.last)
        return self.points.take(inside + self._starts)

    @cached_property
    def _starts(self) -> Tensor:
        """Where each grid begins among all points, int64 of shape (k,)."""
        return torch.arange(len(self.points)) * self.points.shape[1]


def project_grids(
    values: Tensor,
    grids: Grids,
    lower: Tensor,
    upper: Tensor,
    own: Tensor,
    least: Tensor | None = None,
) -> Tensor:
    """Move values of k features, each to the nearest admissible value (Eq. 11).

    Parameters
    ----------
    values : Tensor of shape (n, k)
    grids : Grids
    lower, upper : Tensor of shape (n, k)
    own : Tensor of shape (n, k)
        The person's own values, always admissible even where they are off the grid.
    least : Tensor of shape (n, k), optional
        Smallest changes.

    Returns
    -------
    values : Tensor of shape (n, k)
        Ties go to the own value, then to the lower one.

    Examples
    --------
    >>> import torch
    >>> grids = Grids.of([torch.tensor([0.0, 1.0, 2.0, 3.0]).double()])
    >>> values, own = torch.tensor([[1.6], [9.0]]), torch.tensor([[1.7], [0.0]])
    >>> ends = torch.zeros(2, 1), torch.full((2, 1), 2.5)
    >>> project_grids(values.double(), grids, *(end.double() for end in ends), own.double())
    tensor([[1.7000],
            [2.0000]], dtype=torch.float64)
    """
    clipped = torch.minimum(torch.maximum(values, lower), upper)
    right = torch.minimum(grids.rank(clipped), grids.last)
    best, gap = own, (clipped - own).abs()
    candidates = [grids.at(right - 1), grids.at(right)]
    if least is not None:
        near = least * (1 - SMALLEST)
        below = grids.rank(own - near, right=True) - 1
        candidates = [grids.at(below), grids.at(grids.rank(own + near)), *candidates]
    for candidate in candidates:
        distance = (clipped - candidate).abs()
        better = (candidate >= lower) & (candidate <= upper) & (distance < gap)
        if least is not None:
            better &= (candidate - own).abs() >= least * (1 - SMALLEST)
        best, gap = torch.where(better, candidate, best), torch.where(better, distance, gap)
    # The same raw value may reach the grid and the person by two roundings.
    return torch.where((best - own).abs() <= SAME_VALUE * (1 + own.abs()), own, best)


@accepts_numpy
def project_min_change(
    values: Tensor, lower: Tensor, upper: Tensor, own: Tensor, least: Tensor
) -> Tensor:
    """Move values that are too near to the own one to it, or out to the smallest change.

    Parameters
    ----------
    values, lower, upper, own, least : Tensor of shape (n, m)
        ``least`` is the smallest change, 0 where there is none.

    Returns
    -------
    values : Tensor of shape (n, m)

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 3))
    >>> project_min_change(np.array([[0.2, 0.8, -1.7]]), -2 * one, 2 * one, 0 * one, one)
    array([[ 0. ,  1. , -1.7]])
    """
    move = values - own
    short = (move != 0) & (move.abs() < least)
    out = own + torch.where(move > 0, least, -least)
    out = torch.minimum(torch.maximum(out, lower), upper)
    fits = (out - own).abs() >= least * (1 - SMALLEST)
    outward = fits & (move.abs() > least / 2)
    return torch.where(short, torch.where(outward, out, own), values)


def nearest_level(block: Tensor, codes: Tensor, allowed: Tensor, own: Tensor) -> Tensor:
    """Return the index of the nearest allowed code, -1 for the person's own code.

    Parameters
    ----------
    block : Tensor of shape (n, w)
    codes : Tensor of shape (L, w)
    allowed : bool Tensor of shape (n, L)
    own : Tensor of shape (n, w)

    Returns
    -------
    level : int64 Tensor of shape (n,)
        Ties go to the own code, then to the lowest level.
    """
    block = block.detach()
    if torch.equal(block, own):
        # Most people keep most categories.
        return torch.full((len(block),), -1, dtype=torch.int64)
    best, level = _nearest(block, codes, allowed)
    own_distance = _apart(block, own).square().sum(dim=1).sqrt()
    stays = own_distance <= best * (1 + SAME_VALUE)
    return torch.where(stays, torch.full_like(level, -1), level)


def _nearest(block: Tensor, codes: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance to the nearest allowed code, infinite without one, and its index."""
    if codes.numel() > _LARGE_TABLE and bool(torch.isfinite(block).all()):
        return _nearest_of_many(block, codes, allowed)
    exact = "donot_use_mm_for_euclid_dist"  # the fast formula breaks ties by its rounding
    distance = torch.cdist(block, codes, compute_mode=exact)
    if bool(distance.isnan().any()):
        distance = _apart(block[:, None], codes[None]).square().sum(dim=2).sqrt()
    best, level = distance.masked_fill(~allowed, torch.inf).min(dim=1)
    return best, level


def _apart(first: Tensor, second: Tensor) -> Tensor:
    """Return differences; NaN, the code of a gap, is at NaN and infinitely far from all else."""
    difference = first - second
    both = torch.isnan(first) & torch.isnan(second)
    return torch.where(both, 0.0, torch.nan_to_num(difference, nan=torch.inf))


def _nearest_of_many(block: Tensor, codes: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Do the same by the fast formula, and measure exactly what may be the nearest up to it."""
    n, size = len(block), torch.linalg.vector_norm(codes, dim=1).square()
    score = torch.addmm(size, block, codes.T, alpha=-2).masked_fill_(~allowed, torch.inf)
    error = codes.shape[1] * torch.finfo(codes.dtype).eps
    slack = 4 * error * (block.square().sum(dim=1, keepdim=True) + size.max())
    row, level = (score <= score.amin(dim=1, keepdim=True) + slack).nonzero(as_tuple=True)
    pairs = zip(row.split(_PAIRS), level.split(_PAIRS), strict=True)
    distance = torch.cat([(block[i] - codes[j]).square().sum(dim=1).sqrt() for i, j in pairs])
    distance[~allowed[row, level]] = torch.inf
    best = torch.full((n,), torch.inf, dtype=distance.dtype)
    best = best.scatter_reduce(0, row, distance, "amin")
    first = torch.full((n,), len(codes) - 1)
    is_best = distance == best[row]
    return best, first.scatter_reduce(0, row[is_best], level[is_best], "amin")


@accepts_numpy
def project_one_hot(block: Tensor, codes: Tensor, allowed: Tensor, own: Tensor) -> Tensor:
    """Move the columns of one categorical feature to the nearest allowed code (Eq. 12).

    Nearest is Euclidean. For 0/1 codes with every move allowed this is the arg max of the
    paper; for scaled codes the arg max would favor the rare levels.

    Parameters
    ----------
    block : Tensor of shape (n, w)
        Proposed values of the feature's encoded columns.
    codes : Tensor of shape (L, w)
    allowed : bool Tensor of shape (n, L)
    own : Tensor of shape (n, w)
        The person's own code, always admissible.

    Returns
    -------
    block : Tensor of shape (n, w)
        Ties go to the own code, then to the lowest level.

    Examples
    --------
    >>> import numpy as np
    >>> project_one_hot(np.array([[0.2, 0.9, 0.7]]), np.eye(3),
    ...                 np.array([[True, False, True]]), np.array([[1.0, 0.0, 0.0]]))
    array([[0., 0., 1.]])
    """
    level = nearest_level(block, codes, allowed, own)
    return torch.where((level < 0)[:, None], own, codes[level.clamp(min=0)])


@accepts_numpy
def project_sparse(
    u: Tensor, origin: Tensor, features: Sequence[Any], max_changes: int | None
) -> Tensor:
    """Keep the features that move most and put the others back (Eq. 10, on features).

    Parameters
    ----------
    u, origin : Tensor of shape (n, d)
    features : sequence of int arrays
        Encoded columns of each feature; a one-hot group is one entry.
    max_changes : int or None
        How many features may change; None for all.

    Returns
    -------
    u : Tensor of shape (n, d)
        A feature is ranked by its largest absolute column change; ties go to the earlier one.

    Examples
    --------
    >>> import numpy as np
    >>> u, origin = np.array([[0.5, 0.0, 1.0]]), np.array([[0.0, 1.0, 0.0]])
    >>> project_sparse(u, origin, [np.array([0]), np.array([1, 2])], 1)
    array([[0., 0., 1.]])
    """
    if max_changes is None or max_changes >= len(features):
        return u
    # A gap stays a gap: NaN against NaN is no change.
    delta = torch.nan_to_num((u - origin).detach().abs(), nan=0.0)
    single = [len(columns) == 1 for columns in features]
    alone = torch.tensor(single).nonzero().squeeze(1)
    places = torch.tensor([int(c[0]) for c in features if len(c) == 1], dtype=torch.int64)
    groups = [(i, torch.as_tensor(c)) for i, c in enumerate(features) if not single[i]]
    size = delta.new_empty(len(u), len(features))
    # On a wide table one feature after the other takes longer than all else.
    size[:, alone] = delta[:, places]
    for group, columns in groups:
        size[:, group] = delta[:, columns].amax(dim=1)
    order = torch.argsort(size, dim=1, descending=True, stable=True)
    result = u.clone()
    kept = torch.zeros_like(size, dtype=torch.bool).scatter_(1, order[:, :max_changes], True)
    result[:, places] = torch.where(kept[:, alone], u[:, places], origin[:, places])
    for group, columns in groups:
        stays = kept[:, group, None]
        result[:, columns] = torch.where(stays, u[:, columns], origin[:, columns])
    return result
