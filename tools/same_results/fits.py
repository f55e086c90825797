"""Cases that fit an estimator."""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from arrays import Arrays, Case, as_array, flat, joined, under
from asked_models import encoder, linear, teacher
from names import RENAMED_ATTRIBUTES, attribute, make, parameters_of, public
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from tables import Table, numeric_columns, table, three_labels
from torch import nn

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
