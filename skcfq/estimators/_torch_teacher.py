"""A trained torch module as a fitted classifier of the library."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skcfq.estimators._teacher import TeacherClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import FullPrecisionMLP, check_logits
from skcfq.training import Trained, fit_encoder


def teacher_of_network(
    network: nn.Module,
    encoder: Any,
    X: Any,
    classes: np.ndarray,
    labels: np.ndarray,
    sample_weight: np.ndarray,
) -> TeacherClassifier:
    """Wrap a trained network as a fitted classifier.

    Parameters
    ----------
    network : FullPrecisionMLP or Module
        From encoded rows to one logit per class, in float64.
    encoder : transformer or None
        What the network was trained behind, fitted; None takes the rows as they are.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    classes : ndarray of shape (n_classes,)
        In the order of the network's logits.
    labels, sample_weight : ndarray of shape (n,)

    Returns
    -------
    TeacherClassifier

    Raises
    ------
    UnsupportedModelError
        The network has other inputs or outputs.
    """
    teacher = TeacherClassifier()
    if encoder is None:
        encoder = FunctionTransformer().fit(X)
    teacher.encoder_, teacher.feature_space_ = fit_encoder(encoder, X, labels, sample_weight)
    n_encoded = teacher.feature_space_.n_encoded
    if isinstance(network, FullPrecisionMLP):
        made = cast("list[nn.Linear]", list(network.layers))
        n_inputs, n_outputs = made[0].in_features, made[-1].out_features
        if (n_inputs, n_outputs) != (n_encoded, len(classes)):
            raise UnsupportedModelError(
                f"`teacher` maps {n_inputs} columns to {n_outputs} logits, but there are "
                f"{n_encoded} encoded columns and {len(classes)} classes. Give the fitted encoder "
                "that it was trained behind as `encoder=`."
            )
    else:
        check_logits(network, torch.zeros(2, n_encoded, dtype=torch.float64), len(classes))
    teacher.classes_ = classes
    teacher.n_features_in_ = X.shape[1]
    if isinstance(X, pd.DataFrame) and all(isinstance(name, str) for name in X.columns):
        teacher.feature_names_in_ = np.asarray(X.columns, dtype=object)
    teacher._finish(network, Trained(pd.DataFrame()))
    return teacher
