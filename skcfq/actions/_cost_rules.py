"""What an action set says of the cost of its actions, before anything is known of a table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skcfq.actions._rule_values import is_number
from skcfq.actions._rules import FeatureRules
from skcfq.exceptions import ActionSetError
from skcfq.utils import is_list

__all__ = ["NORMS", "WEIGHTS", "CostRules", "check_cost", "read_cost"]

NORMS = ("l1", "l2", "mixed")
WEIGHTS = ("std", "mad", "uniform")


@dataclass(frozen=True)
class CostRules:
    """The cost that an action set carries.

    Parameters
    ----------
    norm : {"l1", "l2", "mixed"}
    weights : {"std", "mad", "uniform"}, dict of feature name to float, or array-like
    mix : float
        Share of l1 in the mixed norm.
    """

    norm: str = "l1"
    weights: Any = "std"
    mix: float = 0.5

    @property
    def names(self) -> frozenset[Hashable]:
        """Features that have a weight of their own."""
        return frozenset(self.weights) if isinstance(self.weights, Mapping) else frozenset()


def read_cost(parameters: Mapping[str, Any], rules: Iterable[FeatureRules]) -> CostRules:
    """Return the cost that the parameters of an action set state.

    Parameters
    ----------
    parameters : dict of name to value
    rules : iterable of FeatureRules
        What was read from the same parameters; weights that name columns are among it.
    """
    cost, weights, mix = (parameters[name] for name in ("cost", "cost_weights", "cost_mix"))
    check_cost(cost, weights, mix)
    if isinstance(weights, Mapping):
        weights = {rule.name: rule.cost_weight for rule in rules if rule.cost_weight is not None}
    return CostRules(cost, weights, float(mix))


def check_cost(cost: Any, cost_weights: Any, cost_mix: Any) -> None:
    """Refuse what is no norm, no way to weigh features, or no share.

    Weights that name features, or count them, are checked where the features are known.
    """
    if not isinstance(cost, str) or cost not in NORMS:
        raise ActionSetError(f"cost is {cost!r}: use one of {', '.join(map(repr, NORMS))}.")
    is_known = cost_weights in WEIGHTS if isinstance(cost_weights, str) else is_list(cost_weights)
    if not is_known and not isinstance(cost_weights, Mapping):
        raise ActionSetError(
            f"cost_weights is {cost_weights!r}: use one of {', '.join(map(repr, WEIGHTS))}, a dict "
            "by feature name, or one weight for each feature that can change."
        )
    if not is_number(cost_mix) or not 0 <= cost_mix <= 1:
        raise ActionSetError(f"cost_mix is {cost_mix!r}: give the share of l1, between 0 and 1.")
