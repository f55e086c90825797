"""Prove that two versions of skcfq give the same results, bit for bit.

::

    python tools/same_results.py record OUT [--only TEXT]
    python tools/same_results.py compare A B [--only TEXT] [--rtol 1e-9] [--atol 0]
    python tools/same_results.py load OLD_OUT [--only TEXT]
    python tools/same_results.py list

``record`` runs a fixed list of cases under whichever skcfq can be imported and writes their arrays
into a folder; ``compare`` says of each case whether two such folders hold the same; ``load`` reads
the model files and action set files of an old record with the current code. The last two exit with
1 where something differs.

Cases are written in the names of commit 19976de. All that is known about later names stands in the
first section.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import pickle
import pkgutil
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from torch import nn

import skcfq

Arrays = dict[str, Any]
Case = Callable[[Path], Arrays]

# ---- old names and new ones ---------------------------------------------------------------------

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


# ---- tables -------------------------------------------------------------------------------------

TABLES = ("credit", "german", "adult", "compas", "bank", "default")
_LOADERS = {
    "german": "fetch_german_credit",
    "adult": "fetch_adult",
    "large": "fetch_adult",
    "compas": "fetch_compas",
    "bank": "fetch_bank_marketing",
    "default": "fetch_default_credit",
}
_N_ROWS, _N_TRAIN = 800, 600


class Table(NamedTuple):
    """Some rows of a data set: 600 to fit on (6,000 of the large one), and 200 others."""

    name: str
    X: pd.DataFrame
    y: pd.Series
    new: pd.DataFrame
    rules: Any
    target: Any
    groups: pd.DataFrame


@lru_cache
def table(name: str) -> Table:
    """Return a data set, cut to rows that are the same each time."""
    n_train = 6000 if name == "large" else _N_TRAIN
    if name == "credit":
        bunch = public("make_credit")(2 * _N_ROWS, random_state=0)
    else:
        bunch = public(_LOADERS[name])()
    drawn = balanced_rows(bunch.target, n_train + 200)
    data, target, groups = (
        one.iloc[drawn].reset_index(drop=True) for one in (bunch.data, bunch.target, bunch.groups)
    )
    return Table(
        name,
        data[:n_train],
        target[:n_train],
        data[n_train:],
        bunch.action_set,
        bunch.favorable,
        groups[:n_train],
    )


def balanced_rows(target: pd.Series, n: int) -> np.ndarray:
    """Draw as many rows of both labels, as far as there are so many."""
    rng = np.random.RandomState(0)
    order = rng.permutation(len(target))
    rare = (target == target.value_counts().index[-1]).to_numpy()[order]
    few = order[rare][: n // 2]
    return rng.permutation(np.concatenate([few, order[~rare][: n - len(few)]]))


def numeric_columns(X: pd.DataFrame) -> list[str]:
    """Return the names of the columns of numbers."""
    return list(X.select_dtypes("number").columns)


def free_rules(data: Table) -> Any:
    """Return rules without grid and category: numbers move inside their observed range."""
    numbers = numeric_columns(data.X)
    fixed = [name for name in data.X.columns if name not in numbers] + numbers[:1]
    return make("ActionSet", immutable=fixed, steps=dict.fromkeys(numbers[1:], 0))


def three_labels(data: Table) -> pd.Series:
    """Return labels of three classes: the positive half is cut at a column's median."""
    column = data.X[numeric_columns(data.X)[-1]]
    many = (column > column.median()) & (data.y == data.target)
    return data.y.astype(object).where(~many, "z: more of it").rename("three")


def plain_numbers(n: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Return an array of continuous columns and labels that depend on them."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, 12)) @ (np.eye(12) + 0.2 * rng.standard_normal((12, 12)))
    X = X * np.logspace(-1, 2, 12) + rng.uniform(-5, 5, 12)
    score = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal(12)
    return X, (score + 0.5 * rng.standard_normal(n) > 0.3).astype(int)


# ---- models that are asked ----------------------------------------------------------------------


@lru_cache
def encoder(name: str) -> Any:
    """Return an encoder that is fitted on the rows of a table."""
    return make("TableEncoder").fit(table(name).X, table(name).y)


@lru_cache
def linear(name: str, seed: int = 0, labels: str = "two") -> Pipeline:
    """Return a logistic regression on a bootstrap sample, behind the table's one encoder."""
    data = table(name)
    y = data.y if labels == "two" else three_labels(data)
    rows = np.random.RandomState(seed).randint(len(data.X), size=len(data.X))
    coded = np.asarray(encoder(name).transform(data.X))
    model = LogisticRegression(max_iter=2000).fit(coded[rows], y.iloc[rows])
    return Pipeline([("encoder", encoder(name)), ("model", model)])


@lru_cache
def teacher(name: str) -> Any:
    """Return a small network."""
    data = table(name)
    model = make("TeacherClassifier", (16,), max_iter=20, batch_size=32, random_state=0)
    return model.fit(data.X, data.y)


@lru_cache
def quantized(name: str, bits: int = 3) -> Any:
    """Return a quantized form of that network."""
    data = table(name)
    model = make(
        "QATClassifier",
        bits,
        teacher=FrozenEstimator(teacher(name)),
        action_set=data.rules,
        target=data.target,
        hidden_layer_sizes=(16,),
        max_iter=10,
        batch_size=64,
        random_state=0,
    )
    return model.fit(data.X, data.y)


@lru_cache
def closed(name: str, kind: str) -> Any:
    """Return a model without gradients: a tree, a forest, or a function."""
    data = table(name)
    if kind == "function":
        return public("as_predictor")(
            partial(_rule_book, numeric_columns(data.X), *_signs(data)),
            classes=_labels(data),
            output="probabilities",
            background=data.X,
        )
    tree = DecisionTreeClassifier(max_depth=6, random_state=0)
    forest = RandomForestClassifier(8, max_depth=8, random_state=0)
    chosen = tree if kind == "tree" else forest
    return make_pipeline(make("TableEncoder"), chosen).fit(data.X, data.y)


@lru_cache
def of_sklearn(name: str, kind: str) -> Any:
    """Return a model of scikit-learn behind encoders of scikit-learn."""
    data = table(name)
    numbers = numeric_columns(data.X)
    others = [one for one in data.X.columns if one not in numbers]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    )
    network = MLPClassifier((10,), max_iter=30, random_state=0)
    final = network if kind == "mlp" else LogisticRegression(max_iter=2000)
    return make_pipeline(columns, final).fit(data.X, data.y)


def _labels(data: Table) -> list[Any]:
    other = [one for one in np.unique(data.y) if one != data.target]
    return [*other, data.target]


def _signs(data: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each number, and a weight with the sign of what favors people."""
    numbers = data.X[numeric_columns(data.X)].astype(float)
    favored = (data.y == data.target).to_numpy()
    signs = np.sign(numbers[favored].mean() - numbers[~favored].mean())
    weights = np.nan_to_num(signs / (numbers.std() + 1e-9))
    return numbers.median().to_numpy(), np.asarray(weights)


def _rule_book(
    names: list[str], medians: np.ndarray, weights: np.ndarray, people: pd.DataFrame
) -> np.ndarray:
    """Return the target's probability, by what is above and below the medians."""
    score = np.tanh((people[names].to_numpy(float) - medians) * weights)
    return 0.5 + 0.45 * np.tanh(2 * np.nan_to_num(score).mean(axis=1))


@lru_cache
def model_of(name: str, kind: str) -> Any:
    """Return the model of a table by a word."""
    makers = {"linear": linear, "teacher": teacher, "quantized": quantized}
    if kind in ("columns", "mlp"):
        return of_sklearn(name, kind)
    return makers[kind](name) if kind in makers else closed(name, kind)


def people_of(name: str, model: Any, n: int, target: Any = None) -> pd.DataFrame:
    """Return rows that a model refuses, and three that it does not."""
    data = table(name)
    X = pd.concat([data.new, data.X])
    refused = np.asarray(model.predict(X)) != (data.target if target is None else target)
    return pd.concat([X[refused][:n], X[~refused][:3]])


# ---- arrays -------------------------------------------------------------------------------------


def as_text(value: Any) -> str:
    """Return a value of a mixed column as text that tells values apart."""
    if isinstance(value, str):
        return value
    missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
    return "<missing>" if missing else repr(value)


def as_array(value: Any) -> np.ndarray:
    """Return anything that is no table as an array without objects."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, dict):
        return np.array(json.dumps(value, sort_keys=True, default=str))
    array = value.to_numpy() if isinstance(value, pd.Series | pd.Index) else np.asarray(value)
    if array.dtype.kind not in "OT":
        return array
    return np.array([as_text(one) for one in array.ravel()], dtype=np.str_).reshape(array.shape)


def flat(prefix: str, value: Any) -> Arrays:
    """Return a value as named arrays; a table has one for each column."""
    if isinstance(value, pd.DataFrame):
        index = {f"{prefix}/index": as_array(value.index)}
        return index | {f"{prefix}/{name}": as_array(value[name]) for name in value.columns}
    return {prefix: as_array(value)}


def joined(**values: Any) -> Arrays:
    """Return all arrays of some values."""
    arrays: Arrays = {}
    for name, value in values.items():
        arrays |= flat(name, value)
    return arrays


def under(prefix: str, arrays: Arrays) -> Arrays:
    """Return arrays with a word before their names."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def answers(result: Any) -> Arrays:
    """Return what a result says about each person."""
    arrays = joined(
        status=result.status,
        cost=result.cost,
        margin=result.margin,
        bound=attribute(result, "lower_bound"),
        valid=result.valid,
        changed=result.changed,
        points=result.points,
        target=result.target,
        method=old_solver_method(result.method),
    )
    for position, other in enumerate(result.alternatives, start=1):
        arrays |= under(f"alternative {position}", answers(other))
    return arrays


# ---- fits ---------------------------------------------------------------------------------------

_QUICK = {"hidden_layer_sizes": (16,), "max_iter": 10, "batch_size": 64, "random_state": 0}
_TIMES = ("seconds", "dur")


def learned(model: Any, rows: Any) -> Arrays:
    """Return all that a fitted network classifier knows, and what it says about rows."""
    arrays = joined(
        proba=model.predict_proba(rows),
        labels=model.predict(rows),
        scores=model.decision_function(rows),
        classes=model.classes_,
    )
    for name, tensor in model.network_.state_dict().items():
        arrays[f"state/{name}"] = as_array(tensor)
    if hasattr(model, "history_"):
        arrays |= under(
            "history", flat("pass", model.history_.drop(columns=[*_TIMES], errors="ignore"))
        )
    for name in ("bit_widths_", "target_bias_", "sensitivities_", "n_recourse_points_"):
        value = getattr(model, name, getattr(model, RENAMED_ATTRIBUTES.get(name, name), None))
        if value is not None:
            arrays[name] = as_array(value)
    for name in ("bit_cost_", "bops_", "average_bits_", "n_iter_"):
        if hasattr(model, name):
            arrays[name] = as_array(attribute(model, name))
    return arrays


def taught(model: Any, rows: Any) -> Arrays:
    """Return what the teacher of a model knows."""
    own = getattr(model, "teacher_", None)
    if own is None:
        return {}
    arrays = {}
    if hasattr(own, "predict_proba"):
        arrays["proba"] = as_array(own.predict_proba(rows))
    network = getattr(own, "network_", None)
    if network is not None:
        arrays |= {f"state/{key}": as_array(one) for key, one in network.state_dict().items()}
    return under("teacher", arrays)


def shipped(model: Any, rows: Any, path: Path) -> Arrays:
    """Write the model file with rows and answers beside it, and return what it holds."""
    if not hasattr(model, "export"):
        return {}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.export(path)
    except Exception as error:  # a network without an integer form
        return joined(export=f"raises {type(error).__name__}")
    path.with_suffix(".rows").write_bytes(pickle.dumps(rows))
    loaded = public("load")(path)
    proba = loaded.predict_proba(rows)
    np.save(path.with_suffix(".proba.npy"), proba)
    np.save(path.with_suffix(".labels.npy"), as_array(loaded.predict(rows)))
    return {**file_parts(path), **joined(loaded=proba), **run_onnx(model, rows)}


def file_parts(path: Path) -> Arrays:
    """Return the header of a model file without versions, and its payload."""
    data = path.read_bytes()
    n_packed = int.from_bytes(data[12:16], "little")
    body = data[60:]
    packed = zlib.decompress(body[:n_packed])
    # From schema 4 on, arrays follow the JSON behind a zero byte.
    header = json.loads(packed.partition(b"\0")[0])
    header.pop("versions", None)
    return joined(
        **{
            "file/schema": np.frombuffer(data[8:10], np.uint8),
            "file/header": json.dumps(header, ensure_ascii=False),
            "file/payload": body[n_packed:],
        }
    )


def run_onnx(model: Any, rows: Any) -> Arrays:
    """Return what onnxruntime says about rows, where it is installed."""
    try:
        import onnxruntime
    except ImportError:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            model.to_onnx(path)
        except Exception as error:  # a column without a form in ONNX
            return joined(onnx=f"raises {type(error).__name__}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options)
        outputs = session.run(None, public("onnx_inputs")(model, rows))
    return {f"onnx/{i}": as_array(one) for i, one in enumerate(outputs)}


class Fit(NamedTuple):
    """One fit: class, table, number of rows, old parameters."""

    kind: str
    name: str
    old: dict[str, Any]
    rows: int = 300
    groups: str | None = None
    labels: str = "two"
    form: str = "frame"
    again: bool = False
    weights: bool = False


def deferred(value: Any) -> Any:
    """Return what stands behind a deferred parameter: objects are built when a case runs."""
    return value() if isinstance(value, Deferred) else value


class Deferred(partial):
    """A parameter that is built when its case runs."""


def run_fit(fit: Fit, case: str, out: Path) -> Arrays:
    """Fit a model, and return all that it learned."""
    data = table(fit.name)
    X, y, rows = data.X[: fit.rows], data.y[: fit.rows], data.new
    if fit.labels == "three":
        y = three_labels(data)[: fit.rows]
    if fit.form != "frame":
        X, rows = (one[numeric_columns(data.X)].astype(fit.form).to_numpy() for one in (X, rows))
    old = {**_QUICK, **_common(fit, data), **{k: deferred(v) for k, v in fit.old.items()}}
    known = parameters_of(public(fit.kind))
    model = make(fit.kind, **{k: v for k, v in old.items() if k not in _OPTIONAL or k in known})
    more: dict[str, Any] = {}
    if fit.groups is not None:
        more["sensitive_features"] = data.groups[fit.groups][: fit.rows]
    if fit.weights:
        more["sample_weight"] = np.random.RandomState(1).uniform(0.2, 2, fit.rows)
    model.fit(X, y, **more)
    if fit.again:
        model.fit(X, y, **more)
    if "memory" in old:
        shutil.rmtree(old["memory"])
    path = out / "files" / f"{case.replace('/', '-')}.skcfq"
    return {**learned(model, rows), **taught(model, rows), **shipped(model, rows, path)}


_OPTIONAL = ("hidden_layer_sizes", "max_iter", "batch_size", "action_set", "target")


def _common(fit: Fit, data: Table) -> dict[str, Any]:
    target = "z: more of it" if fit.labels == "three" else data.target
    rules = data.rules if fit.form == "frame" else None
    return {"action_set": rules, "target": target}


def objective(**old: Any) -> dict[str, Any]:
    """Return old parameters of an objective, all those given that may move elsewhere."""
    fixed = {"validity": 1.0, "rounding": False, "dither": False, "validity_drop": None}
    return {**fixed, **old}


def chain(n_inputs: int, n_classes: int) -> nn.Module:
    """Return a chain of Linear and ReLU, which has an integer form."""
    return nn.Sequential(nn.Linear(n_inputs, 12), nn.ReLU(), nn.Linear(12, n_classes))


def smooth(n_inputs: int, n_classes: int) -> nn.Module:
    """Return a network without an integer form, which draws numbers in training."""
    return nn.Sequential(
        nn.Linear(n_inputs, 12), nn.Tanh(), nn.Dropout(0.1), nn.Linear(12, n_classes)
    )


def convolution(n_inputs: int, n_classes: int) -> nn.Module:
    """Return a network that looks at neighboring columns."""
    return nn.Sequential(
        nn.Unflatten(1, (1, n_inputs)),
        nn.Conv1d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * n_inputs, n_classes),
    )


def trained_chain(name: str) -> nn.Module:
    """Return a torch module that was trained on the encoded rows of a table."""
    data = table(name)
    rows = torch.from_numpy(np.asarray(encoder(name).transform(data.X), dtype=np.float32))
    labels = torch.from_numpy(np.unique(data.y, return_inverse=True)[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = chain(rows.shape[1], 2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(rows), labels).backward()
        optimizer.step()
    return network.eval()


def frozen(maker: Callable, name: str) -> Any:
    """Return a fitted model that is used as it is."""
    return FrozenEstimator(maker(name))


def cached(kind: str) -> Any:
    """Return a folder for ``memory``."""
    return tempfile.mkdtemp(prefix=f"same-results-{kind}-")


def _actions(**old: Any) -> Deferred:
    return Deferred(make, "TeacherActions", **old)


def _bits(name: str, *args: Any, **old: Any) -> Deferred:
    return Deferred(make, name, *args, **old)


def cfq_fits() -> dict[str, Fit]:
    """Return the fits of CFQClassifier."""
    paper = {"objective": "paper"}
    promised = {"objective": objective(validity_drop=0.1)}
    worst = {"objective": objective(groups="worst", validity_drop=0.2)}
    online = _actions(online=True, noise=0.1, early_stopping=True)
    terms = objective(task=0.5, distillation=0.5, hinge=0.5, margins=0.5, path=0.5, mixture=1.0)
    distilled = objective(task=0.5, validity=0.0, distillation=1.0, rounding=True, dither=True)
    early = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3}
    narrow = _actions(method="solver", share=0.5, max_people=40)
    trained = Deferred(trained_chain, "credit")
    fits = {
        "faithful": Fit("CFQClassifier", "credit", {}),
        "faithful-german": Fit("CFQClassifier", "german", {"max_iter": 6}),
        "faithful-uniform-2": Fit(
            "CFQClassifier", "compas", {"budget": 2, "bit_policy": "uniform", "max_iter": 6}
        ),
        "paper": Fit("CFQClassifier", "adult", {**paper, "teacher_actions": _actions(n_steps=5)}),
        "paper-tensor": Fit(
            "CFQClassifier",
            "bank",
            {**paper, "weight_step": "tensor", "quantizer_start": "lsq", "activation_bits": 4},
        ),
        "paper-eta": Fit("CFQClassifier", "default", {**paper, "eta": 0.3}),
        "online": Fit("CFQClassifier", "credit", {**paper, "teacher_actions": online}),
        "solver-actions": Fit("CFQClassifier", "german", {**paper, "teacher_actions": narrow}),
        "noise": Fit("CFQClassifier", "compas", {**paper, "teacher_actions": _actions(noise=0.2)}),
        "balanced": Fit(
            "CFQClassifier", "german", {"objective": objective(groups="balanced")}, groups="sex"
        ),
        "worst": Fit("CFQClassifier", "german", worst, rows=500, groups="sex"),
        "faithful-balanced": Fit(
            "CFQClassifier",
            "credit",
            {
                "objective": objective(
                    task=0.1,
                    validity=0.0,
                    distillation=1.0,
                    margins=1.0,
                    path=1.0,
                    mixture=5.0,
                    validity_drop=0.05,
                    rounding=True,
                    dither=True,
                    groups="balanced",
                ),
                "max_iter": 5,
            },
            groups="age",
        ),
        "promise": Fit("CFQClassifier", "credit", promised),
        "terms": Fit("CFQClassifier", "credit", {"objective": terms}),
        "matching": Fit("CFQClassifier", "credit", {"objective": objective(matching=(0.2, 0.1))}),
        "distilled": Fit("CFQClassifier", "adult", {"objective": distilled}),
        "early": Fit("CFQClassifier", "credit", {**paper, **early, "max_iter": 30}),
        "three": Fit("CFQClassifier", "credit", paper, labels="three"),
        "three-faithful": Fit("CFQClassifier", "german", {"max_iter": 5}, labels="three"),
        "opposite": Fit("CFQClassifier", "compas", {**paper, "target": "opposite"}),
        "warm": Fit("CFQClassifier", "credit", {**paper, "warm_start": True}, again=True),
        "memory": Fit(
            "CFQClassifier", "credit", {**paper, "memory": Deferred(cached, "cfq")}, again=True
        ),
        "module": Fit("CFQClassifier", "credit", {**paper, "module": chain}),
        "module-smooth": Fit("CFQClassifier", "credit", {**promised, "module": smooth}),
        "module-convolution": Fit(
            "CFQClassifier", "compas", {**paper, "module": convolution, "bit_policy": "uniform"}
        ),
        "torch-teacher": Fit(
            "CFQClassifier",
            "credit",
            {**paper, "teacher": trained, "encoder": Deferred(encoder, "credit")},
        ),
        "wider": Fit(
            "CFQClassifier",
            "credit",
            {
                "teacher": Deferred(frozen, teacher, "credit"),
                "hidden_layer_sizes": (32,),
                "activation_bits": (3,),
                "max_iter": 4,
            },
        ),
        "linear-teacher": Fit(
            "CFQClassifier",
            "adult",
            {"teacher": Deferred(frozen, linear, "adult"), "hidden_layer_sizes": (), "max_iter": 5},
        ),
        "weights": Fit(
            "CFQClassifier", "credit", {**paper, "class_weight": "balanced"}, weights=True
        ),
        "rule": Fit("CFQClassifier", "german", {**paper, "target": other_label}),
        "weighed-groups": Fit(
            "CFQClassifier",
            "german",
            {"objective": objective(groups={"male": 2.0, "female": 1.0})},
            groups="sex",
        ),
        "unfitted-teacher": Fit(
            "CFQClassifier", "bank", {**paper, "teacher": Deferred(unfitted_network)}
        ),
        "large": Fit("CFQClassifier", "large", {"batch_size": 256, "max_iter": 2}, rows=6000),
        "large-paper": Fit(
            "CFQClassifier", "large", {**paper, "batch_size": 256, "max_iter": 3}, rows=6000
        ),
        "double": Fit("CFQClassifier", "default", paper, form="float64"),
        "single": Fit("CFQClassifier", "default", {**paper, "max_iter": 5}, form="float32"),
    }
    return {f"cfq-{name}": fit for name, fit in fits.items()}


def policy_fits() -> dict[str, Fit]:
    """Return fits with every bit policy."""
    policies = {
        "learned": _bits("LearnedBits", (2, 4, 8), penalty=2.0),
        "learned-bops": _bits("LearnedBits", cost="bops", search_fraction=0.8),
        "error": "sensitivity",
        "counterfactual": _bits("SensitivityBits", "counterfactual"),
        "factual": _bits("SensitivityBits", "factual", allocation="greedy"),
        "closed-form": _bits("SensitivityBits", "factual", allocation="closed_form"),
        "hessian": _bits("SensitivityBits", "hessian"),
        "uniform": "uniform",
        "fixed": _bits("FixedBits", (2, 8, 4)),
    }
    more = {"objective": "paper", "hidden_layer_sizes": (12, 8), "budget": 5}
    tables = ("german", "credit", "bank")
    return {
        f"bits-{name}": Fit("CFQClassifier", tables[i % 3], {**more, "bit_policy": policy})
        for i, (name, policy) in enumerate(policies.items())
    }


def qat_fits() -> dict[str, Fit]:
    """Return the fits of QATClassifier."""
    lsq = {"weight_step": "tensor", "quantizer_start": "lsq"}
    widths = {"hidden_layer_sizes": (12, 8), "activation_bits": (4, None), "budget": 3}
    early = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 3}
    fits = {
        "lsq": Fit("QATClassifier", "credit", {}),
        "lsq-tensor": Fit("QATClassifier", "adult", {**lsq, "budget": 2}),
        "pact": Fit("QATClassifier", "credit", {"method": "pact"}),
        "pact-tensor": Fit("QATClassifier", "german", {**lsq, "method": "pact", "budget": 3}),
        "widths": Fit("QATClassifier", "default", widths),
        "learned": Fit("QATClassifier", "bank", {"bit_policy": "learned"}),
        "hessian": Fit(
            "QATClassifier", "credit", {"bit_policy": _bits("SensitivityBits", "hessian")}
        ),
        "early": Fit("QATClassifier", "compas", early),
        "warm": Fit("QATClassifier", "german", {"warm_start": True}, again=True),
        "logistic": Fit("QATClassifier", "default", {"hidden_layer_sizes": ()}),
        "eight": Fit("QATClassifier", "credit", {"budget": 8}, weights=True),
        "module": Fit("QATClassifier", "credit", {"module": smooth, "max_iter": 20}),
        "memory": Fit("QATClassifier", "credit", {"memory": Deferred(cached, "qat")}, again=True),
        "double": Fit("QATClassifier", "default", {}, form="float64"),
    }
    return {f"qat-{name}": fit for name, fit in fits.items()}


def ptq_fits() -> dict[str, Fit]:
    """Return the fits of PTQClassifier."""
    options = {
        "counterfactual": ("credit", {}),
        "margin": ("credit", {"allocation": "margin", "budget": 3}),
        "factual": ("german", {"calibration": "factual", "allocation": "factual"}),
        "greedy": ("adult", {"allocation_rule": "greedy", "counterfactual_weight": 2.0}),
        "rounding": ("credit", {"adaptive_rounding": True, "bias_correction": True}),
        "minmax": ("bank", {"calibrator": "minmax", "allocation": "uniform"}),
        "percentile": ("default", {"calibrator": "percentile", "percentile": 99.0}),
        "reconstruction": ("compas", {"calibrator": "reconstruction", "activation_bits": 4}),
        "solver": (
            "german",
            {"teacher_actions": Deferred(make, "RecourseSolver", n_restarts=0, beam_width=3)},
        ),
        "few": ("credit", {"calibration_size": 100, "candidates": (2, 6), "budget": 6}),
    }
    fits = {}
    for name, (data, old) in options.items():
        given = {"teacher": Deferred(frozen, teacher, data), **old}
        fits[f"ptq-{name}"] = Fit("PTQClassifier", data, given, rows=500)
    fits["ptq-linear"] = Fit(
        "PTQClassifier", "adult", {"teacher": Deferred(frozen, linear, "adult")}
    )
    fits["ptq-units"] = Fit(
        "PTQClassifier", "default", {"teacher": Deferred(unscaled)}, form="float64"
    )
    torch_module = {
        "teacher": Deferred(trained_chain, "credit"),
        "encoder": Deferred(encoder, "credit"),
    }
    fits["ptq-torch"] = Fit("PTQClassifier", "credit", torch_module)
    return fits


def other_label(X: Any, y: np.ndarray) -> np.ndarray:
    """Return the targets of a rule: another label than the own one."""
    first, last = np.unique(y)[[0, -1]]
    return np.where(y == first, last, first)


def unfitted_network() -> Any:
    """Return an unfitted network of scikit-learn behind an encoder."""
    network = MLPClassifier((8,), max_iter=20, random_state=0)
    return make_pipeline(make("TableEncoder"), network)


def unscaled() -> Any:
    """Return an unfitted logistic regression on raw columns of different sizes."""
    return LogisticRegression(max_iter=200, tol=1e-2)


def teacher_fits() -> dict[str, Fit]:
    """Return the fits of TeacherClassifier."""
    early = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 4}
    fits = {
        "plain": Fit("TeacherClassifier", "credit", {"hidden_layer_sizes": (16, 8)}, rows=600),
        "early": Fit("TeacherClassifier", "adult", early, rows=600),
        "module": Fit("TeacherClassifier", "german", {"module": smooth}),
        "balanced": Fit("TeacherClassifier", "bank", {"class_weight": "balanced"}, weights=True),
        "three": Fit("TeacherClassifier", "credit", {}, labels="three"),
        "warm": Fit("TeacherClassifier", "compas", {"warm_start": True}, again=True),
        "double": Fit("TeacherClassifier", "default", {}, form="float64"),
    }
    return {f"teacher-{name}": fit for name, fit in fits.items()}


def fit_cases() -> Iterator[tuple[str, Case]]:
    """Yield the cases that fit an estimator."""
    for fits in (cfq_fits(), policy_fits(), qat_fits(), ptq_fits(), teacher_fits()):
        for name, fit in fits.items():
            yield f"fit/{name}", partial(run_fit, fit, f"fit/{name}")


# ---- solvers ------------------------------------------------------------------------------------


class Question(NamedTuple):
    """One call of a solver: table, model, old parameters, and what ``solve`` is given."""

    name: str
    kind: str
    old: dict[str, Any]
    people: int = 30
    rules: Callable[[Table], Any] | None = None
    more: Callable[[Table, Any, pd.DataFrame], dict[str, Any]] | None = None


def solver_for(data: Table, rules: Any = None, **old: Any) -> Any:
    """Return a solver with the table's rules and target, unless others are given."""
    given = {"target": data.target, "random_state": 0, **old}
    return make("RecourseSolver", data.rules if rules is None else rules, **given)


def run_question(question: Question, out: Path) -> Arrays:
    """Solve, and return the answers."""
    data, model = table(question.name), model_of(question.name, question.kind)
    people = people_of(question.name, model, question.people)
    rules = None if question.rules is None else question.rules(data)
    more = {} if question.more is None else question.more(data, model, people)
    old = {name: deferred(value) for name, value in question.old.items()}
    solver = solver_for(data, rules, **old)
    return answers(solver.solve(model, people, background=data.X, **more))


def people_for(name: str, method: str, cost: str) -> int:
    """Return how many refused people are asked about: quadratic programs take seconds each."""
    quadratic = (cost == "mixed" and method == "auto") or (cost != "l1" and method == "milp")
    if quadratic:
        return {"default": 1, "compas": 10, "bank": 10}.get(name, 3)
    return 20 if method in ("milp", "search") else 40


def linear_questions() -> dict[str, Question]:
    """Return every method and cost on linear models."""
    cases = {}
    wanted = [
        (method, cost) for method in ("auto", "milp", "pgd") for cost in ("l1", "l2", "mixed")
    ]
    wanted += [("direct", "l1"), ("direct", "l2"), ("search", "l1"), ("search", "l2")]
    wanted += [("search", "mixed"), ("steps", "l1")]
    free = [("lp", "l1"), ("qp", "l2"), ("qp", "mixed"), ("direct", "l1"), ("direct", "l2")]
    free += [("milp", "l1"), ("auto", "mixed"), ("pgd", "l2"), ("steps", "l2")]
    for name in TABLES:
        for method, cost in wanted:
            people = people_for(name, method, cost)
            old = {"method": method, "cost": cost}
            cases[f"{name}/linear/{method}-{cost}"] = Question(name, "linear", old, people)
        for method, cost in free:
            old = {"method": method, "cost": cost}
            cases[f"{name}/free/{method}-{cost}"] = Question(
                name, "linear", old, 20, rules=free_rules
            )
    return cases


def network_questions() -> dict[str, Question]:
    """Return the searches on networks and on closed models."""
    cases = {}
    wanted = [("auto", "l1"), ("pgd", "l2"), ("auto", "mixed"), ("steps", "l1"), ("search", "l2")]
    for name in TABLES:
        for kind in ("teacher", "quantized"):
            for method, cost in wanted:
                old = {"method": method, "cost": cost}
                cases[f"{name}/{kind}/{method}-{cost}"] = Question(name, kind, old, 20)
        for kind in ("columns", "mlp"):
            cases[f"{name}/{kind}/auto"] = Question(name, kind, {"cost": "l2"}, 15)
        for kind, cost in (("tree", "l1"), ("forest", "l2"), ("function", "l1")):
            cases[f"{name}/{kind}/auto-{cost}"] = Question(name, kind, {"cost": cost}, 20)
    return cases


def constrained(data: Table) -> Any:
    """Return the rules of the credit table with rules across features."""
    rules = [
        "change(savings) + change(income) <= 1500",
        "loan_amount >= 2 * income",
        "if employment == 'permanent' then change(income) <= 600",
        "if changes(employment) then stays(loan_duration)",
    ]
    return clone(data.rules).set_params(constraints=rules)


def implied(data: Table) -> Any:
    """Return the rules of the credit table with changes that follow from others."""
    follows = {"age": {"education": 2, "years_employed": 1}}
    return clone(data.rules).set_params(implied=follows)


def limited(data: Table) -> Any:
    """Return the rules of the credit table with limits of a change."""
    most, least = {"loan_amount": 4000, "income": 500}, {"loan_duration": 12, "savings": 500}
    return clone(data.rules).set_params(max_change=most, min_change=least, max_changes=None)


def linked(data: Table) -> Any:
    """Return continuous rules of the credit table, with linear rules across them."""
    rules = ["change(savings) + change(income) <= 1500", "loan_amount >= 2 * income"]
    return free_rules(data).set_params(constraints=rules)


def _overrides(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    name = numeric_columns(data.X)[-1]
    own = [one for one in data.X.columns if one not in data.rules.immutable][:2]
    labels = people.index[::3]
    low, high = data.X[name].quantile([0.2, 0.8])
    rules = {"immutable": own[:1], "bounds": {own[1]: (None, None)}}
    if own[1] in numeric_columns(data.X):
        rules["bounds"] = {own[1]: (float(low), float(high))}
    else:
        del rules["bounds"]
    return {"overrides": dict.fromkeys(labels, rules)}


def _linear_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    return {"variants": [linear(data.name, seed) for seed in (1, 2)]}


def _deployed_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    drawn = public("deployment_variants")(model, 3, X=data.X, random_state=0)
    return {"variants": drawn}


def _rounded_variants(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    kinds = ("rounding", "steps")
    return {
        "variants": public("deployment_variants")(model, 3, kinds=kinds, bits=6, random_state=0)
    }


def _start(data: Table, model: Any, people: pd.DataFrame) -> dict[str, Any]:
    favored = data.X[np.asarray(model.predict(data.X)) == data.target]
    return {"start": favored.iloc[np.arange(len(people)) % len(favored)].set_index(people.index)}


def option_questions() -> dict[str, Question]:
    """Return the options of the solver, on the models that each applies to."""
    q, cases = Question, {}
    several = {"n_alternatives": 2}
    for kind, methods in {
        "linear": ("direct", "milp", "pgd", "search"),
        "teacher": ("pgd", "search"),
        "quantized": ("auto",),
        "tree": ("search",),
    }.items():
        for method in methods:
            end = f"{kind}-{method}"
            old = {"method": method}
            cases[f"alternatives/{end}"] = q("credit", kind, {**old, **several}, 15)
            cases[f"overrides/{end}"] = q("german", kind, old, 20, more=_overrides)
            cases[f"proba/{end}"] = q("german", kind, {**old, "target_proba": 0.7}, 15)
    for kind in ("linear", "teacher", "quantized", "tree"):
        cases[f"constraints/{kind}"] = q("credit", kind, {}, 15, rules=constrained)
        n = 2 if kind == "linear" else 15
        cases[f"constraints/{kind}-l2"] = q("credit", kind, {"cost": "l2"}, n, rules=constrained)
        cases[f"implied/{kind}"] = q("credit", kind, {}, 15, rules=implied)
        cases[f"limits/{kind}"] = q("credit", kind, {"cost": "l2"}, 20, rules=limited)
        cases[f"start/{kind}"] = q("german", kind, {"method": "search"}, 15, more=_start)
        cases[f"margin/{kind}"] = q("german", kind, {"margin": 0.2}, 20)
        cases[f"jitter/{kind}"] = q("credit", kind, {"stand_off": 1e-2}, 15)
        cases[f"mad/{kind}"] = q("compas", kind, {"cost_weights": "mad"}, 20)
        cases[f"opposite/{kind}"] = q("compas", kind, {"target": "opposite"}, 20)
    cases["linked/lp"] = q("credit", "linear", {"method": "lp"}, 15, rules=linked)
    cases["linked/qp"] = q("credit", "linear", {"method": "qp", "cost": "l2"}, 15, rules=linked)
    cases["linked/pgd"] = q("credit", "linear", {"method": "pgd"}, 15, rules=linked)
    cases["uniform/direct"] = q("adult", "linear", {"cost_weights": "uniform"}, 40)
    cases["steps/seven"] = q(
        "adult", "teacher", {"method": "steps", "n_steps": 7, "step_size": 0.3}
    )
    cases["beam/teacher"] = q("adult", "teacher", {"beam_width": 2, "n_restarts": 3}, 15)
    cases["large/direct-l1"] = q("large", "linear", {}, 5000)
    cases["large/direct-l2"] = q("large", "linear", {"cost": "l2"}, 5000)
    cases["large/free-l1"] = q("large", "linear", {}, 5000, rules=free_rules)
    cases["large/pgd"] = q("large", "quantized", {"n_restarts": 0, "beam_width": 2}, 1200)
    cases["batches/direct"] = q("bank", "linear", {"batch_size": 7}, 30)
    return {**cases, **robust_questions()}


def robust_questions() -> dict[str, Question]:
    """Return questions about several models, and about boxes of weights."""
    q, cases = Question, {}
    for cost in ("l1", "l2", "mixed"):
        box = {"weight_radius": 0.02, "cost": cost}
        cases[f"variants/milp-{cost}"] = q(
            "german", "linear", {"cost": cost}, 8 if cost == "l1" else 2, more=_linear_variants
        )
        cases[f"radius/auto-{cost}"] = q("german", "linear", box, 3 if cost == "mixed" else 12)
        convex = {**box, "method": "lp" if cost == "l1" else "qp"}
        cases[f"radius/convex-{cost}"] = q("credit", "linear", convex, 12, rules=free_rules)
    cases["radius/milp"] = q("credit", "linear", {"weight_radius": 0.02, "method": "milp"}, 10)
    for method, cost in (("lp", "l1"), ("qp", "l2")):
        cases[f"variants/{method}"] = q(
            "credit", "linear", {"method": method, "cost": cost}, 12, free_rules, _linear_variants
        )
    for method in ("pgd", "search"):
        old = {"method": method}
        cases[f"variants/linear-{method}"] = q("german", "linear", old, 12, more=_linear_variants)
        cases[f"variants/quantized-{method}"] = q(
            "credit", "quantized", old, 12, more=_deployed_variants
        )
    cases["variants/teacher"] = q("credit", "teacher", {}, 12, more=_rounded_variants)
    return cases


def run_compare(name: str, kinds: tuple[str, str], old: dict[str, Any], out: Path) -> Arrays:
    """Compare two models by a solver."""
    data = table(name)
    models = [linear(name, i) if k == "linear" else model_of(name, k) for i, k in enumerate(kinds)]
    rules = constrained(data) if old.get("constrained") else None
    old = {key: value for key, value in old.items() if key != "constrained"}
    people = people_of(name, models[0], 20)
    both = solver_for(data, rules, **old).compare(*models, people, background=data.X)
    return under("reference", answers(both[0])) | under("deployed", answers(both[1]))


def run_three(name: str, kind: str, old: dict[str, Any], free: bool, out: Path) -> Arrays:
    """Ask about a target of three classes."""
    data = table(name)
    if kind == "linear":
        model = linear(name, labels="three")
    else:
        chosen = make("TeacherClassifier", (16,), max_iter=10, batch_size=32, random_state=0)
        model = chosen.fit(data.X, three_labels(data))
    people = people_of(name, model, 15, "z: more of it")
    rules = free_rules(data) if free else None
    solver = solver_for(data, rules, **{"target": "z: more of it", **old})
    return answers(solver.solve(model, people, background=data.X))


def run_own_targets(method: str, out: Path) -> Arrays:
    """Ask for another target for each person."""
    data, model = table("compas"), linear("compas", labels="three")
    people = data.new[:30]
    wanted = np.random.RandomState(0).choice(model.classes_, len(people))
    solver = solver_for(data, method=method, target=wanted)
    return answers(solver.solve(model, people, background=data.X))


def run_chunks(out: Path) -> Arrays:
    """Solve a table chunk by chunk, and in two jobs' batches."""
    data, model = table("credit"), linear("credit")
    chunks = [data.new[start : start + 40] for start in range(0, 120, 40)]
    arrays: Arrays = {}
    solver = solver_for(data)
    for i, result in enumerate(solver.solve_chunks(model, chunks, background=data.X)):
        arrays |= under(f"chunk {i}", answers(result))
    return arrays


def plain_cases() -> Iterator[tuple[str, Case]]:
    """Yield the cases on plain arrays of numbers: the fast lane and what just misses it."""
    limits = {
        "bounds": {3: (-4.0, 8.0)},
        "relative_bounds": {4: (-2.0, 3.0)},
        "quantile_bounds": {5: (0.05, 0.95)},
        "max_change": {6: 10.0},
    }
    rules: dict[str, dict[str, Any]] = {
        "all": {},
        "limits": {"immutable": [0, 7], "increasing": [1], "decreasing": [2], **limits},
        "few": {"max_changes": 2},
        "grid": {"steps": {8: 2.0, 9: 5.0}, "min_change": {10: 3.0}},
        "tied": {"constraints": ["change(`3`) + change(`4`) <= 2"]},
    }
    for name, parameters in rules.items():
        for cost in ("l1", "l2"):
            n = 40 if name == "tied" else 5000
            old = {"cost": cost}
            yield f"plain/{name}-{cost}", partial(run_plain, parameters, old, n, "raw")
    for cost in ("l1", "l2"):
        old, some = {"cost": cost}, rules["limits"]
        yield f"plain/scaled-{cost}", partial(run_plain, some, old, 5000, "scaled")
        yield f"plain/gaps-{cost}", partial(run_plain, some, old, 500, "gaps")
        yield f"plain/single-{cost}", partial(run_plain, some, old, 3, "raw")
        yield f"plain/some-{cost}", partial(run_plain, some, old, 300, "raw")
        margin = {**old, "margin": 0.3, "cost_weights": "mad"}
        yield f"plain/margin-{cost}", partial(run_plain, some, margin, 2000, "scaled")
        radius = {**old, "weight_radius": 0.001}
        yield f"plain/radius-{cost}", partial(run_plain, some, radius, 500, "scaled")
        several = {**old, "n_alternatives": 2}
        yield f"plain/several-{cost}", partial(run_plain, some, several, 200, "scaled")
        batches = {**old, "batch_size": 999}
        yield f"plain/batches-{cost}", partial(run_plain, some, batches, 5000, "raw")


def run_plain(rules: dict[str, Any], old: dict[str, Any], n: int, form: str, out: Path) -> Arrays:
    """Solve a plain array for a linear model."""
    X, y = plain_numbers()
    steps: list[Any] = [] if form == "raw" else [StandardScaler()]
    if form == "gaps":
        X = np.where(np.random.RandomState(3).random_sample(X.shape) < 0.02, np.nan, X)
        steps = [SimpleImputer(), *steps]
    model = make_pipeline(*steps, LogisticRegression(max_iter=5000)).fit(X, y)
    solver = make("RecourseSolver", make("ActionSet", **rules), target=1, random_state=0, **old)
    return answers(solver.solve(model, X[:n], background=X))


def solver_cases() -> Iterator[tuple[str, Case]]:
    """Yield the cases that ask a solver."""
    for questions in (linear_questions(), network_questions(), option_questions()):
        for name, question in questions.items():
            yield f"solve/{name}", partial(run_question, question)
    for cost in ("l1", "l2"):
        old = {"cost": cost}
        yield f"compare/linear-{cost}", partial(run_compare, "german", ("linear",) * 2, old)
        deployed = ("teacher", "quantized")
        yield f"compare/networks-{cost}", partial(run_compare, "credit", deployed, old)
    tied = {"constrained": True}
    yield "compare/milp", partial(run_compare, "credit", ("linear",) * 2, tied)
    yield (
        "compare/jitter",
        partial(run_compare, "german", ("teacher", "quantized"), {"stand_off": 1e-3}),
    )
    for method, free in (("auto", False), ("pgd", False), ("search", False), ("lp", True)):
        case = partial(run_three, "credit", "linear", {"method": method}, free)
        yield f"three/linear-{method}", case
    for method in ("auto", "steps"):
        yield (
            f"three/teacher-{method}",
            partial(run_three, "adult", "teacher", {"method": method}, False),
        )
    yield "targets/auto", partial(run_own_targets, "auto")
    yield "targets/pgd", partial(run_own_targets, "pgd")
    yield "chunks/auto", run_chunks
    yield from plain_cases()


# ---- metrics, steps of pipelines, projections, files --------------------------------------------

_METRICS = (
    "validity_drop",
    "label_mismatch",
    "recourse_gap",
    "signed_recourse_gap",
    "direction_similarity",
    "action_overlap",
    "feasible_recourse_rate",
    "faithfulness",
)


def run_metrics(name: str, out: Path) -> Arrays:
    """Measure a quantized network against its teacher."""
    data, first, second = table(name), teacher(name), quantized(name)
    people = people_of(name, first, 25)
    weights = np.random.RandomState(2).uniform(0.5, 2, len(people))
    both = solver_for(data).compare(first, second, people)
    arrays: Arrays = {}
    for kind in ("target", "mismatch"):
        for end, given in (("", None), (" weighted", weights)):
            value = public("validity_drop")(first, second, both[0], kind=kind, sample_weight=given)
            arrays[f"validity drop {kind}{end}"] = as_array(value)
    for kind in ("absolute", "signed", "median", "ratio"):
        gap = public("counterfactual_recourse_gap")(*both, kind=kind, sample_weight=weights)
        arrays[f"gap {kind}"] = as_array(gap)
    for metric in ("direction_similarity", "action_overlap"):
        arrays[metric] = as_array(public(metric)(*both))
    arrays["overlap 0.1"] = as_array(public("action_overlap")(*both, threshold=0.1))
    arrays["feasible"] = as_array(public("feasible_recourse_rate")(both[0], sample_weight=weights))
    drawn = public("deployment_variants")(second, 4, X=data.X, random_state=1)
    success = public("deployment_success")(both[1], drawn)
    for part in ("nominal", "robust", "all_variants", "shares"):
        arrays[f"success {part}"] = as_array(getattr(success, part))
    bias = public("bias_for_validity_drop")(second, both[0], 0.1)
    biased = public("with_target_bias")(second, data.target, bias)
    return arrays | joined(bias=bias, biased=biased.predict_proba(data.new))


def run_scorers(name: str, out: Path) -> Arrays:
    """Score a quantized network and a linear model."""
    data, deployed = table(name), quantized(name)
    solver = make("RecourseSolver", beam_width=3, n_restarts=0)
    scorer = make("RecourseScorer", list(_METRICS), solver=solver, max_people=20)
    arrays = under("network", joined(**scorer.score(deployed, data.new)))
    scorer = make(
        "RecourseScorer",
        list(_METRICS),
        reference=linear(name),
        action_set=data.rules,
        target=data.target,
        background=data.X,
    )
    arrays |= under("linear", joined(**scorer.score(linear(name, 1), data.new)))
    rows = data.new[:60]
    for one in ("vd_scorer", "crg_scorer", "faithfulness_scorer"):
        arrays[one] = as_array(public(one)(deployed, rows))
    results = {
        "mean_test_accuracy": [0.85, 0.849, 0.83, 0.8495],
        "mean_test_validity_drop": [-0.3, -0.1, -0.01, -0.1],
    }
    return arrays | joined(chosen=public("select_faithful")(results))


def run_reading(name: str, out: Path) -> Arrays:
    """Read a result: tables, sentences, JSON."""
    data, model = table(name), linear(name)
    people = people_of(name, model, 12)
    result = solver_for(data, n_alternatives=2).solve(model, people, background=data.X)
    arrays = joined(
        frame=result.to_frame(details=True),
        shifts=result.percentile_shifts(),
        summary=result.summary(),
        contributions=result.contributions,
        delta=result.delta,
        people=result.to_dict()["people"],
    )
    for row in range(6):
        arrays |= flat(f"flipset {row}", result.flipset(row=row).astype(str))
        arrays[f"explain {row}"] = as_array(result.explain(row=row))
    return arrays


def run_transformer(name: str, kind: str, out: Path) -> Arrays:
    """Replace rows by their recourse points, and add them as training rows."""
    data, model = table(name), model_of(name, kind)
    given = {"action_set": data.rules, "target": data.target, "random_state": 0}
    model = FrozenEstimator(model)
    step = make("RecourseTransformer", model, add_status=True, **given).fit(data.X, data.y)
    sampler = make("CounterfactualSampler", model, share=0.1, **given)
    X, y = sampler.fit_resample(data.X, data.y)
    return joined(
        points=step.transform(data.new[:40]),
        X=X,
        y=y,
        indices=sampler.sample_indices_,
        strategy=sampler.sampling_strategy_,
    )


def rules_of_every_kind() -> dict[str, dict[str, Any]]:
    """Return rules for the credit table, one kind each."""
    ordered = ["primary", "secondary", "vocational", "bachelor", "master"]
    return {
        "nothing": {},
        "immutable": {"immutable": ["age", "sex", "income"]},
        "increasing": {"increasing": ["income", "savings"]},
        "decreasing": {"decreasing": ["loan_amount", "open_loans"]},
        "bounds": {"bounds": {"income": (1000, 2500), "loan_amount": (None, 9000)}},
        "relative": {"relative_bounds": {"income": (-100, 400), "age": (0, 2)}},
        "quantile": {"quantile_bounds": {"savings": (0.1, 0.9), "income": (0.25, None)}},
        "steps": {"steps": {"income": 50, "loan_amount": 500, "age": 0}},
        "ordinal": {"ordinal": {"education": ordered}, "increasing": ["education"]},
        "numbers": {"ordinal": {"loan_duration": [12, 24, 36, 48, 60, 96]}},
        "transitions": {"transitions": {"employment": {"unemployed": ["permanent"]}}},
        "least": {"min_change": {"income": 300, "loan_duration": 12}},
        "most": {"max_change": {"income": 200, "loan_duration": 12}},
        "sparse": {"max_changes": 2},
        "linear": {"constraints": ["change(savings) + change(income) <= 500"]},
        "if": {"constraints": ["if housing == 'rent' then loan_amount <= 9000"]},
        "stays": {"constraints": ["if changes(employment) then stays(income)"]},
        "implied": {
            "implied": {"age": {"education": 2}},
            "ordinal": {"education": ordered},
            "immutable": ["age"],
        },
        "everything": {
            "immutable": ["sex"],
            "increasing": ["savings"],
            "steps": {"savings": 100},
            "bounds": {"loan_amount": (1000, None)},
            "min_change": {"loan_duration": 6},
            "constraints": ["loan_amount >= 2 * income", "employment != 'unemployed'"],
            "max_changes": 3,
        },
    }


def projected(space: Any, rules: Any, X: Any, scale: float = 1.0) -> np.ndarray:
    """Project points around people onto what they may do."""
    compiled = rules.compile(space)
    region = compiled.at(X) if hasattr(compiled, "at") else public("region_of")(compiled, X)
    rng, coded = np.random.RandomState(5), space.encode(X)
    moved_points = coded + scale * rng.standard_normal(coded.shape)
    return region.project(torch.from_numpy(moved_points)).numpy()


def run_projections(out: Path) -> Arrays:
    """Project with rules of every kind."""
    data = table("credit")
    space, people = public("as_predictor")(linear("credit")).space, data.new[:60]
    arrays: Arrays = {}
    for name, parameters in rules_of_every_kind().items():
        rules = make("ActionSet", **parameters)
        for scale in (0.5, 3.0):
            arrays[f"{name} {scale}"] = projected(space, rules, people, scale)
    frame = pd.DataFrame(np.eye(3)[np.arange(30) % 3], columns=["a", "b", "c"])
    frame["n"] = np.linspace(0, 5, 30)
    space = public("FeatureSpace").from_frame(frame)
    rules = make("ActionSet", one_hot={"group": ["a", "b", "c"]}, steps={"n": 0.5})
    return arrays | {"one hot": projected(space, rules, frame)}


def run_table_projections(name: str, out: Path) -> Arrays:
    """Project with the rules of a table, and list who breaks them."""
    data = table(name)
    space = public("as_predictor")(linear(name)).space
    broken = data.rules.validate(data.new)
    return joined(
        near=projected(space, data.rules, data.new, 0.5),
        far=projected(space, data.rules, data.new, 4.0),
        free=projected(space, free_rules(data), data.new),
        broken=broken.astype(str),
    )


def run_pure_projections(out: Path) -> Arrays:
    """Call the projections of single rules."""
    rng = np.random.RandomState(6)
    u, x = rng.standard_normal((2, 50, 6))
    low, high = x - 0.7, x + 0.4
    own = np.eye(3)[rng.randint(3, size=50)]
    allowed = rng.random_sample((50, 3)) < 0.7
    grid = np.linspace(-1, 1, 9)
    groups = [np.array([0]), np.array([1, 2]), np.array([3, 4, 5])]
    return joined(
        immutable=public("project_immutable")(u, x, np.arange(6) % 2 == 0),
        box=public("project_box")(u, low, high),
        grid=public("project_grid")(u[:, 0], grid, low[:, 0], high[:, 0], x[:, 0]),
        least=public("project_min_change")(u, low, high, x, np.full_like(x, 0.5)),
        one_hot=public("project_one_hot")(u[:, :3], np.eye(3), allowed, own),
        sparse=public("project_sparse")(u, x, groups, 2),
    )


def run_encoding(name: str, out: Path) -> Arrays:
    """Encode rows, and decode them again."""
    data = table(name)
    space = public("as_predictor")(linear(name)).space
    frame_space = public("FeatureSpace").from_frame(data.X[numeric_columns(data.X)])
    coded = space.encode(data.new)
    return joined(
        transformed=np.asarray(encoder(name).transform(data.new)),
        coded=coded,
        decoded=space.decode(projected(space, data.rules, data.new), data.new),
        raw=frame_space.encode(data.new[numeric_columns(data.X)]),
        fingerprint=space.fingerprint,
        space=space.to_dict(),
    )


def run_rules(name: str, out: Path) -> Arrays:
    """Write the rules of a table to files, and read them back."""
    data = table(name)
    return written_rules(name, data.rules, out)


def run_every_rule(out: Path) -> Arrays:
    """Write rules of every kind to files, and read them back."""
    arrays: Arrays = {}
    for name, parameters in rules_of_every_kind().items():
        rules = make("ActionSet", **parameters)
        arrays |= under(name, written_rules(f"kind-{name}", rules, out))
    return arrays


def written_rules(name: str, rules: Any, out: Path) -> Arrays:
    """Write an action set in both formats, with what it holds beside it."""
    folder = out / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}
    held = json.dumps(rules.to_dict(), sort_keys=True)
    (folder / f"{name}.expected").write_text(held, encoding="utf-8")
    for suffix in ("toml", "json"):
        path = folder / f"{name}.{suffix}"
        rules.to_file(path)
        read = public("ActionSet").from_file(path)
        arrays[f"{suffix} text"] = as_array(path.read_text(encoding="utf-8"))
        arrays[f"{suffix} read"] = as_array(json.dumps(read.to_dict(), sort_keys=True))
    return arrays


def other_cases() -> Iterator[tuple[str, Case]]:
    """Yield all other cases."""
    for name in ("credit", "german"):
        yield f"metrics/{name}", partial(run_metrics, name)
        yield f"scorers/{name}", partial(run_scorers, name)
        yield f"reading/{name}", partial(run_reading, name)
    for kind in ("linear", "tree", "teacher", "quantized"):
        yield f"steps/{kind}", partial(run_transformer, "german", kind)
    yield "project/kinds", run_projections
    yield "project/pure", run_pure_projections
    for name in TABLES:
        yield f"project/{name}", partial(run_table_projections, name)
        yield f"encoding/{name}", partial(run_encoding, name)
        yield f"rules/{name}", partial(run_rules, name)
    yield "rules/kinds", run_every_rule


def all_cases() -> dict[str, Case]:
    """Return every case by its name."""
    return {**dict(other_cases()), **dict(fit_cases()), **dict(solver_cases())}


# ---- record -------------------------------------------------------------------------------------


def case_file(folder: Path, case: str) -> Path:
    """Return the file of a case."""
    return folder / "cases" / f"{case.replace('/', '__')}.npz"


def run_case(case: Case, out: Path) -> Arrays:
    """Run a case; what it raises is its result."""
    try:
        return {name: as_array(value) for name, value in case(out).items()}
    except Exception as error:  # a case that fails is compared as well
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return joined(
            exception=f"{type(error).__name__}: {error}",
            exception_type=type(error).__name__,
            exception_place=where,
        )


def record(out: Path, only: str) -> int:
    """Run the cases and write what they give."""
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    if data.is_dir():
        os.environ.setdefault("SKCFQ_DATA", str(data))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"skcfq of {skcfq.__file__}, {'new' if has_new_methods() else 'old'} names", flush=True)
    (out / "cases").mkdir(parents=True, exist_ok=True)
    chosen = {name: case for name, case in all_cases().items() if only in name}
    began, failed, seconds = time.perf_counter(), 0, {}
    with threadpool_limits(1):
        for position, (name, case) in enumerate(chosen.items(), start=1):
            start = time.perf_counter()
            arrays = run_case(case, out)
            np.savez_compressed(case_file(out, name), **arrays)
            seconds[name] = round(time.perf_counter() - start, 3)
            failed += "exception" in arrays
            end = f"  {arrays['exception']}"[:200] if "exception" in arrays else ""
            line = f"[{position}/{len(chosen)}] {name}: {seconds[name]:.2f} s{end}"
            print(line, flush=True)
    total = time.perf_counter() - began
    write_meta(out, seconds, total)
    print(f"{len(chosen)} cases in {total:.0f} s, {failed} of them raise")
    return 0


def write_meta(out: Path, seconds: dict[str, float], total: float) -> None:
    """Write what was run, on what."""
    folder = Path(skcfq.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    meta = {
        "skcfq": str(folder),
        "commit": commit,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "pandas": pd.__version__,
        "seconds": round(total, 1),
        "cases": seconds,
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


# ---- compare ------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """How two arrays differ; numbers only where both have one shape and type."""

    what: str
    n: int = 0
    size: int = 0
    absolute: float = np.inf
    relative: float = np.inf

    def __str__(self) -> str:
        if not self.size:
            return self.what
        text = f"{self.what}: {self.n} of {self.size} entries differ"
        if np.isfinite(self.absolute):
            text += f", max abs {self.absolute:.3g}, max rel {self.relative:.3g}"
        return text

    def is_rounding(self, rtol: float, atol: float) -> bool:
        """Tell whether the user calls this a difference of the last digits."""
        return (rtol > 0 and self.relative <= rtol) or (atol > 0 and self.absolute <= atol)


def difference(name: str, a: np.ndarray, b: np.ndarray) -> Difference | None:
    """Return how two arrays differ, or None where they are the same to the last bit."""
    if a.shape != b.shape:
        return Difference(f"{name}: shape {a.shape} and {b.shape}")
    if a.dtype != b.dtype and not (a.dtype.kind == b.dtype.kind == "U"):
        return Difference(f"{name}: type {a.dtype} and {b.dtype}")
    if a.dtype.kind != "f":
        return _of_labels(name, a, b)
    bits = f"u{a.dtype.itemsize}"
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    same = (a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return None
    with np.errstate(all="ignore"):
        gap = np.abs(a[~same].astype(float) - b[~same])
        largest = np.maximum(np.abs(a[~same]), np.abs(b[~same])).astype(float)
        relative = np.where(gap == 0, 0.0, gap / largest)
    gap, relative = (np.where(np.isfinite(one), one, np.inf) for one in (gap, relative))
    return Difference(name, int((~same).sum()), a.size, float(gap.max()), float(relative.max()))


def _of_labels(name: str, a: np.ndarray, b: np.ndarray) -> Difference | None:
    """Return how arrays of labels or whole numbers differ; that is never rounding."""
    n = int((a != b).sum())
    if not n:
        return None
    if a.ndim == 0:
        return Difference(f"{name}: {str(a)[:120]!r} and {str(b)[:120]!r}")
    return Difference(name, n, a.size)


class Verdict(NamedTuple):
    """What is said about a case."""

    word: str
    fails: bool
    lines: tuple[str, ...] = ()


def judge(a: Arrays, b: Arrays, rtol: float, atol: float) -> Verdict:
    """Compare what two versions recorded for one case."""
    if "exception" in a or "exception" in b:
        return _of_exceptions(a, b)
    shared = sorted(set(a) & set(b))
    found = [one for one in (difference(name, a[name], b[name]) for name in shared) if one]
    renamed, gone, new = pair_renamed(a, b)
    notes = [f"renamed: {old} → {now}" for old, now in renamed.items()]
    notes += [f"only in B: {name}" for name in new]
    broken = [one for one in found if not one.is_rounding(rtol, atol)]
    lines = [*map(str, found), *(f"only in A: {name}" for name in gone), *notes]
    if broken or gone:
        return Verdict("DIFFERS", True, tuple(lines))
    if found:
        worst = max(one.relative for one in found)
        word = f"rounding in the last digits, at most {worst:.3g} of a value"
        return Verdict(word, False, tuple(lines))
    return Verdict(f"identical ({len(shared) + len(renamed)} arrays)", False, tuple(notes))


def _of_exceptions(a: Arrays, b: Arrays) -> Verdict:
    texts = [str(one.get("exception", "a result")) for one in (a, b)]
    kinds = [str(one.get("exception_type", "")) for one in (a, b)]
    if texts[0] == texts[1]:
        return Verdict("identical (raises)", False, (texts[0],))
    lines = (f"A: {texts[0]}", f"B: {texts[1]}")
    if kinds[0] == kinds[1]:
        return Verdict("raises as before, with another text", False, lines)
    return Verdict("DIFFERS", True, lines)


def pair_renamed(a: Arrays, b: Arrays) -> tuple[dict[str, str], list[str], list[str]]:
    """Pair arrays of one content under two names; return them, those gone, and the new ones."""
    gone = [name for name in a if name not in b]
    new = [name for name in b if name not in a]
    renamed = {}
    for old in list(gone):
        same = [one for one in new if difference(old, a[old], b[one]) is None]
        same.sort(key=lambda one: one.rsplit("/", 1)[-1] != old.rsplit("/", 1)[-1])
        if same:
            renamed[old] = same[0]
            gone.remove(old)
            new.remove(same[0])
    return renamed, gone, new


def read_case(path: Path) -> Arrays:
    """Read the arrays of one case."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def names_in(folder: Path, only: str) -> list[str]:
    """Return the cases of a record."""
    names = sorted(path.stem.replace("__", "/") for path in (folder / "cases").glob("*.npz"))
    return [name for name in names if only in name]


def compare(
    first: Path, second: Path, only: str, rtol: float, atol: float, shown: int, but: list[str]
) -> int:
    """Print one line a case, without the arrays in `but`, and return the exit status."""
    theirs = set(names_in(second, only))
    counts: dict[str, int] = {}
    fails = 0
    for name in [*names_in(first, only), *sorted(theirs - set(names_in(first, only)))]:
        paths = case_file(first, name), case_file(second, name)
        if not all(path.is_file() for path in paths):
            missing = "B" if paths[0].is_file() else "A"
            verdict = Verdict(f"missing in {missing}", missing == "B")
        else:
            kept = (
                {key: value for key, value in read_case(path).items() if key not in but}
                for path in paths
            )
            verdict = judge(*kept, rtol, atol)
        more = [f"    {line}" for line in verdict.lines[:shown]]
        if len(verdict.lines) > shown:
            more.append(f"    … and {len(verdict.lines) - shown} more")
        print("\n".join([f"{name}: {verdict.word}", *more]))
        kind = verdict.word.split(",")[0].split(" (")[0]
        counts[kind] = counts.get(kind, 0) + 1
        fails += verdict.fails
    print("; ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    return int(fails > 0 or not counts)


# ---- files of an old record ---------------------------------------------------------------------


def load_model(path: Path) -> Difference | None:
    """Read an old model file with the current code, and ask it what was asked then."""
    rows = pickle.loads(path.with_suffix(".rows").read_bytes())
    model = public("load")(path)
    proba, labels = (np.load(path.with_suffix(end)) for end in (".proba.npy", ".labels.npy"))
    return difference("proba", proba, model.predict_proba(rows)) or difference(
        "labels", labels, as_array(model.predict(rows))
    )


def load_rules(path: Path) -> Difference | None:
    """Read an old action set file with the current code, and look at what it holds."""
    expected = path.with_suffix(".expected").read_text(encoding="utf-8")
    held = json.dumps(public("ActionSet").from_file(path).to_dict(), sort_keys=True)
    return difference("rules", np.array(expected), np.array(held))


def load_all(old: Path, only: str) -> int:
    """Read all files of an old record, print one line a file, and return the exit status."""
    print(f"skcfq of {skcfq.__file__}")
    files = [(path, load_model) for path in sorted((old / "files").glob("*.skcfq"))]
    for suffix in ("toml", "json"):
        files += [(path, load_rules) for path in sorted((old / "rules").glob(f"*.{suffix}"))]
    files = [(path, reader) for path, reader in files if only in path.name]
    fails = 0
    for path, reader in files:
        try:
            found = reader(path)
        except Exception as error:  # whatever a file does is its line
            found = Difference(f"{type(error).__name__}: {error}")
        fails += found is not None
        print(f"{path.parent.name}/{path.name}: {'same' if found is None else f'DIFFERS {found}'}")
    print(f"{len(files)} files, {fails} of them differ")
    return int(fails > 0 or not files)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("record", help="run the cases and write what they give")
    one.add_argument("out", type=Path)
    two = verbs.add_parser("compare", help="compare two records")
    two.add_argument("a", type=Path)
    two.add_argument("b", type=Path)
    two.add_argument("--rtol", type=float, default=0.0, help="relative difference that may be")
    two.add_argument("--atol", type=float, default=0.0, help="absolute difference that may be")
    two.add_argument("--but", nargs="*", default=[], help="arrays that are left out")
    two.add_argument("--lines", type=int, default=6, help="lines shown below a case")
    three = verbs.add_parser("load", help="read the files of an old record")
    three.add_argument("old", type=Path)
    for verb in (one, two, three, verbs.add_parser("list", help="list the cases")):
        verb.add_argument("--only", default="", help="cases whose name has this text")
    args = parser.parse_args()
    if args.verb == "record":
        return record(args.out, args.only)
    if args.verb == "compare":
        return compare(args.a, args.b, args.only, args.rtol, args.atol, args.lines, args.but)
    if args.verb == "load":
        return load_all(args.old, args.only)
    print("\n".join(name for name in all_cases() if args.only in name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
