"""alibi: gradient descent for one person (Counterfactual, after Wachter et al.) in TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from alibi.explainers import Counterfactual
from protocol import Problem, one_by_one, serve

# A point is accepted where the probability is within `TOLERANCE` of `PROBABILITY`: from 0.5 up.
PROBABILITY, TOLERANCE = 0.55, 0.05


def prepare(problem: Problem, variant: str):
    del variant
    tf.get_logger().setLevel("ERROR")
    tf.compat.v1.disable_v2_behavior()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # It cannot hold a feature: it sees the others, and each person's own intercept.
    weights, own_intercept = problem.restricted()
    model, first = network(weights)
    box = tuple(a[problem.mutable][None].astype(np.float32) for a in (problem.low, problem.high))
    explainer = Counterfactual(
        model,
        shape=(1, int(problem.mutable.sum())),
        target_proba=PROBABILITY,
        tol=TOLERANCE,
        target_class=1,
        feature_range=box,
    )

    def answer(row: np.ndarray) -> np.ndarray | None:
        first.set_weights([weights[0][0], own_intercept(row)])
        found = explainer.explain(row[problem.mutable][None].astype(np.float32)).cf
        if found is None:
            return None
        point = row.copy()
        point[problem.mutable] = found["X"][0]
        return point

    return one_by_one(answer, expected=())


def network(weights: list) -> tuple[tf.keras.Model, tf.keras.layers.Layer]:
    inputs = tf.keras.Input((weights[0][0].shape[0],))
    layers = [
        tf.keras.layers.Dense(len(intercept), activation="relu") for _, intercept in weights[:-1]
    ]
    layers.append(tf.keras.layers.Dense(1, activation="sigmoid"))
    value = inputs
    for layer, (coef, intercept) in zip(layers, weights, strict=True):
        value = layer(value)
        layer.set_weights([coef, intercept])
    outputs = tf.keras.layers.Concatenate()([1.0 - value, value])
    return tf.keras.Model(inputs, outputs), layers[0]


if __name__ == "__main__":
    serve(prepare, packages=["alibi", "tensorflow", "click", "numpy"])
