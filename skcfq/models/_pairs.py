"""A second model of the same rows: whether two models can be compared at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.deploy import DeployedClassifier
from skcfq.exceptions import SpaceMismatchError
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor


def second_predictor(first: Predictor, model: Any, background: Any, X: Any) -> Predictor:
    """Read a further model of the same rows: one to compare with, or a variant.

    A model file that tells less of its population than the first model, which has the same, takes
    the statistics of that.

    Parameters
    ----------
    first : Predictor
    model : estimator
    background, X : DataFrame or ndarray
        As ``background`` and ``example`` of :func:`as_predictor`.

    Raises
    ------
    SpaceMismatchError
        The two have different classes, or read raw rows through different feature spaces.
    """
    space = first.space if isinstance(model, DeployedClassifier) else None
    predictor = as_predictor(model, background=background, space=space, example=X)
    _check_same_space(first, predictor)
    return predictor


def _check_same_space(first: Predictor, second: Predictor) -> None:
    # A file that leaves statistics out only claims its fingerprint; its map can be compared.
    claimed = first.space.full_fingerprint or second.space.full_fingerprint
    if first.space.fingerprint != second.space.fingerprint or (
        claimed and not first.space.same_map(second.space)
    ):
        raise SpaceMismatchError(
            f"{first.name} and {second.name} do not share one feature space, "
            "so their actions have no common unit. Fit the deployed model with "
            "`teacher=` set to the reference, or give both the same fitted encoder."
        )
    if not np.array_equal(first.classes, second.classes):
        raise SpaceMismatchError(
            f"{first.name} has the classes {first.classes.tolist()}, {second.name} has "
            f"{second.classes.tolist()}: their decisions cannot be compared. Fit both on the same "
            "labels."
        )
