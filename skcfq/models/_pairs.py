"""A second model of the same rows: whether two models can be compared at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.deploy import DeployedClassifier
from skcfq.exceptions import SpaceMismatchError
from skcfq.models._order import in_order_of
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor
from skcfq.models._translation import on_space_of


def second_predictor(first: Predictor, model: Any, background: Any, X: Any) -> Predictor:
    """Read a further model of the same raw columns: one to compare with, or a variant.

    Costs and actions are those of the first model's space, on which a model with another encoder
    is put.

    Parameters
    ----------
    first : Predictor
    model : estimator
    background, X : DataFrame or ndarray
        As ``background`` and ``example`` of :func:`as_predictor`.

    Raises
    ------
    SpaceMismatchError
        The two have different classes, or a file's map is not the one that it claims.
    FeatureSpaceError
        The two read different raw columns.
    """
    predictor = _read(first, model, background, X)
    return predictor if _share_one_space(first, predictor) else on_space_of(first, predictor)


def predictor_of_same_space(first: Predictor, model: Any, background: Any, X: Any) -> Predictor:
    """Read a further model for a statement about two networks on one encoded row.

    Parameters and errors are those of :func:`second_predictor`, but for another encoder, which is
    a SpaceMismatchError too.
    """
    predictor = _read(first, model, background, X)
    if not _share_one_space(first, predictor):
        raise SpaceMismatchError(
            f"{first.name} and {predictor.name} do not share one feature space, so there is no "
            "encoded row that both read. Fit the deployed model with `teacher=` set to the "
            "reference, or give both the same fitted encoder."
        )
    return predictor


def _read(first: Predictor, model: Any, background: Any, X: Any) -> Predictor:
    # A file that tells less of its population, which is the same, takes the first's statistics.
    space = first.space if isinstance(model, DeployedClassifier) else None
    predictor = as_predictor(model, background=background, space=space, example=X)
    predictor = in_order_of(first.classes, predictor)
    if not np.array_equal(first.classes, predictor.classes):
        raise SpaceMismatchError(
            f"{first.name} has the classes {first.classes.tolist()}, {predictor.name} has "
            f"{predictor.classes.tolist()}: their decisions cannot be compared. Fit both on the "
            "same labels."
        )
    return predictor


def _share_one_space(first: Predictor, second: Predictor) -> bool:
    if first.space.fingerprint != second.space.fingerprint:
        return False
    # A file that leaves statistics out only claims its fingerprint; its map can be compared.
    claimed = first.space.full_fingerprint or second.space.full_fingerprint
    if claimed and not first.space.same_map(second.space):
        raise SpaceMismatchError(
            f"{second.name} claims the feature space of {first.name}, but encodes otherwise: the "
            "file was changed, or is of another model. Export the model anew."
        )
    return True
