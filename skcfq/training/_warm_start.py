"""What a second fit takes over from the first, and what it refuses to (``warm_start``)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from skcfq.exceptions import BudgetError
from skcfq.nn import QuantizedModule, QuantizedNetwork

# Settings of a network, by the parameters of the estimators that they come from.
_PARAMETERS = {
    "candidates": "bit_policy (its candidates)",
    "activation_bits": "quantizer.activation_bits",
    "start": "quantizer.initialization",
    "per_channel": "quantizer.granularity",
}


def check_same_classes(before: np.ndarray, classes: np.ndarray) -> None:
    """Refuse other labels than those of the previous fit.

    Raises
    ------
    ValueError
    """
    if before.tolist() != classes.tolist():
        raise ValueError(
            f"warm_start=True goes on with the classes {before.tolist()} of the previous fit, but "
            f"y has {classes.tolist()}. Give rows of the same classes, or warm_start=False."
        )


def taken_over(before: nn.Module, network: nn.Module) -> Any:
    """Return a trainable copy of the network of the previous fit.

    Parameters
    ----------
    before : Module
        Left as it is.
    network : Module
        As the present parameters make it; both must have been built alike.

    Returns
    -------
    network : Module
        With the weights, steps, clips and widths of ``before``, in the precision of ``network``.

    Raises
    ------
    ValueError
        The parameters make another network than before.
    """
    new, old = _settings(network), _settings(before)
    changed = [name for name in new if new[name] != old.get(name)]
    if changed:
        names = [f"{_PARAMETERS.get(one, one)} {_told(one, old.get(one))}" for one in changed]
        values = [_told(one, new[one]) for one in changed]
        raise ValueError(
            f"warm_start=True goes on from a network with {', '.join(names)}, but the parameters "
            f"now ask for {', '.join(values)}. Give those of the previous fit, or "
            "warm_start=False."
        )
    dtype = next(network.parameters()).dtype
    return deepcopy(before).to(dtype).train().requires_grad_(True)


def _told(name: str, value: Any) -> str:
    """Return a setting as the value of the parameter that it comes from."""
    if name == "per_channel":
        return repr("per_channel" if value else "per_tensor")
    return repr(value)


def _settings(network: Any) -> dict[str, Any]:
    """Return what a network was built from; of a user's module, the shapes of its tensors too."""
    if hasattr(network, "_settings"):
        # Units are found in the weights, and those that are there stay.
        return {k: v for k, v in network._settings().items() if k != "input_units"}
    built: dict[str, Any] = {}
    if isinstance(network, QuantizedModule):
        layers = network.quantized_layers
        built["candidates"] = network.candidates
        built["activation_bits"] = tuple(one.activation_bits for one in layers)
        built["start"], built["per_channel"] = layers[0].start, layers[0].per_channel
    return built | {name: tuple(value.shape) for name, value in network.state_dict().items()}


def check_kept_widths(network: QuantizedNetwork, budget: float) -> None:
    """Refuse a budget that the widths of the previous fit exceed.

    Raises
    ------
    BudgetError
    """
    if network.average_bits > budget:
        raise BudgetError(
            f"warm_start=True goes on with the widths {network.bit_widths.tolist()}, which are "
            f"{network.average_bits:.3f} bits per weight on average and exceed "
            f"budget={budget!r}. Raise the budget, or choose widths anew with warm_start=False."
        )


def joined(before: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Return one history of two fits, whose passes are counted on."""
    if before.empty or history.empty:
        return history if before.empty else before
    later = history.assign(epoch=history["epoch"] + int(before["epoch"].iloc[-1]))
    return pd.concat([before, later], ignore_index=True)
