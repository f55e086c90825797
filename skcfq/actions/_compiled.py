"""The frozen form of an action set: one entry per feature that can change, in encoded units."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.actions._choice import ChoiceFeature, build_choice
from skcfq.actions._numeric import NumericFeature, build_numeric
from skcfq.actions._rules import FeatureRules

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
    choice : tuple of ChoiceFeature
        The c categorical features.
    max_changes : int or None

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
    choice: tuple[ChoiceFeature, ...]
    max_changes: int | None = None

    @property
    def feature_names(self) -> tuple[Hashable, ...]:
        """Names of the F features that can change, numeric first."""
        return (*(f.name for f in self.numeric), *(f.name for f in self.choice))

    @property
    def n_features(self) -> int:
        """Number F of features that can change."""
        return len(self.numeric) + len(self.choice)

    @property
    def numeric_columns(self) -> np.ndarray:
        """Encoded columns of the numeric features, int of shape (m,)."""
        return np.array([feature.encoded_column for feature in self.numeric], dtype=np.int64)

    @property
    def feature_columns(self) -> tuple[np.ndarray, ...]:
        """Encoded columns of each of the F features."""
        return (
            *(np.array([feature.encoded_column]) for feature in self.numeric),
            *(feature.encoded_columns for feature in self.choice),
        )

    @property
    def mutable_columns(self) -> np.ndarray:
        """Whether each encoded column belongs to a feature that can change, bool of shape (d,)."""
        mutable = np.zeros(self.space.n_encoded, dtype=bool)
        for columns in self.feature_columns:
            mutable[columns] = True
        return mutable

    def at(self, X: Any) -> ActionRegion:
        """Return the admissible actions of the rows of X.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, p)
            Raw rows.

        Returns
        -------
        region : ActionRegion
            Per-person limits, grids and moves as float64 tensors.
        """
        from skcfq.actions._region import build_region

        return build_region(self, X)


def compile_actions(
    rules: Iterable[FeatureRules], space: FeatureSpace, max_changes: int | None
) -> CompiledActions:
    """Build one feature per bundle of rules and drop those that cannot change."""
    numeric: list[NumericFeature] = []
    choice: list[ChoiceFeature] = []
    for feature in rules:
        blocks = [space.blocks[column] for column in feature.columns]
        if any(block.columns.size == 0 for block in blocks):
            # The model does not see the column (or all of the group): no action through it.
            continue
        if feature.is_group or blocks[0].kind == "table":
            option = build_choice(feature, blocks)
            if not feature.immutable:
                choice.append(option)
        else:
            number = build_numeric(feature, blocks[0])
            # With a scale of 0 the encoded column does not depend on the raw value at all.
            if not feature.immutable and getattr(number.block, "scale", 1.0) != 0:
                numeric.append(number)
    return CompiledActions(space, tuple(numeric), tuple(choice), max_changes)
