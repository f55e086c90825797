"""Trained torch modules read as linear layers with rectifiers between them."""

from __future__ import annotations

import operator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, fx, nn

from skcfq.exceptions import UnsupportedModelError

Layers = list[tuple[Tensor, Tensor]]

PASSED_OVER = (nn.Dropout, nn.AlphaDropout, nn.Identity, nn.Flatten)
LAST = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid)
_RELU_NAMES = ("relu", "relu_")
_PASSED_OVER_NAMES = ("flatten", "float", "double", "contiguous", "dropout")
_LAST_NAMES = ("softmax", "log_softmax", "sigmoid", "logsigmoid", "squeeze")
_KINDS = {
    **dict.fromkeys(_RELU_NAMES, "relu"),
    **dict.fromkeys(_PASSED_OVER_NAMES, "nothing"),
    **dict.fromkeys(_LAST_NAMES, "last"),
}


def layers_of(module: nn.Module) -> Layers:
    """Return weights and biases of a module that is linear layers with rectifiers between them.

    Parameters
    ----------
    module : Module
        Linear and ReLU in turn, as an ``nn.Sequential`` or as a class of the user's own whose
        ``forward`` does the same with every input. BatchNorm1d behind a linear layer is
        multiplied into it; Dropout, Identity, Flatten and a last softmax, sigmoid or squeeze are
        passed over. It is read as in evaluation, and left as it is.

    Returns
    -------
    layers : list of (weight, bias)
        float64, on the CPU.

    Raises
    ------
    UnsupportedModelError
        It does anything else; the message names it.
    """
    # Inside of another module, so that a single layer is a step too.
    module = nn.Sequential(deepcopy(module)).eval()
    if any(one.is_meta for one in module.state_dict().values()):
        raise _refused(module, "its weights are on the device 'meta', which holds no numbers")
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception as error:
        # It runs the user's own code, which may fail in any way on what stands for a tensor.
        raise _refused(module, f"its forward cannot be traced ({error})") from error
    # Shapes that forward looks at and does not use.
    graph.eliminate_dead_code()
    return _chain(module, graph)


def _chain(module: nn.Module, graph: fx.Graph) -> Layers:
    layers: Layers = []
    rectified, ended = True, False
    before: Any = None
    for node in graph.nodes:
        if node.op == "placeholder" and before is None:
            before = node
            continue
        if len(node.all_input_nodes) != 1 or node.all_input_nodes[0] is not before:
            raise _refused(module, f"{_name(module, node)} takes other inputs than the step before")
        if node.op == "output":
            break
        before = node
        kind = _kind(module, node)
        if ended and kind != "nothing":
            raise _refused(module, f"{_name(module, node)} stands behind the last layer")
        if kind == "linear" and rectified:
            layers.append(_parameters(module.get_submodule(node.target)))
        elif kind == "normalization" and layers and not rectified:
            layers[-1] = _folded(layers[-1], module.get_submodule(node.target))
        elif kind == "relu" and not rectified:
            pass
        elif kind == "last" and not rectified:
            ended = True
        elif kind != "nothing":
            raise _refused(module, f"{_name(module, node)} stands where it cannot be read")
        rectified = {"linear": False, "relu": True}.get(kind, rectified)
    if rectified:
        raise _refused(module, "its last layer is not linear")
    return layers


def _kind(module: nn.Module, node: fx.Node) -> str:
    """Return what a step does: linear, normalization, relu, nothing, last, or other."""
    if node.op == "call_module":
        one = module.get_submodule(str(node.target))
        if one._forward_hooks or one._forward_pre_hooks:
            return "other"
        if type(one) is nn.Linear:
            return "linear"
        if type(one) is nn.BatchNorm1d and one.running_var is not None:
            return "normalization"
        if type(one) is nn.ReLU:
            return "relu"
        if type(one) in PASSED_OVER:
            return "nothing"
        return "last" if type(one) in LAST else "other"
    if node.op not in ("call_function", "call_method"):
        return "other"
    name = node.target if isinstance(node.target, str) else node.target.__name__
    if name == "dropout" and node.kwargs.get("training", (*node.args, None, True, True)[2]):
        return "other"
    if node.op == "call_function" and not _is_of_torch(node.target):
        return "other"
    return _KINDS.get(name, "other")


def _is_of_torch(function: Any) -> bool:
    name = function.__name__
    return any(getattr(home, name, None) is function for home in (torch, nn.functional, operator))


def _name(module: nn.Module, node: fx.Node) -> str:
    if node.op == "call_module":
        name = str(node.target).removeprefix("0").removeprefix(".")
        return f"{name} ({type(module.get_submodule(str(node.target))).__name__})".lstrip()
    return str(getattr(node.target, "__name__", node.target))


def _parameters(layer: Any) -> tuple[Tensor, Tensor]:
    weight = layer.weight.detach().double().cpu()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    return weight, bias.double().cpu()


def _folded(layer: tuple[Tensor, Tensor], norm: Any) -> tuple[Tensor, Tensor]:
    """Return the linear layer that a linear layer and its normalization are."""
    weight, bias = layer
    mean, variance = norm.running_mean.double().cpu(), norm.running_var.double().cpu()
    scale = (variance + norm.eps).rsqrt()
    offset = torch.zeros_like(mean)
    if norm.affine:
        scale = scale * norm.weight.detach().double().cpu()
        offset = norm.bias.detach().double().cpu()
    return weight * scale[:, None], (bias - mean) * scale + offset


def _refused(module: Any, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"`teacher` is the torch module {type(module[0]).__name__}, which is not Linear and ReLU "
        f"layers in turn: {why}. Rewrite it as such, or let QATClassifier or CFQClassifier learn "
        "a quantized network from it, as their `teacher=`."
    )
