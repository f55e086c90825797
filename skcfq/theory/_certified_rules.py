"""What each person may do, and at which price, as data that anybody can evaluate."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.actions import ActionRegion, region_of
from skcfq.results import RecourseResult
from skcfq.theory._linking_rules import LinkingRules


@dataclass(frozen=True, eq=False)
class PersonalRules:
    """What each person may do, and at which price, as data."""

    result: RecourseResult
    region: ActionRegion
    own: list[np.ndarray]
    distances: list[np.ndarray]
    linking: LinkingRules

    @classmethod
    def of(cls, result: RecourseResult, told: dict[str, Any]) -> PersonalRules:
        X = result.X
        # Exceptions are told by position, which labels need not be.
        X = X.reset_index(drop=True) if isinstance(X, pd.DataFrame) else X
        exceptions: dict[Hashable, Any] = dict(told.get("overrides") or {})
        region = region_of(result.actions, X, exceptions or None)
        columns = [
            X.iloc[:, j] if isinstance(X, pd.DataFrame) else X[:, j] for j in range(X.shape[1])
        ]
        own = [feature.own_values(columns) for feature in result.actions.numeric]
        levels = region.levels.numpy()
        tables = result.cost_function.level_distances
        distances = [table[levels[:, i]] for i, table in enumerate(tables)]
        linking = LinkingRules(result.actions)
        return cls(result, region, own, distances, linking)

    def of_person(self, i: int) -> dict[str, Any]:
        """Return the rules of one person."""
        actions, weights = self.result.actions, self.result.cost_function.weights
        m = len(actions.numeric)
        features = [self._number(i, j, weights[j]) for j in range(m)]
        features += [self._level(i, j, weights[m + j]) for j in range(len(actions.categorical))]
        implied = self.linking.implied(self.region.levels.numpy()[i])
        bound = {column for feature in features for column in feature["columns"]}
        bound |= {one["column"] for one in implied}
        n_columns = self.result.X.shape[1]
        return {
            "features": features,
            "immutable": [j for j in range(n_columns) if j not in bound],
            "implied": implied,
            "max_changes": actions.max_changes,
            "across_features": self.linking.across,
        }

    def _number(self, i: int, j: int, weight: float) -> dict[str, Any]:
        feature = self.result.actions.numeric[j]
        scale = getattr(feature.block, "scale", None)
        return {
            "name": feature.name,
            "kind": "number",
            "columns": [feature.column],
            "own": self.own[j][i],
            "low": self.region.raw_lower[i, j],
            "high": self.region.raw_upper[i, j],
            "direction": feature.direction,
            "step": feature.step,
            "values": feature.values,
            "min_change": feature.min_change,
            "scale": None if scale is None else abs(scale),
            "weight": weight,
        }

    def _level(self, i: int, j: int, weight: float) -> dict[str, Any]:
        feature = self.result.actions.categorical[j]
        return {
            "name": feature.name,
            "kind": "group" if feature.is_group else "level",
            "columns": list(feature.columns),
            "levels": list(feature.levels),
            "allowed": self.region.allowed[j][i].numpy(),
            "distance": self.distances[j][i],
            "weight": weight,
        }
