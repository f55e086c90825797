"""What a person may change: action sets, their compiled form, projections and costs.

:class:`ActionSet` needs no torch; everything that does is loaded on first use, because the
datasets build action sets and must stay light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skcfq.actions._action_set import ActionSet
from skcfq.actions._choice import ChoiceFeature
from skcfq.actions._compiled import CompiledActions
from skcfq.actions._numeric import NumericFeature

if TYPE_CHECKING:
    from skcfq.actions._costs import RecourseCost, compile_cost
    from skcfq.actions._couplings import ChangeAtom, Couplings, LevelAtom, LinearAtom
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
    "ChangeAtom",
    "ChoiceFeature",
    "CompiledActions",
    "Couplings",
    "LevelAtom",
    "LinearAtom",
    "NumericFeature",
    "RecourseCost",
    "compile_cost",
    "project",
    "project_box",
    "project_grid",
    "project_immutable",
    "project_min_change",
    "project_one_hot",
    "project_sparse",
]

_NEEDS_TORCH = {
    "ActionRegion": "_region",
    "ChangeAtom": "_couplings",
    "Couplings": "_couplings",
    "LevelAtom": "_couplings",
    "LinearAtom": "_couplings",
    "RecourseCost": "_costs",
    "compile_cost": "_costs",
    "project": "_projections",
    "project_box": "_projections",
    "project_grid": "_projections",
    "project_immutable": "_projections",
    "project_min_change": "_projections",
    "project_one_hot": "_projections",
    "project_sparse": "_projections",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
