"""Fitted models of other libraries as plain rectifier networks, weights untouched."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import MLPHead, Predictor, shifted_bias
from skcfq.nn import FullPrecisionMLP, QuantizedNetwork
from skcfq.training._networks import leaves_of
from skcfq.training._torch_reading import LAST, PASSED_OVER, Layers, layers_of


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
        shift = getattr(head, "shift", 0.0)
        if shift:
            layers[-1] = (layers[-1][0], shifted_bias(layers[-1][1], shift))
    elif teacher.linear is not None:
        layers = [teacher.linear]
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


def network_of_chain(module: nn.Module) -> FullPrecisionMLP:
    """Return a trained torch module as a rectifier network, in float64.

    Parameters
    ----------
    module : Module
        Linear and ReLU layers in turn, from encoded rows to one score or to one logit per class;
        what else it may have is said in :func:`~skcfq.training._torch_reading.layers_of`.

    Raises
    ------
    UnsupportedModelError
        It has other layers, or in another order.
    """
    return _network(layers_of(module))


def network_of_module(module: nn.Module) -> nn.Module:
    """Return any trained torch module in float64, as a rectifier network where it is one.

    Parameters
    ----------
    module : Module
        Left as it is.
    """
    return network_of_chain(module) if _is_plain_chain(module) else deepcopy(module).double()


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
