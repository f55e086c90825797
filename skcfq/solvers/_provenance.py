"""What is needed to repeat a solve: parameters, rules, seed, versions, and what the models are."""

from __future__ import annotations

import pickle
import platform
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.actions.files import unchecked_data
from skcfq.models import RowHead
from skcfq.results import mean_gap
from skcfq.utils import strict_json

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Solution, Task

_PACKAGES = ("skcfq", "numpy", "pandas", "scipy", "sklearn", "torch", "cvxpy", "highspy")


def provenance_of(parameters: Mapping[str, Any], task: Task, method: str) -> dict[str, Any]:
    """Note what is needed to repeat a solve.

    Parameters
    ----------
    parameters : dict of name to value
        Those of the solver.
    task : Task
    method : str
        The method that was taken.

    Returns
    -------
    provenance : dict
        Parameters and action set as they are now, seed, versions, and what the models are.
    """
    settings = dict(parameters)
    del settings["action_set"]  # that of the task, which may be the model's
    seed = settings["random_state"]
    settings["random_state"] = _seed(seed)
    if not isinstance(settings["method"], str):
        # A method of the user's own: its code is not written, its name is.
        settings["method"] = method
    record: dict[str, Any] = {
        "solver": settings,
        "method": method,
        "target_given": task.target_given,
        "action_set": None if task.action_set is None else _rules(task.action_set),
        "margin_for_single_precision": task.single_precision,
        "required_margin": float(task.margin.max(initial=0.0)),
        "required_perturbation_radius": task.perturbation_radius,
        "seed": _seed(seed) if isinstance(seed, (int, np.integer)) else None,
        "model": _model_record(task.predictor, task),
        "variants": [_model_record(variant) for variant in task.variants],
        "overrides": {row: dict(rules) for row, rules in (task.overrides or {}).items()},
        "versions": _versions(),
    }
    if record["seed"] is None:
        record["seed_reason"] = (
            "random_state=None draws another seed each time; give a whole number."
            if seed is None
            else "random_state is a generator, whose state is not written; give a whole number."
        )
    return record


def protocol_of(parameters: Mapping[str, Any], task: Task, method: str, answers: Solution) -> str:
    """Return the line that stands beside every figure.

    Parameters
    ----------
    parameters : dict of name to value
        Those of the solver.
    task : Task
    method : str
        The method that was taken.
    answers : Solution
        What is known about every person.
    """
    proba = parameters["target_proba"]
    # "auto" is none in a comparison, and for a literal method.
    margin = "auto" if task.single_precision else f"{task.asked_margin:g}"
    target = task.one_target
    wanted = "per person" if target is None else repr(task.predictor.classes.tolist()[target])
    n_denied = int((answers.status != "already_favorable").sum())
    n_proved = int(np.isin(answers.status, ["optimal", "infeasible"]).sum())
    more = f", target_proba={proba:g}" if proba is not None else ""
    more += (
        f", perturbation_radius={task.perturbation_radius:g}" if task.perturbation_radius else ""
    )
    more += f", weight_radius={task.weight_radius:g}" if task.weight_radius else ""
    more += f", variants={len(task.variants)}" if task.variants else ""
    open_gap = mean_gap(answers.status, answers.cost, answers.bound)
    proofs = f"proved={n_proved}"
    # A gap of 1 says that nothing is proved at all.
    proofs += f" (mean gap of other actions {open_gap:.2g})" if open_gap < 1 else ""
    return (
        f"method={method}, cost={task.cost.norm} ({task.cost.weighting}), "
        f"margin={margin}{more}, target={wanted}, "
        f"denied={n_denied} of {len(task)}, {proofs}, max_changes={task.actions.max_changes}"
    )


def _seed(seed: Any) -> Any:
    return (
        int(seed) if isinstance(seed, (int, np.integer)) else None if seed is None else repr(seed)
    )


def _rules(action_set: Any) -> Any:
    parameters = action_set.get_params(deep=False)
    try:
        written = pickle.dumps(parameters)
    except Exception:  # what a user's own names and levels raise has no narrower class
        return _rules_data(parameters)
    # Everybody gets a copy, which they may change.
    return pickle.loads(_written_rules(written))


@lru_cache(maxsize=8)
def _written_rules(parameters: bytes) -> bytes:
    # The key is the content, so a rule that changes in place is another key.
    return pickle.dumps(_rules_data(pickle.loads(parameters)))


def _rules_data(parameters: Mapping[str, Any]) -> Any:
    try:
        return unchecked_data(parameters)
    except (TypeError, ValueError):
        # Names or levels that its own format cannot hold are written as text.
        return strict_json(parameters)


def _model_record(predictor: Predictor, task: Task | None = None) -> dict[str, Any]:
    record: dict[str, Any] = {"name": predictor.name, "classes": predictor.classes.tolist()}
    record["feature_space"] = predictor.space.fingerprint
    if isinstance(predictor.head, RowHead):
        record["fingerprint"] = None
        record["reason"] = f"no fingerprint: {predictor.head.reason}"
        record["output"] = predictor.head.output
    else:
        record["fingerprint"] = predictor.fingerprint
        record["output"] = "logits"
    if task is not None:
        record["probability"] = "sigmoid" if predictor.is_logistic else None
    return record


def _versions() -> dict[str, str]:
    loaded = {name: sys.modules[name] for name in _PACKAGES if name in sys.modules}
    versions = {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}
    return {"python": platform.python_version(), **versions}
