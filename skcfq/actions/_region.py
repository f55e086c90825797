"""The admissible actions of given people, as tensors in encoded units (Appendix A.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from skcfq.actions._downstream import DownstreamEffects
from skcfq.actions._linking import LinkingConstraints
from skcfq.actions._narrow_columns import has_narrow_columns, narrow_type
from skcfq.actions._numeric import SAME_VALUE
from skcfq.actions._projections import (
    SMALLEST,
    Grids,
    nearest_level,
    project_box,
    project_grids,
    project_immutable,
    project_min_change,
    project_sparse,
)
from skcfq.actions._raw import read_columns
from skcfq.actions._weighted_sum import weighted_sum
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.actions._compiled import CompiledActions

__all__ = ["ActionRegion"]

# How much of the numeric changes is left, and whether the categories change, in that order.
_RETREAT = [(0.5, True), (0.25, True), (0.0, True), (1.0, False), (0.5, False)]
_RETREAT += [(0.25, False), (0.1, False)]


@dataclass(frozen=True, eq=False)
class ActionRegion:
    """What each of n people may do.

    Made by :func:`region_of`. With m numeric and c categorical features, a point is either a row
    u of the d encoded columns, or a *state*: values of shape (m,) and levels of shape (c,).

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n, p)
        Raw rows of the people.
    compiled : CompiledActions
    origin : Tensor of shape (n, d)
        The people, encoded.
    lower, upper : Tensor of shape (n, m)
        Hull of the admissible encoded values; contains the own value, direction applied.
    grids : list of m entries
        None, or the rising encoded grid as a 1-d Tensor.
    levels : int64 Tensor of shape (n, c)
        Own level, -1 where unrecognized.
    allowed : list of c bool Tensors of shape (n, L)
        Levels that each person may be in after the action; the own one is always among them.
    raw_lower, raw_upper : ndarray of shape (n, m)
        The hull in raw units.
    raw_grids : list of m entries
        None, or raw values in the order of `grids`.
    codes : list of c Tensors of shape (L, w)
        Encoded row of each level.
    mutable : bool Tensor of shape (d,)
        Encoded columns of features that can change.
    numeric_columns : int64 Tensor of shape (m,)
    categorical_columns : list of c int64 Tensors of shape (w,)
    min_change : Tensor of shape (n, m) or None
        Smallest change in encoded units.
    downstream : DownstreamEffects or None
        Columns that follow the features.
    linking : LinkingConstraints or None
        Rules across features.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.actions import ActionSet, region_of
    >>> from skcfq.encoding import FeatureSpace
    >>> X = pd.DataFrame({"age": [25, 40], "savings": [120, 500]})
    >>> rules = ActionSet(immutable=["age"], bounds={"savings": (0, 900)}, steps={"savings": 100})
    >>> region = region_of(rules.compile(FeatureSpace.from_frame(X)), X)
    >>> region.project(region.origin + 260.0)
    tensor([[ 25., 400.],
            [ 40., 800.]], dtype=torch.float64)
    """

    X: Any
    compiled: CompiledActions
    origin: Tensor
    lower: Tensor
    upper: Tensor
    grids: list[Tensor | None]
    levels: Tensor
    allowed: list[Tensor]
    raw_lower: np.ndarray
    raw_upper: np.ndarray
    raw_grids: list[np.ndarray | None]
    codes: list[Tensor]
    mutable: Tensor
    numeric_columns: Tensor
    categorical_columns: list[Tensor]
    min_change: Tensor | None = None
    downstream: DownstreamEffects | None = None
    linking: LinkingConstraints | None = None

    @property
    def n_people(self) -> int:
        """Number n of people."""
        return int(self.origin.shape[0])

    @property
    def n_features(self) -> int:
        """Number F of features that can change."""
        return self.compiled.n_features

    @cached_property
    def values(self) -> Tensor:
        """The people's own encoded values of the numeric features, shape (n, m)."""
        return self.origin[:, self.numeric_columns]

    def assemble(self, values: Tensor, levels: Tensor) -> Tensor:
        """Return encoded points of a state.

        Parameters
        ----------
        values : Tensor of shape (n, m)
        levels : int64 Tensor of shape (n, c)
            -1, like the own level, keeps the person's own code bit for bit.

        Returns
        -------
        u : Tensor of shape (n, d)
            Differentiable in `values`.
        """
        u = self.origin.clone()
        u[:, self.numeric_columns] = values
        for i, columns in enumerate(self.categorical_columns):
            level = levels[:, i]
            stays = (level < 0) | (level == self.levels[:, i])
            code = self.codes[i][level.clamp(min=0)]
            u[:, columns] = torch.where(stays[:, None], self.origin[:, columns], code)
        if self.downstream is None:
            return u
        amounts = self.downstream.amounts(values, levels, self.values, self.levels)
        return self.downstream.write(u, amounts)

    def effects(self, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return how linear functions of the encoded point answer to each feature.

        Parameters
        ----------
        rows : Tensor of shape (R, d)
            Coefficients of R linear functions.

        Returns
        -------
        numeric : Tensor of shape (R, m)
            Change per encoded unit of a numeric feature.
        levels : list of c Tensors of shape (n, R, L)
            Value at each level less the value at the person's own.
        """
        levels = []
        for i, columns in enumerate(self.categorical_columns):
            part = rows[:, columns]
            codes = torch.nan_to_num(self.origin[:, columns])
            own = torch.stack([weighted_sum(codes, row) for row in part], dim=1)
            levels.append((part @ self.codes[i].T)[None, :, :] - own[:, :, None])
        numeric = rows[:, self.numeric_columns]
        if self.downstream is not None:
            more, more_levels = self.downstream.effects(rows, self.levels)
            numeric = numeric + more
            levels = [a + b for a, b in zip(levels, more_levels, strict=True)]
        return numeric, levels

    def split(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the state of encoded points; categories by their nearest code.

        Parameters
        ----------
        u : Tensor of shape (n, d)

        Returns
        -------
        values : Tensor of shape (n, m)
        levels : int64 Tensor of shape (n, c)
        """
        return u[:, self.numeric_columns], self._levels(u, restrict=False)

    def nearest_levels(self, u: Tensor) -> Tensor:
        """Return the nearest allowed levels, int64 of shape (n, c); ties stay, then lowest."""
        return self._levels(u, restrict=True)

    def snap(self, values: Tensor) -> Tensor:
        """Move values to the nearest admissible ones: box, then grid.

        Parameters
        ----------
        values : Tensor of shape (n, m)

        Returns
        -------
        values : Tensor of shape (n, m)
        """
        own = self.values
        snapped = project_box(values, self.lower, self.upper)
        finite = torch.isfinite(snapped)
        if not bool(finite.all()):
            snapped = torch.where(finite, snapped, own)
        least = self.min_change
        if least is not None:
            away = project_min_change(snapped, self.lower, self.upper, own, least)
            on_grid = torch.tensor([grid is not None for grid in self.grids], dtype=torch.bool)
            snapped = torch.where(on_grid, snapped, away)
        if all(grid is None for grid in self.grids):
            return snapped
        at = self.gridded
        sides = self.lower[:, at], self.upper[:, at], own[:, at]
        nearest = None if least is None else least[:, at]
        columns = project_grids(snapped[:, at], self.grid_table, *sides, nearest)
        return snapped.index_copy(1, at, columns)

    @cached_property
    def gridded(self) -> Tensor:
        """Positions of the numbers that have grids, int64 of shape (k,)."""
        return torch.tensor([j for j, grid in enumerate(self.grids) if grid is not None]).long()

    @cached_property
    def grid_table(self) -> Grids:
        """The grids of these numbers, side by side."""
        return Grids.of([grid for grid in self.grids if grid is not None])

    def reachable_points(self, j: int) -> Tensor:
        """Return to which points of a number's grid each person may move, bool of shape (n, g).

        The own value is none of them.
        """
        grid, own = self.grids[j], self.values[:, j, None]
        if grid is None:
            return torch.zeros((self.n_people, 0), dtype=torch.bool)
        move = (grid - own).abs()
        inside = (grid >= self.lower[:, j, None]) & (grid <= self.upper[:, j, None])
        inside &= move > SAME_VALUE * (1 + own.abs())
        if self.min_change is not None:
            inside &= move >= self.min_change[:, j, None] * (1 - SMALLEST)
        return inside

    def project(self, u: Tensor) -> Tensor:
        """Project points onto the admissible set of each person (Algorithm 1, made safe).

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Proposed encoded points.

        Returns
        -------
        u : Tensor of shape (n, d)
            Admissible points; an admissible point is returned as it is.

        Notes
        -----
        A sequence of exact projections per feature, then the feature-wise top-k. Per feature the
        result is the nearest admissible value; over all features together it is feasible, not
        always nearest (the sparsity step ranks by largest column change, as the paper does). A
        coordinate that is not a number is read as "stay".

        Examples
        --------
        >>> import numpy as np
        >>> from skcfq.actions import ActionSet, region_of
        >>> from skcfq.encoding import FeatureSpace
        >>> X = np.array([[0.0, 5.0], [4.0, 1.0]])
        >>> actions = ActionSet(immutable=[0], max_changes=1).compile(FeatureSpace.from_frame(X))
        >>> region = region_of(actions, X)
        >>> region.project(region.origin + 3.0)
        tensor([[0., 5.],
                [4., 4.]], dtype=torch.float64)
        """
        u = project_immutable(u, self.origin, self.mutable)
        u = torch.where(torch.isnan(u), self.origin, u)
        u = self.assemble(self.snap(u[:, self.numeric_columns]), self.nearest_levels(u))
        u = project_sparse(u, self.origin, self.compiled.feature_columns, self.compiled.max_changes)
        if self.downstream is None and self.linking is None:
            return u
        values, levels = self.split(u)
        if self.linking is not None:
            values, levels = self._retreat(values, levels, self.linking)
        return self.assemble(values, levels)

    def _retreat(
        self, values: Tensor, levels: Tensor, linking: LinkingConstraints
    ) -> tuple[Tensor, Tensor]:
        """Go back toward the person until no rule across features breaks."""
        own, everybody = self.values, torch.arange(self.n_people)
        broken = linking.violation(values.detach(), levels, everybody) > 0
        best_values, best_levels, open_ = values, levels, broken
        for share, keeps_levels in _RETREAT:
            if not bool(open_.any()):
                break
            tried = self.snap(own + share * (values - own)) if share < 1 else values
            chosen = levels if keeps_levels else self.levels
            broken = linking.violation(tried.detach(), chosen, everybody) > 0
            take = open_ & ~broken
            best_values = torch.where(take[:, None], tried, best_values)
            best_levels = torch.where(take[:, None], chosen, best_levels)
            open_ = open_ & broken
        best_values = torch.where(open_[:, None], own, best_values)
        best_levels = torch.where(open_[:, None], self.levels, best_levels)
        return best_values, best_levels

    def contains(self, u: Tensor, atol: float = 1e-9) -> Tensor:
        """Return whether each point is admissible, bool of shape (n,).

        Parameters
        ----------
        u : Tensor of shape (n, d)
        atol : float, default=1e-9
            Distance per encoded column that still counts as admissible, and under which a
            feature counts as unchanged; relative to the person's own value where that exceeds 1.
        """
        values, levels = self.snap(u[:, self.numeric_columns]), self.nearest_levels(u)
        slack = self._slack(atol)
        near = (u - self.assemble(values, levels)).abs_() <= slack
        if self.has_gaps:
            near |= torch.isnan(self.origin) & torch.isnan(u)
        inside = near.all(dim=1)
        if self.linking is not None:
            everybody = torch.arange(self.n_people)
            inside = inside & (self.linking.violation(values, levels, everybody) == 0)
        if self.compiled.max_changes is None:
            return inside
        return inside & (self._moves(u, slack).sum(dim=1) <= self.compiled.max_changes)

    def changed(self, u: Tensor) -> Tensor:
        """Return which features differ from the person, exactly; bool of shape (n, F)."""
        return self._moves(u, torch.zeros(()))

    def freeze(self, features: Tensor) -> ActionRegion:
        """Return a region in which some features can only stay.

        Parameters
        ----------
        features : bool Tensor of shape (n, F)
        """
        numeric, categorical = features.split([len(self.grids), len(self.allowed)], dim=1)
        own, allowed = self.values, []
        for i, moves in enumerate(self.allowed):
            stays = torch.arange(moves.shape[1]) == self.levels[:, i, None]
            allowed.append(torch.where(categorical[:, i, None], stays, moves))
        return replace(
            self,
            lower=torch.where(numeric, own, self.lower),
            upper=torch.where(numeric, own, self.upper),
            allowed=allowed,
        )

    def take(self, indices: Any) -> ActionRegion:
        """Return the region of some of the people, in the given order, repeats allowed.

        Parameters
        ----------
        indices : Tensor or array of int or bool
        """
        rows = torch.as_tensor(indices)
        if rows.dtype == torch.bool:
            rows = rows.nonzero().squeeze(1)
        rows = rows.to(torch.int64)
        return replace(
            self,
            X=take_rows(self.X, rows.numpy()),
            origin=self.origin[rows],
            lower=self.lower[rows],
            upper=self.upper[rows],
            levels=self.levels[rows],
            allowed=[allowed[rows] for allowed in self.allowed],
            raw_lower=self.raw_lower[rows.numpy()],
            raw_upper=self.raw_upper[rows.numpy()],
            min_change=None if self.min_change is None else self.min_change[rows],
            linking=None if self.linking is None else self.linking.take(rows),
        )

    def without_raw(self) -> ActionRegion:
        """Return a region that projects, but knows no raw rows: quick to take rows from."""
        nothing = np.empty((self.n_people, 0))
        return replace(self, X=nothing, raw_lower=nothing, raw_upper=nothing)

    def _levels(self, u: Tensor, *, restrict: bool) -> Tensor:
        levels = self.levels.clone()
        for i, columns in enumerate(self.categorical_columns):
            allowed = self.allowed[i] if restrict else torch.ones_like(self.allowed[i])
            nearest = nearest_level(u[:, columns], self.codes[i], allowed, self.origin[:, columns])
            levels[:, i] = torch.where(nearest < 0, self.levels[:, i], nearest)
        return levels

    @cached_property
    def narrow_types(self) -> list[np.dtype | None]:
        """Type of each number's raw column where that has fewer digits than float64."""
        nothing: list[np.dtype | None] = [None] * len(self.compiled.numeric)
        if not has_narrow_columns(self.X):
            return nothing
        columns = read_columns(self.compiled.space, self.X)
        return [narrow_type(columns[feature.column]) for feature in self.compiled.numeric]

    @property
    def rounds(self) -> bool:
        """Whether a raw row may hold other numbers than its code says."""
        whole = any(feature.is_whole for feature in self.compiled.numeric)
        return whole or any(dtype is not None for dtype in self.narrow_types)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether a person has an encoded column that is not a number."""
        return bool(torch.isnan(self.origin).any())

    def _slack(self, atol: float) -> Tensor:
        size = self.origin.abs()
        if self.has_gaps:
            size = torch.nan_to_num(size, nan=1.0)
        slack = size.clamp_(min=1.0).mul_(atol)
        for j, dtype in enumerate(self.narrow_types):
            grid, raw_grid = self.grids[j], self.raw_grids[j]
            if dtype is None or grid is None or raw_grid is None or not len(raw_grid):
                continue
            # A point of the grid is a number next to it that the column holds.
            held, column = raw_grid.astype(dtype), self.numeric_columns[j]
            if (held == raw_grid).all():
                continue
            for end in (-np.inf, np.inf):
                beside = np.nextafter(held, dtype.type(end)).astype(np.float64)
                off = np.abs(self.compiled.numeric[j].encode(beside) - grid.numpy())
                slack[:, column] = slack[:, column].clamp_min(float(off.max()))
        return slack

    def _moves(self, u: Tensor, slack: Tensor) -> Tensor:
        moved = (u.detach() - self.origin).abs() > slack
        features = [moved[:, self.numeric_columns]]
        features += [
            moved[:, columns].any(dim=1, keepdim=True) for columns in self.categorical_columns
        ]
        return torch.cat(features, dim=1)
