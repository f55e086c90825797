"""Fitted networks of other libraries as plain rectifier networks, weights untouched."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

from skcfq.estimators._teacher import TeacherClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import LinearHead, MLPHead, Predictor
from skcfq.nn import FullPrecisionMLP, QuantizedNetwork, check_logits
from skcfq.training import LAST, PASSED_OVER, Layers, fit_encoder, layers_of, leaves_of


def rectifier_network(teacher: Predictor) -> FullPrecisionMLP:
    """Return the network of a fitted classifier, in float64.

    Parameters
    ----------
    teacher : Predictor
        A linear classifier, an ``MLPClassifier`` with relu or identity, or one of this library.

    Raises
    ------
    UnsupportedModelError
        The model is no rectifier network.
    """
    head = teacher.head
    own = getattr(getattr(head, "estimator", None), "network_", None)
    if isinstance(own, FullPrecisionMLP):
        layers = [(one.weight.detach(), _bias(one)) for one in _linear_layers(own)]
    elif teacher.linear is not None:
        layers = [teacher.linear]
    elif isinstance(head, LinearHead):
        layers = [(head.coef, head.intercept)]
    elif isinstance(head, MLPHead) and isinstance(head.activation, (nn.ReLU, nn.Identity)):
        layers = [
            (head.get_buffer(f"coef_{i}").T, head.get_buffer(f"intercept_{i}"))
            for i in range(head.n_layers)
        ]
        if isinstance(head.activation, nn.Identity):
            layers = [_product(layers)]
    else:
        raise UnsupportedModelError(
            f"{teacher.name} {_why_not(head)}, so its layers cannot be quantized after training. "
            "Give a linear classifier, an MLPClassifier with activation='relu', a "
            "TeacherClassifier or a torch module of Linear and ReLU; or let QATClassifier or "
            "CFQClassifier learn a quantized network from this one, as their `teacher=`."
        )
    return _network(layers)


def teacher_of_module(
    module: nn.Module,
    encoder: Any,
    X: Any,
    classes: np.ndarray,
    labels: np.ndarray,
    sample_weight: np.ndarray,
) -> TeacherClassifier:
    """Wrap a trained torch module as a fitted classifier.

    Parameters
    ----------
    module : Module
        Linear and ReLU layers in turn, from encoded rows to one score or to one logit per class;
        what else it may have is said in :func:`~skcfq.training._torch_reading.layers_of`.
    encoder : transformer or None
        What the module was trained behind, fitted; None takes the rows as they are.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    classes : ndarray of shape (n_classes,)
        In the order of the module's logits.
    labels, sample_weight : ndarray of shape (n,)

    Returns
    -------
    TeacherClassifier
    """
    return _fitted_teacher(_network(layers_of(module)), encoder, X, classes, labels, sample_weight)


def teacher_of_any_module(
    module: nn.Module,
    encoder: Any,
    X: Any,
    classes: np.ndarray,
    labels: np.ndarray,
    sample_weight: np.ndarray,
) -> TeacherClassifier:
    """Wrap any trained torch module as a fitted classifier; it need not be of Linear and ReLU.

    Parameters
    ----------
    module : Module
        From encoded rows to one logit per class, or an ``nn.Sequential`` of Linear and ReLU that
        :func:`teacher_of_module` takes.
    encoder, X, classes, labels, sample_weight
        As in :func:`teacher_of_module`.

    Returns
    -------
    TeacherClassifier
    """
    plain = _is_plain_chain(module)
    network = _network(layers_of(module)) if plain else deepcopy(module).double()
    return _fitted_teacher(network, encoder, X, classes, labels, sample_weight)


def _fitted_teacher(
    network: nn.Module,
    encoder: Any,
    X: Any,
    classes: np.ndarray,
    labels: np.ndarray,
    sample_weight: np.ndarray,
) -> TeacherClassifier:
    teacher = TeacherClassifier()
    if encoder is None:
        encoder = FunctionTransformer().fit(X)
    teacher.encoder_, teacher.feature_space_ = fit_encoder(encoder, X, labels, sample_weight)
    n_encoded = teacher.feature_space_.n_encoded
    if isinstance(network, FullPrecisionMLP):
        made = _linear_layers(network)
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
    teacher._finish(network, pd.DataFrame())
    return teacher


def _why_not(head: Any) -> str:
    if isinstance(getattr(getattr(head, "estimator", None), "network_", None), QuantizedNetwork):
        return "is quantized already (what it was trained from is its attribute `teacher_`)"
    if isinstance(head, MLPHead):
        kind = {nn.Tanh: "tanh", nn.Sigmoid: "logistic"}[type(head.activation)]
        return f"has activation={kind!r}, and the integer arithmetic of deployment has relu alone"
    return "is no linear classifier and no rectifier network"


def _is_plain_chain(module: nn.Module) -> bool:
    """Tell an nn.Sequential of Linear and ReLU; other modules stay what they are."""
    leaves = [one for one in leaves_of(module) if not isinstance(one, PASSED_OVER)]
    if leaves and isinstance(leaves[-1], LAST):
        leaves = leaves[:-1]
    kinds = [type(one) for one in leaves]
    turns = [nn.Linear if i % 2 == 0 else nn.ReLU for i in range(len(kinds))]
    return len(kinds) % 2 == 1 and kinds == turns


def _linear_layers(network: FullPrecisionMLP) -> list[nn.Linear]:
    return cast("list[nn.Linear]", list(network.layers))


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()


def _product(layers: Layers) -> tuple[Tensor, Tensor]:
    weight, bias = layers[0]
    for after, offset in layers[1:]:
        weight, bias = after @ weight, after @ bias + offset
    return weight, bias


def _network(layers: Layers) -> FullPrecisionMLP:
    weight, bias = layers[-1]
    if len(weight) == 1:
        # One score s becomes the two logits (0, s).
        weight = torch.cat([torch.zeros_like(weight), weight])
        bias = torch.cat([torch.zeros_like(bias), bias])
        layers = [*layers[:-1], (weight, bias)]
    hidden = [len(one) for one, _ in layers[:-1]]
    network = FullPrecisionMLP(layers[0][0].shape[1], hidden, len(weight)).double()
    with torch.no_grad():
        for made, (weight, bias) in zip(_linear_layers(network), layers, strict=True):
            made.weight.copy_(weight)
            made.bias.copy_(bias)
    return network.requires_grad_(False)
