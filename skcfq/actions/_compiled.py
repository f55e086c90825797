"""The frozen form of an action set: one entry per feature that can change, in encoded units."""

from __future__ import annotations

import pickle
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.actions._categorical import CategoricalFeature, build_categorical
from skcfq.actions._conditions import Linear, Rule
from skcfq.actions._constraint_language import parse_rule
from skcfq.actions._cost_rules import CostRules, read_cost
from skcfq.actions._downstream_rules import DownstreamRule, build_downstream_rules
from skcfq.actions._numeric import NumericFeature, build_numeric
from skcfq.actions._plain_numbers import PlainNumbers
from skcfq.actions._raw import read_columns
from skcfq.actions._rules import (
    FeatureRules,
    check_max_changes,
    read_constraints,
    read_rules,
)
from skcfq.exceptions import ActionSetError

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace

__all__ = ["CompiledActions", "compile_actions"]


@dataclass(frozen=True, eq=False)
class CompiledActions:
    """An action set seen through a feature space.

    Made by :meth:`ActionSet.compile`. Features that cannot change are absent. The order of
    features, everywhere, is: numeric features, then categorical ones, each in raw column order.
    What given people may do is told by :func:`region_of`.

    Parameters
    ----------
    space : FeatureSpace
    numeric : tuple of NumericFeature
        The m numeric features.
    categorical : tuple of CategoricalFeature
        The c categorical features.
    max_changes : int or None
    rules : tuple of Rule
        Rules across features.
    downstream : tuple of DownstreamRule
        Columns that follow the changes of others.
    cost_rules : CostRules
        What a change costs.

    Examples
    --------
    >>> import numpy as np
    >>> from skcfq.actions import ActionSet
    >>> from skcfq.encoding import FeatureSpace
    >>> space = FeatureSpace.from_frame(np.array([[0.0, 1.0], [2.0, 3.0]]))
    >>> actions = ActionSet(increasing=[1]).compile(space)
    >>> actions.n_features, actions.feature_names
    (2, (0, 1))
    """

    space: FeatureSpace
    numeric: tuple[NumericFeature, ...]
    categorical: tuple[CategoricalFeature, ...]
    max_changes: int | None = None
    rules: tuple[Rule, ...] = ()
    downstream: tuple[DownstreamRule, ...] = ()
    cost_rules: CostRules = field(default_factory=CostRules)

    @property
    def has_linking(self) -> bool:
        """Whether rules tie features to each other."""
        return bool(self.rules)

    @property
    def has_implications(self) -> bool:
        """Whether a rule is more than a linear inequality."""
        return any(
            rule.premises or not all(isinstance(c, Linear) for c in rule.conclusions)
            for rule in self.rules
        )

    @property
    def has_min_change(self) -> bool:
        """Whether a number has a smallest change."""
        return any(feature.min_change is not None for feature in self.numeric)

    @cached_property
    def plain_numbers(self) -> PlainNumbers:
        """The numbers without a grid."""
        return PlainNumbers.of(self.numeric)

    def unreadable(self, X: Any) -> dict[Hashable, np.ndarray]:
        """Return who is at no level of which declared one-hot groups, bool of shape (n,) each."""
        groups = [feature for feature in self.categorical if feature.is_group]
        columns = read_columns(self.space, X) if groups else []
        return {feature.name: feature.unreadable(columns) for feature in groups}

    @property
    def feature_names(self) -> tuple[Hashable, ...]:
        """Names of the F features that can change, numeric first."""
        return (*(f.name for f in self.numeric), *(f.name for f in self.categorical))

    @property
    def n_features(self) -> int:
        """Number F of features that can change."""
        return len(self.numeric) + len(self.categorical)

    @property
    def numeric_columns(self) -> np.ndarray:
        """Encoded columns of the numeric features, int of shape (m,)."""
        return np.array([feature.encoded_column for feature in self.numeric], dtype=np.int64)

    @property
    def feature_columns(self) -> tuple[np.ndarray, ...]:
        """Encoded columns of each of the F features."""
        return (
            *(np.array([feature.encoded_column]) for feature in self.numeric),
            *(feature.encoded_columns for feature in self.categorical),
        )

    @property
    def mutable_columns(self) -> np.ndarray:
        """Whether each encoded column belongs to a feature that can change, bool of shape (d,)."""
        mutable = np.zeros(self.space.n_encoded, dtype=bool)
        for columns in self.feature_columns:
            mutable[columns] = True
        return mutable


def compile_actions(parameters: dict[str, Any], space: FeatureSpace) -> CompiledActions:
    """Translate the parameters of an action set through a feature space.

    The last eight are kept: for a few people, reading the rules again would take longer than
    solving.
    """
    try:
        written = pickle.dumps(parameters)
    except Exception:  # what a user's own names and levels raise has no narrower class
        return _compiled(parameters, space)
    return _compiled_once(written, space)


@lru_cache(maxsize=8)
def _compiled_once(parameters: bytes, space: FeatureSpace) -> CompiledActions:
    # The key is the content, so a rule that changes in place is another key.
    return _compiled(pickle.loads(parameters), space)


def _compiled(parameters: dict[str, Any], space: FeatureSpace) -> CompiledActions:
    rules = read_rules(parameters, space.raw_columns)
    max_changes = check_max_changes(parameters["max_changes"])
    constraints = read_constraints(parameters["constraints"])
    numeric, categorical = _features(rules, space)
    compiled = CompiledActions(
        space,
        numeric,
        categorical,
        max_changes,
        tuple(parse_rule(text) for text in constraints),
        build_downstream_rules(parameters["implied"], numeric, categorical, space),
        read_cost(parameters, rules),
    )
    _check_names(compiled)
    return compiled


def _features(
    rules: Iterable[FeatureRules], space: FeatureSpace
) -> tuple[tuple[NumericFeature, ...], tuple[CategoricalFeature, ...]]:
    """Build one feature per bundle of rules and drop those that cannot change."""
    numeric: list[NumericFeature] = []
    categorical: list[CategoricalFeature] = []
    for feature in rules:
        if feature.is_only_held:
            continue
        blocks = [space.blocks[column] for column in feature.columns]
        if any(block.columns.size == 0 for block in blocks):
            # The model does not see the column (or all of the group): no action through it.
            continue
        if feature.is_group or blocks[0].kind == "table":
            category = build_categorical(feature, blocks)
            if not feature.immutable:
                categorical.append(category)
        else:
            number = build_numeric(feature, blocks[0])
            # With a scale of 0 the encoded column does not depend on the raw value at all.
            if not feature.immutable and getattr(number.block, "scale", 1.0) != 0:
                numeric.append(number)
    return tuple(numeric), tuple(categorical)


def _check_names(compiled: CompiledActions) -> None:
    """Refuse rules that name no column."""
    columns = compiled.space.raw_columns
    known = {*columns, *range(compiled.space.n_raw), *compiled.feature_names}
    for rule in compiled.rules:
        for name in rule.names:
            if name not in known:
                raise ActionSetError(
                    f"constraints holds the rule {rule.text!r}: {name!r} is no column. Use one of "
                    f"{list(columns)!r}, in backquotes if it is no plain word."
                )
            own = columns[name] if isinstance(name, int) and name not in columns else name
            if own != name and str(name) in known - {own}:
                raise ActionSetError(
                    f"constraints holds the rule {rule.text!r}: `{name}` is the position of "
                    f"{own!r}, and the name of another column. Rename that column."
                )
