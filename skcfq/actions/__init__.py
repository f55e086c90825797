"""What a person may change: action sets, their compiled form, projections and costs.

:class:`ActionSet` needs no torch; everything that does is loaded on first use, because the
datasets build action sets and must stay light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.actions._action_set import ActionSet
from skcfq.actions._categorical import CategoricalFeature
from skcfq.actions._compiled import CompiledActions
from skcfq.actions._numeric import NumericFeature
from skcfq.actions._plain_numbers import PlainNumbers
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.actions._box import Box, box_of
    from skcfq.actions._costs import RecourseCost, compile_cost
    from skcfq.actions._linking import (
        ChangeLiteral,
        LevelLiteral,
        LinearLiteral,
        LinkingConstraints,
    )
    from skcfq.actions._projections import (
        project,
        project_box,
        project_grid,
        project_immutable,
        project_min_change,
        project_one_hot,
        project_sparse,
    )
    from skcfq.actions._region import ActionRegion

__all__ = [
    "ActionRegion",
    "ActionSet",
    "Box",
    "ChangeLiteral",
    "CategoricalFeature",
    "CompiledActions",
    "LinkingConstraints",
    "LevelLiteral",
    "LinearLiteral",
    "NumericFeature",
    "PlainNumbers",
    "RecourseCost",
    "box_of",
    "compile_cost",
    "project",
    "project_box",
    "project_grid",
    "project_immutable",
    "project_min_change",
    "project_one_hot",
    "project_sparse",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "ActionRegion": "_region",
        "Box": "_box",
        "ChangeLiteral": "_linking",
        "LinkingConstraints": "_linking",
        "LevelLiteral": "_linking",
        "LinearLiteral": "_linking",
        "RecourseCost": "_costs",
        "box_of": "_box",
        "compile_cost": "_costs",
        "project": "_projections",
        "project_box": "_projections",
        "project_grid": "_projections",
        "project_immutable": "_projections",
        "project_min_change": "_projections",
        "project_one_hot": "_projections",
        "project_sparse": "_projections",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
