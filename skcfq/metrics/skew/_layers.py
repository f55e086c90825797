"""The cascade, layer by layer: what compression does to weights and activations, by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import UnsupportedModelError
from skcfq.metrics.skew._labels import members_of
from skcfq.models import as_predictor, predictor_of_same_space
from skcfq.proofs import RealNetwork, real_network
from skcfq.utils import as_table


def layer_changes(
    reference: Any, deployed: Any, X: Any, groups: Any = None, *, background: Any = None
) -> pd.DataFrame:
    r"""Return what each layer of a deployed network changes, by group.

    Parameters
    ----------
    reference : fitted classifier or Predictor
        A linear model or a network of rectifiers.
    deployed : fitted classifier or Predictor
        One with as many units in every layer: a quantized classifier of skcfq, or one like the
        reference.
    X : DataFrame or ndarray of shape (n, p)
        Raw rows.
    groups : array-like of shape (n,), optional
        Each person's group; those who have none are a group of their own.
    background : DataFrame or ndarray, optional
        Where the models carry no statistics; by default X.

    Returns
    -------
    changes : DataFrame
        Indexed by ``layer`` (``"inputs"``, ``"layer 1"``, …) and ``group`` (``"everybody"`` first):

        - ``n``;
        - ``change``, :math:`\|a_q - a\|_F / \|a\|_F` of what the layer gives: of its activations,
          or of the logits about their mean;
        - ``silent`` and ``silent_deployed``, shares of hidden activations that are 0;
        - ``saturated``, share of those at the top of their clip;
        - ``weight_change``, the same norm of the weights, and ``zero_weights`` and
          ``zero_weights_deployed``, shares of weights that are 0 (of codes, where there are codes).

        NaN where a figure does not exist, as of the weights of inputs.

    Raises
    ------
    UnsupportedModelError
        A model is no such network, or the layers differ in size.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.arange(8.0).reshape(-1, 1)
    >>> models = [LogisticRegression(C=C).fit(X, X[:, 0] > 3) for C in (1, 0.1)]
    >>> found = layer_changes(*models, X)
    >>> found["change"].round(2).to_dict()
    {('inputs', 'everybody'): 0.0, ('layer 1', 'everybody'): 0.65}
    """
    X = as_table(X)
    ours, theirs, encoded = _read(reference, deployed, X, X if background is None else background)
    before, after = ours.activations(encoded), theirs.activations(encoded)
    for values in (before, after):
        values[-1] = values[-1] - values[-1].mean(axis=1, keepdims=True)
    people = members_of(groups, len(X))
    weights = [{}, *map(_of_weights, ours.layers, theirs.layers)]
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for position, (old, new) in enumerate(zip(before, after, strict=True)):
        layer = "inputs" if position == 0 else f"layer {position}"
        top = theirs.layers[position - 1] if 0 < position < len(before) - 1 else None
        for name, members in people.items():
            rows[layer, name] = {"n": len(members), "change": _change(old[members], new[members])}
            if top is not None:
                rows[layer, name] |= _of_activations(old[members], new[members], top)
            rows[layer, name] |= weights[position]
    columns = [
        *("n", "change", "silent", "silent_deployed", "saturated"),
        *("weight_change", "zero_weights", "zero_weights_deployed"),
    ]
    index = pd.MultiIndex.from_tuples(rows, names=["layer", "group"])
    return pd.DataFrame(list(rows.values()), index=index).reindex(columns=columns)


def _read(
    reference: Any, deployed: Any, X: Any, background: Any
) -> tuple[RealNetwork, RealNetwork, np.ndarray]:
    """Return two networks of one shape, and the rows as they encode them."""
    first = as_predictor(reference, background=background, example=X)
    second = predictor_of_same_space(first, deployed, background, X)
    ours, theirs = real_network(first), real_network(second)
    if _sizes(ours) != _sizes(theirs):
        raise UnsupportedModelError(
            f"{first.name} has layers of {_sizes(ours)} units and {second.name} of "
            f"{_sizes(theirs)}: layers are compared unit by unit. Give networks of one shape."
        )
    return ours, theirs, first.space.encode(X)


def _sizes(network: RealNetwork) -> list[int]:
    return [len(layer.offset) for layer in network.layers]


def _change(old: np.ndarray, new: np.ndarray) -> float:
    size = np.linalg.norm(old)
    return float(np.linalg.norm(new - old) / size) if size > 0 else float("nan")


def _of_activations(old: np.ndarray, new: np.ndarray, layer: Any) -> dict[str, float]:
    if not old.size:
        return {}
    found = {"silent": float((old == 0).mean()), "silent_deployed": float((new == 0).mean())}
    if layer.step is not None:
        found["saturated"] = float((new >= layer.step * layer.top).mean())
    return found


def _of_weights(ours: Any, theirs: Any) -> dict[str, float]:
    return {
        "weight_change": _change(ours.matrix, theirs.matrix),
        "zero_weights": float((ours.matrix == 0).mean()),
        "zero_weights_deployed": float((theirs.matrix == 0).mean()),
    }
