"""Counterfactual-faithful quantization with scikit-learn's words.

The public names and packages are loaded on first use: ``import skcfq`` alone imports neither torch
nor any other heavy package, so that a packed model can be served where they are not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skcfq._version import __version__

if TYPE_CHECKING:
    from skcfq import audit as audit
    from skcfq import certificates as certificates
    from skcfq import datasets as datasets
    from skcfq import deploy as deploy
    from skcfq import estimators as estimators
    from skcfq import exceptions as exceptions
    from skcfq import metrics as metrics
    from skcfq import models as models
    from skcfq import plotting as plotting
    from skcfq import results as results
    from skcfq import theory as theory
    from skcfq.actions import ActionSet
    from skcfq.deploy import load
    from skcfq.encoding import FeatureSpace, TableEncoder
    from skcfq.estimators import (
        CFQClassifier,
        CoresetSampler,
        CounterfactualSampler,
        GroupSampler,
        PTQClassifier,
        QATClassifier,
        RecourseTransformer,
        TeacherClassifier,
    )
    from skcfq.results import RecourseMenu, RecourseResult
    from skcfq.solvers import RecourseSolver

__all__ = [
    "ActionSet",
    "CFQClassifier",
    "CoresetSampler",
    "CounterfactualSampler",
    "FeatureSpace",
    "GroupSampler",
    "PTQClassifier",
    "QATClassifier",
    "RecourseMenu",
    "RecourseResult",
    "RecourseSolver",
    "RecourseTransformer",
    "TableEncoder",
    "TeacherClassifier",
    "__version__",
    "load",
]

_HOME_OF = {
    "ActionSet": "actions",
    "CFQClassifier": "estimators",
    "CoresetSampler": "estimators",
    "CounterfactualSampler": "estimators",
    "FeatureSpace": "encoding",
    "GroupSampler": "estimators",
    "PTQClassifier": "estimators",
    "QATClassifier": "estimators",
    "RecourseMenu": "results",
    "RecourseResult": "results",
    "RecourseSolver": "solvers",
    "RecourseTransformer": "estimators",
    "TableEncoder": "encoding",
    "TeacherClassifier": "estimators",
    "load": "deploy",
}

_PACKAGES = (
    "audit",
    "certificates",
    "datasets",
    "deploy",
    "estimators",
    "exceptions",
    "metrics",
    "models",
    "plotting",
    "results",
    "theory",
)


def __getattr__(name: str) -> Any:
    """Import a public name from its package, or a public package, on first use (PEP 562)."""
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names and packages although they are not loaded yet."""
    return sorted({*globals(), *__all__, *_PACKAGES})
