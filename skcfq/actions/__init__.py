"""What a person may change: action sets, their compiled form, projections and costs.

:class:`ActionSet` needs no torch; everything that does is loaded on first use, because the
datasets build action sets and must stay light.

For developers; users take :class:`skcfq.ActionSet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.actions._action_set import ActionSet
from skcfq.actions._compiled import CompiledActions
from skcfq.actions._conditions import Changes, IsIn, Linear
from skcfq.actions._numeric import SAME_VALUE
from skcfq.actions._overrides import read_overrides
from skcfq.actions._plain_numbers import PlainNumbers
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.actions._box import Box, box_of
    from skcfq.actions._costs import RecourseCost, compile_cost
    from skcfq.actions._literals import ChangeLiteral, LevelLiteral, LinearLiteral
    from skcfq.actions._projections import project_grids, project_min_change
    from skcfq.actions._raw_rows import raw_rows
    from skcfq.actions._region import ActionRegion
    from skcfq.actions._region_building import region_of

__all__ = [
    "SAME_VALUE",
    "ActionRegion",
    "ActionSet",
    "Box",
    "ChangeLiteral",
    "Changes",
    "CompiledActions",
    "IsIn",
    "LevelLiteral",
    "Linear",
    "LinearLiteral",
    "PlainNumbers",
    "RecourseCost",
    "box_of",
    "compile_cost",
    "project_grids",
    "project_min_change",
    "raw_rows",
    "read_overrides",
    "region_of",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "ActionRegion": "_region",
        "Box": "_box",
        "ChangeLiteral": "_literals",
        "LevelLiteral": "_literals",
        "LinearLiteral": "_literals",
        "RecourseCost": "_costs",
        "box_of": "_box",
        "compile_cost": "_costs",
        "project_grids": "_projections",
        "project_min_change": "_projections",
        "raw_rows": "_raw_rows",
        "region_of": "_region_building",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
