"""jax-relax: batched gradient descent (VanillaCF with its defaults).

"library" is its own entry point, which compiles anew at every call; "compiled" is the same method
under one more ``jax.jit``, compiled before the clock starts.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from protocol import Problem, serve
from relax import DataModule, generate_cf_explanations
from relax.methods import VanillaCF
from relax.strategy import VmapStrategy


def prepare(problem: Problem, variant: str):
    layers = [(jnp.asarray(coef), jnp.asarray(intercept)) for coef, intercept in problem.weights]
    low, high, mutable = (jnp.asarray(a) for a in (problem.low, problem.high, problem.mutable))

    def favorable(x):
        for coef, intercept in layers[:-1]:
            x = jax.nn.relu(x @ coef + intercept)
        coef, intercept = layers[-1]
        return jax.nn.sigmoid(x @ coef + intercept)

    def constrain(x, cf, **_):
        return jnp.where(mutable, jnp.clip(cf, low, high), x)

    method = VanillaCF()
    if variant == "library":

        def run(rows, _):
            data = DataModule.from_numpy(rows, np.zeros(len(rows)), transformation="identity")
            data.apply_constraints = constrain
            return generate_cf_explanations(method, data, favorable).cfs[:, 0]
    else:
        method.set_apply_constraints_fn(constrain)

        @jax.jit
        def run(rows, keys):
            wanted = jnp.ones((len(rows), 1))
            return VmapStrategy()(method.generate_cf, rows, favorable, wanted, keys)

    def solve(rows: np.ndarray) -> np.ndarray:
        keys = jax.random.split(jax.random.PRNGKey(0), len(rows))
        return np.asarray(run(rows.astype(np.float32), keys), dtype=float)

    return solve


if __name__ == "__main__":
    serve(prepare, packages=["jax-relax", "jax", "numpy"], batch=1_000_000)
