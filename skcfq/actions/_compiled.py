"""The frozen form of an action set: one entry per feature that can change, in encoded units."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.actions._categorical import CategoricalFeature, build_categorical
from skcfq.actions._constraint_language import Linear, Rule, parse_rule
from skcfq.actions._downstream_rules import Implied, build_implied
from skcfq.actions._numeric import NumericFeature, build_numeric
from skcfq.actions._overrides import read_overrides
from skcfq.actions._plain_numbers import PlainNumbers
from skcfq.actions._rules import FeatureRules
from skcfq.exceptions import ActionSetError

if TYPE_CHECKING:
    from skcfq.actions._region import ActionRegion
    from skcfq.encoding import FeatureSpace

__all__ = ["CompiledActions", "compile_actions"]


@dataclass(frozen=True, eq=False)
class CompiledActions:
    """An action set seen through a feature space.

    Made by :meth:`ActionSet.compile`. Features that cannot change are absent. The order of
    features, everywhere, is: numeric features, then choices, each in raw column order.

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
    downstream : tuple of Implied
        Columns that follow the changes of others.

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
    downstream: tuple[Implied, ...] = ()

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

    def at(self, X: Any, overrides: Mapping[Hashable, Mapping] | None = None) -> ActionRegion:
        """Return the admissible actions of the rows of X.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, p)
            Raw rows.
        overrides : dict of row label to rules, optional
            Rules of single people, ``{label: {"immutable": [names], "bounds": {name: (low,
            high)}}}``; the label is that of the index of X, the position for an array. Bounds
            take the place of the absolute ones, everything else stays.

        Returns
        -------
        region : ActionRegion
            Per-person limits, grids and moves as float64 tensors.

        Raises
        ------
        ActionSetError
            An override names an unknown row or feature, or contradicts itself.
        """
        from skcfq.actions._region_building import build_region

        return build_region(self, X, read_overrides(overrides, X, self))


def compile_actions(
    rules: Iterable[FeatureRules],
    space: FeatureSpace,
    max_changes: int | None,
    constraints: Iterable[str] = (),
    implied: Mapping | None = None,
) -> CompiledActions:
    """Build one feature per bundle of rules and drop those that cannot change."""
    numeric: list[NumericFeature] = []
    choice: list[CategoricalFeature] = []
    for feature in rules:
        if feature.is_only_held:
            continue
        blocks = [space.blocks[column] for column in feature.columns]
        if any(block.columns.size == 0 for block in blocks):
            # The model does not see the column (or all of the group): no action through it.
            continue
        if feature.is_group or blocks[0].kind == "table":
            option = build_categorical(feature, blocks)
            if not feature.immutable:
                choice.append(option)
        else:
            number = build_numeric(feature, blocks[0])
            # With a scale of 0 the encoded column does not depend on the raw value at all.
            if not feature.immutable and getattr(number.block, "scale", 1.0) != 0:
                numeric.append(number)
    compiled = CompiledActions(
        space,
        tuple(numeric),
        tuple(choice),
        max_changes,
        tuple(parse_rule(text) for text in constraints),
        build_implied(implied, numeric, choice, space),
    )
    check_names(compiled)
    return compiled


def check_names(compiled: CompiledActions) -> None:
    """Refuse rules that name no column."""
    known = {*compiled.space.raw_columns, *range(compiled.space.n_raw), *compiled.feature_names}
    for rule in compiled.rules:
        for name in rule.names:
            if name not in known:
                raise ActionSetError(
                    f"constraints holds the rule {rule.text!r}: {name!r} is no column. Use one of "
                    f"{list(compiled.space.raw_columns)!r}, in backquotes if it is no plain word."
                )
