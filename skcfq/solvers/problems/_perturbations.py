"""Points of a small box around each point, among which is the worst one, or nearly so.

Where inputs are quantized, the decision depends on their codes alone, and a column whose whole
interval has one code cannot change it. So all corners of the others are all there is to try.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.encoding import statistic_of

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace
    from skcfq.solvers.problems._problem import RecourseProblem

# Columns with two codes up to which every combination is tried.
_MOST_TWO_CODED = 5
_N_RANDOM = 24


def jittered_points(problem: RecourseProblem, points: Tensor, person: Tensor) -> Iterator[Tensor]:
    """Move the numeric columns of points by up to the problem's perturbation radius each.

    Parameters
    ----------
    problem : RecourseProblem
    points : Tensor of shape (N, n_encoded)
    person : Tensor of shape (N,), int64

    Yields
    ------
    jittered : Tensor of shape (N, n_encoded)
        Corners of the box. For models with quantized inputs they decide about all of the box,
        where at most five columns have two codes in it; for a linear model of two classes the
        worst corner is among them. Elsewhere they are a random sample.
    """
    two_coded = _two_coded(problem, points)
    generator = torch.Generator().manual_seed(0)
    n_random = _N_RANDOM
    if two_coded is not None:
        rank = torch.cumsum(two_coded, dim=1) - 1
        most = int(two_coded.sum(dim=1).max()) if len(points) else 0
        for corner in range(2 ** min(most, _MOST_TWO_CODED)):
            digit = torch.bitwise_right_shift(torch.tensor(corner), rank.clamp(0, 62)) & 1
            yield _moved(problem, points, 1 - 2 * digit)
        n_random = _N_RANDOM if most > _MOST_TWO_CODED else 0
    elif problem.gradients:
        with torch.enable_grad():
            gradient = problem.margin_gradient(points, person)[1]
        yield _moved(problem, points, -torch.sign(gradient[:, problem.jitter[0]]))
    for _ in range(n_random):
        shape = len(points), len(problem.jitter[0])
        yield _moved(problem, points, torch.randint(0, 2, shape, generator=generator) * 2 - 1)


def jittered_columns(problem: RecourseProblem) -> Tensor:
    """Return the encoded columns that jitter, shape (m,): all numbers, immutable ones too.

    Columns of a declared one-hot group are no numbers. The raw rows that a closed model is asked
    about differ in what may change alone, so these are all there.
    """
    if not all(model.differentiable for model in (problem.predictor, *problem.variants)):
        return problem.numeric_columns
    groups = {int(column) for columns in problem.categorical_columns for column in columns}
    numbers = {
        int(block.columns[0])
        for block in problem.predictor.space.blocks
        if block.kind in ("affine", "monotone")
    }
    return torch.tensor(sorted(numbers - groups), dtype=torch.int64)


def jitter_radii(space: FeatureSpace, columns: Tensor, size: float) -> Tensor:
    """Return the radius of each numeric column in encoded units, shape (m,).

    Parameters
    ----------
    space : FeatureSpace
    columns : Tensor of shape (m,), int64
        Encoded columns.
    size : float
        In units of the spread; of 1 where there is none.
    """
    blocks = {int(block.columns[0]): block for block in space.blocks if block.width == 1}
    found = [
        statistic_of(blocks[column], "encoded_std", "Advice that stands under jitter") or 1.0
        for column in columns.tolist()
    ]
    return size * torch.tensor(found, dtype=torch.float64)


def _moved(problem: RecourseProblem, points: Tensor, signs: Tensor) -> Tensor:
    columns, radii = problem.jitter
    jittered = points.clone()
    jittered[:, columns] += signs * radii
    return jittered


def _two_coded(problem: RecourseProblem, points: Tensor) -> Tensor | None:
    """Return the numeric columns that have two codes in the box, shape (N, m); None: no codes."""
    columns = problem.jitter[0]
    found = torch.zeros((len(points), len(columns)), dtype=torch.bool)
    ends = [_moved(problem, points, torch.tensor(sign)).numpy() for sign in (-1, 1)]
    for model in (problem.predictor, *problem.variants):
        if model.integers is None:
            return None
        low, high = (model.integers.codes(end) for end in ends)
        found |= torch.from_numpy(low != high)[:, columns]
    return found
