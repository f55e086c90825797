"""The networks that estimators train: the library's own, or those that a user's module gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import (
    FullPrecisionMLP,
    QuantizedMLP,
    QuantizedModule,
    QuantizedNetwork,
    activation_widths_of,
    can_be_widened,
    check_logits,
    network_in_units,
    weight_units,
    widened,
    width_of,
)

# Activation width where it follows weights whose width is not chosen yet; beyond the other, the
# steps are so fine that nothing is to be gained between them.
_USUAL_BITS, _MOST_BITS = 4, 16

ModuleParameter = nn.Module | Callable[[int, int], nn.Module] | None


def full_precision_network(
    module: ModuleParameter, hidden_layer_sizes: Sequence[int], n_inputs: int, n_classes: int
) -> nn.Module:
    """Return the network that a teacher trains.

    Parameters
    ----------
    module : Module, callable or None
        It is copied, or called with the two numbers; None is a rectifier network.
    hidden_layer_sizes : sequence of int
        Of the rectifier network.
    n_inputs, n_classes : int

    Returns
    -------
    network : FullPrecisionMLP or Module
        A FullPrecisionMLP also where the module is a chain of Linear and ReLU.

    Raises
    ------
    UnsupportedModelError
        The module does not map the columns to one logit a class.
    """
    if module is None:
        return FullPrecisionMLP(n_inputs, hidden_layer_sizes, n_classes)
    made = _made(module, n_inputs, n_classes)
    first = next(made.parameters(), torch.zeros(0))
    check_logits(made, torch.zeros(2, n_inputs, dtype=first.dtype), n_classes)
    chain = _chain(made)
    return made if chain is None else chain


def quantized_network(
    module: ModuleParameter,
    hidden_layer_sizes: Sequence[int],
    n_inputs: int,
    n_classes: int,
    *,
    source: Any,
    dtype: torch.dtype,
    rows: Tensor,
    follows: bool = False,
    **options: Any,
) -> tuple[QuantizedNetwork, bool]:
    """Return the network that a student trains, and whether it starts from its teacher's weights.

    Parameters
    ----------
    module : Module, callable or None
    hidden_layer_sizes : sequence of int
        Of the rectifier network that ``module=None`` stands for.
    n_inputs, n_classes : int
    source : Module or None
        The teacher's network.
    dtype : torch.dtype
        Precision of the training.
    rows : Tensor of shape (n, n_inputs)
        Some rows, in any precision.
    follows : bool, default=False
        Whether the student stays near its teacher, so that the columns of its first layer can be
        brought to like sizes once for all. Weights that still have to grow need their own scale.
    **options
        Of :class:`~skcfq.nn.QuantizedMLP` and :class:`~skcfq.nn.QuantizedModule`.

    Returns
    -------
    network : QuantizedMLP or QuantizedModule
    starts_there : bool
        Whether the teacher's weights fit, or copies of them do.
    """
    # Before anything is copied: weights of a double teacher would lose digits.
    own = full_precision_network(module, hidden_layer_sizes, n_inputs, n_classes).to(dtype)
    is_like_source = isinstance(source, nn.Module) and _shapes(source) == _shapes(own)
    if not isinstance(own, FullPrecisionMLP):
        starts_there = is_like_source and type(source) is type(own)
        if starts_there:
            own.load_state_dict(source.state_dict())
        return QuantizedModule(own, n_inputs, n_classes, **options).to(dtype), starts_there
    start = own if module is not None else None
    starts_there = is_like_source and isinstance(source, FullPrecisionMLP)
    if starts_there:
        start = source
    elif start is None and isinstance(source, FullPrecisionMLP) and can_be_widened(source, own):
        sizes = [int(size) for size in hidden_layer_sizes]
        start = widened(source, sizes, rows, _hidden_bits(options, len(sizes)))
        starts_there = True
    if start is None:
        return QuantizedMLP(**own._settings(), **options).to(dtype), False
    units = weight_units(cast(nn.Linear, start.layers[0]).weight) if follows else None
    if units is not None:
        start, options = network_in_units(start, units), {**options, "input_units": units.tolist()}
    network = QuantizedMLP(**own._settings(), **options).to(dtype)
    network.load_from(start)
    return network, starts_there


def _made(module: Any, n_inputs: int, n_classes: int) -> nn.Module:
    if isinstance(module, nn.Module):
        return deepcopy(module)
    if isinstance(module, type) and not issubclass(module, nn.Module):
        raise UnsupportedModelError(
            f"module={module!r} is a class, but none of torch.nn.Module. Give a module, or a "
            "function of (n_inputs, n_classes) that returns one."
        )
    made = module(n_inputs, n_classes)
    if not isinstance(made, nn.Module):
        raise UnsupportedModelError(
            f"module={module!r} returned {type(made).__name__}. Let it return a torch.nn.Module "
            "that maps (n, n_inputs) to (n, n_classes)."
        )
    return made


def _chain(module: nn.Module) -> FullPrecisionMLP | None:
    """Return a chain of Linear and ReLU as a rectifier network, which has an integer form."""
    leaves = leaves_of(module)
    linear, between = leaves[::2], leaves[1::2]
    if len(leaves) % 2 == 0 or not all(type(one) is nn.ReLU for one in between):
        return None
    layers = [one for one in linear if type(one) is nn.Linear and one.bias is not None]
    if len(layers) < len(linear):
        return None
    hidden = [layer.out_features for layer in layers[:-1]]
    network = FullPrecisionMLP(layers[0].in_features, hidden, layers[-1].out_features)
    network.to(layers[0].weight.dtype)
    for made, layer in zip(network.layers, layers, strict=True):
        made.load_state_dict(layer.state_dict())
    return network


def leaves_of(module: nn.Module) -> list[nn.Module]:
    """Return what a Sequential does, in order; anything else is one step.

    A module of the user's own may do with its parts what it wants, whatever their order is.
    """
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return [leaf for one in module for leaf in leaves_of(one)]
    if isinstance(module, FullPrecisionMLP):
        return [leaf for one in module.layers for leaf in (one, nn.ReLU())][:-1]
    return [module]


def _hidden_bits(options: dict[str, Any], n_layers: int) -> list[int]:
    """Return the width of each hidden activation; where it follows the weights, the usual one."""
    widths = activation_widths_of(options.get("activation_bits"), n_layers)
    return [min(width_of(bits, _USUAL_BITS), _MOST_BITS) for bits in widths]


def _shapes(network: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, one.shape) for name, one in network.state_dict().items()]
