"""What an action costs: weighted l1, l2 and mixed norms on features (Appendix A.1 and A.5).

A cost is compiled to arrays, and torch is imported where tensors are asked for: closed forms on
tables of plain numbers read the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.actions._cost_rules import WEIGHTS, check_cost
from skcfq.actions._rule_values import check_weight
from skcfq.actions._unknown_names import unknown_column
from skcfq.encoding import statistic_of
from skcfq.exceptions import ActionSetError, CostFallbackWarning
from skcfq.utils import warn_user

if TYPE_CHECKING:
    from torch import Tensor

    from skcfq.actions._categorical import CategoricalFeature
    from skcfq.actions._compiled import CompiledActions
    from skcfq.actions._region import ActionRegion

__all__ = ["RecourseCost", "compile_cost"]


@dataclass(frozen=True, eq=False)
class RecourseCost:
    r"""Cost of an action, :math:`c(\delta) = \|W\delta\|_p` over features (Eq. 4).

    Made by :func:`compile_cost`.

    Parameters
    ----------
    weights : ndarray of shape (F,)
        Positive effort weights, numeric features first.
    norm : {"l1", "l2", "mixed"}
    mix : float
        Share of l1 in the mixed cost.
    level_distances : tuple of c ndarrays of shape (L + 1, L)
        Distance between levels; the last row is for an unrecognized one.
    weighting : {"std", "mad", "uniform", "given"}
        Where the weights come from.
    """

    weights: np.ndarray
    norm: str
    mix: float
    level_distances: tuple[np.ndarray, ...]
    weighting: str = "given"

    def is_like(self, other: RecourseCost) -> bool:
        """Return whether another cost has the same norm and the same weights."""
        same_norm = self.norm == other.norm and (self.norm != "mixed" or self.mix == other.mix)
        return same_norm and np.array_equal(self.weights, other.weights)

    @cached_property
    def feature_weights(self) -> Tensor:
        """The weights as a tensor, shape (F,)."""
        import torch

        return torch.tensor(self.weights)

    @cached_property
    def distances(self) -> tuple[Tensor, ...]:
        """The distances between levels as tensors."""
        import torch

        return tuple(torch.tensor(distance) for distance in self.level_distances)

    def contributions(self, values: Tensor, levels: Tensor, region: ActionRegion) -> Tensor:
        """Return what each feature adds, shape (n, F), before the norm.

        Parameters
        ----------
        values : Tensor of shape (n, m)
        levels : int64 Tensor of shape (n, c)
        region : ActionRegion

        Returns
        -------
        contributions : Tensor of shape (n, F)
            ``w * |u - x|`` in encoded units for a number, ``w * distance[from, to]`` for a
            category, which thus costs its group weight once though two columns move.
        """
        import torch

        own_values = region.values
        moves = (values - own_values).abs()
        # A gap that the encoder leaves open can only be kept, and keeping costs nothing.
        parts = [torch.where(torch.isnan(own_values), torch.zeros_like(moves), moves)]
        for i, distance in enumerate(self.distances):
            own, new = region.levels[:, i], levels[:, i]
            stays = (new < 0) | (new == own)
            moved = distance[own, new.clamp(min=0)]
            parts.append(torch.where(stays, torch.zeros_like(moved), moved)[:, None])
        return torch.cat(parts, dim=1) * self.feature_weights

    def of_state(self, values: Tensor, levels: Tensor, region: ActionRegion) -> Tensor:
        """Return the cost of a state, shape (n,).

        Parameters
        ----------
        values : Tensor of shape (n, m)
        levels : int64 Tensor of shape (n, c)
        region : ActionRegion
        """
        return self.combine(self.contributions(values, levels, region))

    def row_contributions(
        self, actions: CompiledActions, before: list[Any], after: list[Any]
    ) -> np.ndarray:
        """Return what each feature adds where raw rows become others, shape (n, F).

        Parameters
        ----------
        actions : CompiledActions
        before, after : list of p arrays of shape (n,)
            Raw columns, in the order of the feature space.
        """
        tables = before, after
        parts = []
        for feature in actions.numeric:
            own, new = (feature.block.encode(table[feature.column])[:, 0] for table in tables)
            # A gap that the encoder leaves open can only be kept.
            parts.append(np.where(np.isnan(own), 0.0, np.abs(new - own)))
        pairs = zip(actions.categorical, self.level_distances, strict=True)
        parts += [_level_steps(feature, distance, *tables) for feature, distance in pairs]
        return np.stack(parts, axis=1) * self.weights if parts else np.zeros((0, 0))

    def combine(self, contributions: Tensor) -> Tensor:
        """Apply the norm to what each feature adds.

        Parameters
        ----------
        contributions : Tensor of shape (n, F)

        Returns
        -------
        cost : Tensor of shape (n,)
        """
        if self.norm == "l1":
            return contributions.sum(dim=1)
        import torch

        euclid = torch.linalg.vector_norm(contributions, dim=1)
        if self.norm == "l2":
            return euclid
        return self.mix * contributions.sum(dim=1) + (1 - self.mix) * euclid

    def with_moves(self, contributions: Tensor, moved: Tensor) -> Tensor:
        """Return the cost if a single number contributed something else.

        Parameters
        ----------
        contributions : Tensor of shape (n, F)
        moved : Tensor of shape (n, m)
            What each of the m numbers would add.

        Returns
        -------
        cost : Tensor of shape (n, m)
        """
        old = contributions[:, : moved.shape[1]]
        total = contributions.sum(dim=1, keepdim=True) - old + moved
        if self.norm == "l1":
            return total
        squares = (contributions**2).sum(dim=1, keepdim=True) - old**2 + moved**2
        euclid = squares.clamp_min(0).sqrt()
        return euclid if self.norm == "l2" else self.mix * total + (1 - self.mix) * euclid

    def __call__(self, u: Tensor, region: ActionRegion) -> Tensor:
        """Return the cost of encoded points u of shape (n, d), shape (n,)."""
        return self.of_state(*region.split(u), region)


def compile_cost(
    compiled: CompiledActions,
    cost: str | None = None,
    cost_weights: Any = None,
    cost_mix: float | None = None,
) -> RecourseCost:
    r"""Build the cost of actions in a compiled action set.

    Parameters
    ----------
    compiled : CompiledActions

    cost : {"l1", "l2", "mixed"}, default=None
        With the contributions :math:`w_g |\delta_g|` of the features: their sum, the root of
        the sum of squares, or `cost_mix` times the first plus ``1 - cost_mix`` times the second.
        None is what the action set says, as for the next two.

    cost_weights : {"std", "mad", "uniform"}, dict or array-like of shape (F,), default=None
        ``"std"`` is :math:`1 / \sigma` of the encoded column (Eq. 13); a category has
        :math:`\sigma^2 = (1 - \sum_l p_l^2) / 2`, the variance of half its one-hot distance,
        an ordered one the variance of its rank. ``"mad"`` takes the median absolute deviation
        for numbers and keeps ``"std"`` for categories. A dict names features; those it leaves
        out keep their ``"std"`` weight.

    cost_mix : float, default=None
        Share of l1 in the mixed norm, in [0, 1].

    Returns
    -------
    cost : RecourseCost

    Warns
    -----
    CostFallbackWarning
        Where a spread is zero: mad falls back to std, and std to weight 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skcfq.actions import ActionSet, compile_cost, region_of
    >>> from skcfq.encoding import FeatureSpace
    >>> X = np.array([[0.0, 0.0], [2.0, 8.0]])
    >>> actions = ActionSet().compile(FeatureSpace.from_frame(X))
    >>> cost = compile_cost(actions)
    >>> cost.weights
    array([1.  , 0.25])
    >>> region = region_of(actions, X)
    >>> cost(region.origin.flip(0), region)
    tensor([4., 4.], dtype=torch.float64)
    """
    own = compiled.cost_rules
    norm = own.norm if cost is None else cost
    weights = own.weights if cost_weights is None else cost_weights
    mix = own.mix if cost_mix is None else cost_mix
    check_cost(norm, weights, mix)
    if isinstance(weights, Mapping):
        values = _named_weights(compiled, weights)
    elif isinstance(weights, str):
        values = _preset_weights(compiled, weights)
    else:
        values = _listed_weights(compiled, weights)
    return RecourseCost(
        values,
        norm,
        float(mix),
        tuple(feature.distance for feature in compiled.categorical),
        weights if isinstance(weights, str) else "given",
    )


def _listed_weights(compiled: CompiledActions, weights: Any) -> np.ndarray:
    try:
        values = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (compiled.n_features,):
        raise ActionSetError(
            f"cost_weights is {weights!r}: {compiled.n_features} features can change, "
            f"{compiled.feature_names!r}. Give one number for each, a dict by name, or one of "
            f"{', '.join(map(repr, WEIGHTS))}."
        )
    for name, value in zip(compiled.feature_names, values.tolist(), strict=True):
        check_weight("cost_weights", name, value)
    return values


def _preset_weights(
    compiled: CompiledActions, weights: str, skip: frozenset[Hashable] = frozenset()
) -> np.ndarray:
    if weights == "uniform":
        return np.ones(compiled.n_features)
    spreads, to_std, to_one = [], [], []
    for feature in compiled.numeric:
        known = "encoded_mad" if weights == "mad" else "encoded_std"
        spread = float(statistic_of(feature.block, known, f"The cost weight {weights!r}"))
        if weights == "mad" and not _usable(spread):
            spread = float(feature.block.statistics.encoded_std)
            to_std.append(feature.name)
        spreads.append(spread)
    spreads += [_categorical_spread(feature) for feature in compiled.categorical]
    for i, name in enumerate(compiled.feature_names):
        if not _usable(spreads[i]):
            spreads[i] = 1.0
            to_one.append(name)
    _warn_fallback(
        [n for n in to_std if n not in to_one and n not in skip],
        [n for n in to_one if n not in skip],
    )
    return 1.0 / np.array(spreads, dtype=np.float64)


def _usable(spread: float) -> bool:
    return math.isfinite(spread) and spread > 1e-12


def _categorical_spread(feature: CategoricalFeature) -> float:
    shares = np.asarray(feature.frequencies, dtype=np.float64)
    if feature.ranks is None:
        return math.sqrt(max(0.0, (1.0 - float(np.sum(shares**2))) / 2))
    listed = ~np.isnan(feature.ranks)
    shares, ranks = shares[listed], feature.ranks[listed]
    total = shares.sum()
    if total <= 0:
        return 0.0
    mean = float(shares @ ranks) / total
    return math.sqrt(max(0.0, float(shares @ (ranks - mean) ** 2) / total))


def _warn_fallback(to_std: list[Hashable], to_one: list[Hashable]) -> None:
    notes = []
    if to_std:
        notes.append(f"the median absolute deviation of {to_std!r} is 0, so their std is used")
    if to_one:
        notes.append(f"the spread of {to_one!r} is 0, so their weight is 1")
    if notes:
        warn_user(
            f"Cost weights: {'; '.join(notes)}. Give cost_weights as a dict to set them yourself.",
            CostFallbackWarning,
        )


def _named_weights(compiled: CompiledActions, weights: Mapping) -> np.ndarray:
    # The action set has checked the names of its own weights, also of features that stay.
    known = {*compiled.feature_names, *compiled.space.raw_columns, *compiled.cost_rules.names}
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise unknown_column("cost_weights", unknown[0], compiled.feature_names)
    given = {name: check_weight("cost_weights", name, weights[name]) for name in weights}
    values = _preset_weights(compiled, "std", frozenset(given))
    for i, name in enumerate(compiled.feature_names):
        values[i] = given.get(name, values[i])
    return values


def _level_steps(
    feature: CategoricalFeature, distance: np.ndarray, before: list[Any], after: list[Any]
) -> np.ndarray:
    """Return the distances between people's levels before and after, shape (n,)."""
    import torch

    from skcfq.actions._projections import nearest_level

    pairs = list(zip(feature.blocks, feature.columns, strict=True))
    own, new = (
        torch.from_numpy(np.hstack([block.encode(columns[j]) for block, j in pairs]))
        for columns in (before, after)
    )
    everywhere = torch.ones((len(own), feature.n_levels), dtype=torch.bool)
    level = nearest_level(new, torch.from_numpy(feature.codes), everywhere, own).numpy()
    start = feature.own_levels(before)
    stays = (level < 0) | (level == start)
    return np.where(stays, 0.0, distance[start, level.clip(min=0)])
