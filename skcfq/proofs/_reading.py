"""Models as networks that can be bounded, and why others cannot."""

from __future__ import annotations

import numpy as np

from skcfq.exceptions import UnsupportedModelError
from skcfq.models import Predictor
from skcfq.proofs._layers import Layer, Network, network_of


def readable_network(predictor: Predictor) -> Network:
    """Read the layers of a linear model, a network of rectifiers, or one of integers.

    Parameters
    ----------
    predictor : Predictor

    Raises
    ------
    UnsupportedModelError
        The model is none of these.
    """
    if predictor.is_linear:
        layer = Layer(*predictor.linear_arrays, None)
        return Network((layer,), 1.0, np.zeros(len(predictor.classes)), None)
    network = network_of(predictor)
    if network is None:
        raise UnsupportedModelError(
            f"{predictor.name} cannot be bounded: give a linear model, a network of rectifiers "
            "(TeacherClassifier, MLPClassifier with activation='relu') or a quantized classifier "
            "of skcfq."
        )
    return network
