"""Old names and values, and what they are called in the version that is run."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from contextlib import suppress
from functools import lru_cache
from typing import Any

import skcfq

# Public functions and classes; the package that one comes from is found by itself.
RENAMED_NAMES = {"with_target_bias": "with_logit_bias"}
# Parameters of any class that has the new one and not the old one.
RENAMED_PARAMETERS = {"stand_off": "perturbation_radius"}
# Attributes of fitted estimators and of results.
RENAMED_ATTRIBUTES = {"target_bias_": "logit_bias_"}
# RecourseSolver(method=): "pgd" is another method before and after.
RENAMED_METHODS = {
    "direct": "exact",
    "pgd": "gradient",
    "search": "black_box",
    "steps": "pgd",
}
# TeacherActions(method=).
RENAMED_ACTIONS = {"steps": "pgd"}
# Parameters of estimators that move into Quantizer, and their values.
OF_QUANTIZER = {
    "activation_bits": "activation_bits",
    "weight_step": "granularity",
    "quantizer_start": "initialization",
}
QUANTIZER_VALUES = {
    ("weight_step", "channel"): "per_channel",
    ("weight_step", "tensor"): "per_tensor",
}
# Parameters of CFQObjective: renamed, and moved into Finish. Its eta was the estimator's too.
RENAMED_TERMS = {"validity": "eta", "mixture": "mixup"}
OF_FINISH = ("rounding", "validity_drop")


@lru_cache
def modules(*, packages: bool) -> list[Any]:
    """Return skcfq and its packages, or its modules; public ones come first."""
    names = [
        found.name
        for found in pkgutil.walk_packages(skcfq.__path__, "skcfq.")
        if found.ispkg == packages and not found.name.endswith("__main__")
    ]
    found = [skcfq]
    for name in sorted(names, key=lambda name: ("._" in name, name.count("."), name)):
        with suppress(ImportError):
            found.append(importlib.import_module(name))
    return found


@lru_cache
def public(name: str) -> Any:
    """Return what had a public name, wherever it is now."""
    for packages in (True, False):
        for known in (name, RENAMED_NAMES.get(name, name)):
            for module in modules(packages=packages):
                if hasattr(module, known):
                    return getattr(module, known)
    raise LookupError(f"skcfq has no {name!r}; add its new name to RENAMED_NAMES")


def attribute(thing: Any, name: str) -> Any:
    """Return an attribute by its old name."""
    return getattr(thing, name if hasattr(thing, name) else RENAMED_ATTRIBUTES.get(name, name))


def parameters_of(kind: type) -> set[str]:
    """Return the names of the parameters of a class."""
    return set(inspect.signature(kind.__init__).parameters) - {"self"}


@lru_cache
def has_new_methods() -> bool:
    """Tell whether the solver's methods have their new names."""
    for constraint in public("RecourseSolver")._parameter_constraints["method"]:
        if "gradient" in getattr(constraint, "options", ()):
            return True
    return '"black_box"' in (public("RecourseSolver").__doc__ or "")


@lru_cache
def has_new_actions() -> bool:
    """Tell whether the methods of TeacherActions have their new names."""
    return inspect.signature(public("TeacherActions")).parameters["method"].default == "pgd"


def solver_method(name: str) -> str:
    """Return the present name of a method of the solver."""
    return RENAMED_METHODS.get(name, name) if has_new_methods() else name


def old_solver_method(name: str) -> str:
    """Return the old name of a method that a result names."""
    back = {new: old for old, new in RENAMED_METHODS.items()}
    return back.get(name, name) if has_new_methods() else name


def actions_method(name: str) -> str:
    """Return the present name of a method of TeacherActions."""
    return RENAMED_ACTIONS.get(name, name) if has_new_actions() else name


def objective_of(old: dict[str, Any] | str, eta: float | None) -> Any:
    """Return an objective of old parameters, or a named one; `eta` of the estimator wins."""
    kind = public("CFQObjective")
    known = parameters_of(kind)
    if isinstance(old, str):
        objective = kind.preset(old)
        return old if eta is None else objective.set_params(eta=eta)
    if "validity" in known:
        return kind(**old)
    new = {RENAMED_TERMS.get(name, name): value for name, value in old.items()}
    finish = {name: new.pop(name) for name in OF_FINISH if name in new}
    if eta is not None:
        new["eta"] = eta
    return kind(**new, **({"finish": public("Finish")(**finish)} if finish else {}))


def moved(kind: type, left: dict[str, Any]) -> dict[str, Any]:
    """Return new parameters for old ones that a class has no more; the place for more rules."""
    own = {name: value for name, value in left.items() if name in OF_QUANTIZER}
    others = sorted(set(left) - set(own))
    if others:
        raise LookupError(f"{kind.__name__} has no parameters {others}; extend `moved`")
    if not own:
        return {}
    values = {
        OF_QUANTIZER[name]: QUANTIZER_VALUES.get((name, value), value)
        for name, value in own.items()
    }
    return {"quantizer": public("Quantizer")(**values)}


def translated(kind: type, old: dict[str, Any]) -> dict[str, Any]:
    """Return parameters of a class for old names and values."""
    old = dict(old)
    if kind.__name__ == "CFQClassifier":
        eta = None if "eta" in parameters_of(kind) else old.pop("eta", None)
        if isinstance(old.get("objective"), dict) or eta is not None:
            old["objective"] = objective_of(old.get("objective", "faithful"), eta)
    if "method" in old and kind.__name__ == "RecourseSolver":
        old["method"] = solver_method(old["method"])
    if "method" in old and kind.__name__ == "TeacherActions":
        old["method"] = actions_method(old["method"])
    known, new, left = parameters_of(kind), {}, {}
    for name, value in old.items():
        name = name if name in known else RENAMED_PARAMETERS.get(name, name)
        (new if name in known else left)[name] = value
    return {**new, **moved(kind, left)}


def make(name: str, *args: Any, **old: Any) -> Any:
    """Build an object of skcfq from the old name of its class and old parameters."""
    kind = public(name)
    return kind(*args, **translated(kind, old))
