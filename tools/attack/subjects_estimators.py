"""The classifiers, and the options that they hold."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
from expected import Parameter, anything, choice, flag, only, real, seed, whole
from odd_values import Odd, inside, literal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import (
    NETWORK,
    ODD_LABELS,
    ODD_TABLES,
    ODD_WEIGHTS,
    labels,
    linear_model,
    people,
    quantized,
    teacher,
    teaching,
)
from verdicts import Subject

from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.estimators import (
    BitPolicy,
    CFQObjective,
    CoresetSampler,
    Finish,
    FixedBits,
    GroupBound,
    GroupSampler,
    LearnedBits,
    Quantizer,
    SearchedBits,
    SensitivityBits,
    TeacherActions,
    UniformBits,
    UnitBits,
)

# An error about labels or weights may speak of these.
LABELS = ("label", "class", "target", "y")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    student = NETWORK | teaching()
    return [
        *_of_classifier(TeacherClassifier, NETWORK, _shared() | _of_teacher()),
        *_of_classifier(
            QATClassifier,
            student,
            _shared() | _of_students() | {"method": choice("lsq", "pact"), "task_groups": _rules()},
        ),
        *_of_classifier(CFQClassifier, student, _shared() | _of_students() | _of_cfq()),
        *_of_groups(student),
        *_of_samplers(),
        *_of_classifier(PTQClassifier, teaching() | {"random_state": 0}, _of_ptq()),
        *_of_options(student),
        *_of_predictions(),
        *_of_promises(student),
    ]


def is_sound(model: Any) -> str | None:
    """Say what is wrong with a fitted classifier: probabilities, labels, or its budget."""
    shares = model.predict_proba(people())
    if not np.isfinite(shares).all() or not np.allclose(shares.sum(axis=1), 1):
        return "gives probabilities that are none"
    if not set(model.predict(people())) <= set(model.classes_):
        return "predicts what is no class"
    if hasattr(model, "average_bits_") and model.average_bits_ > model.budget:
        return f"has {model.average_bits_} bits under a budget of {model.budget}"
    return None


def _of_classifier(
    kind: type, given: dict[str, Any], parameters: dict[str, Parameter]
) -> list[Subject]:
    def fit(**odd: Any) -> Any:
        table = {"X": people(), "y": labels()} | {
            name: odd.pop(name)
            for name in ("X", "y", "sample_weight", "sensitive_features")
            if name in odd
        }
        return kind(**given | odd).fit(**table)

    return [
        Subject(kind.__name__, fit, parameters, is_sound),
        Subject(
            f"{kind.__name__}.fit",
            fit,
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "y": anything(*ODD_LABELS, words=LABELS),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
            },
        ),
    ]


def _of_groups(given: dict[str, Any]) -> list[Subject]:
    models = (
        CFQClassifier(**given, objective=CFQObjective(groups="balanced")),
        QATClassifier(**given, task_groups="worst"),
        PTQClassifier(**teaching(), random_state=0),
    )
    return [
        Subject(
            f"{type(model).__name__}.fit (groups)",
            lambda model=model, **p: clone(model).fit(
                people(), labels(), **{"sensitive_features": people()["job"]} | p
            ),
            {"sensitive_features": anything(*ODD_LABELS, words=("group", "length"))},
        )
        for model in models
    ]


def _of_samplers() -> list[Subject]:
    columns = anything(*literal("job", 0, ["job"], [], "nope", 99, -1), words=("sensitive",))

    def resample(kind: type, given: dict[str, Any]) -> Callable[..., Any]:
        def call(X: Any = None, y: Any = None, **odd: Any) -> Any:
            X, y = people() if X is None else X, labels() if y is None else y
            return kind(**given | odd).fit_resample(X, y)

        return call

    groups = resample(GroupSampler, {"sensitive_features": "job"})
    coreset = resample(CoresetSampler, {"estimator": linear_model()})
    table = {
        "X": anything(*ODD_TABLES, words=TABLE),
        "y": anything(*ODD_LABELS, words=("label", "class", "target")),
    }
    return [
        Subject(
            "GroupSampler",
            groups,
            {
                "sensitive_features": columns,
                "sampler": anything(),
                "by_label": flag(),
                "random_state": seed(),
            },
        ),
        Subject("GroupSampler.fit_resample", groups, table),
        Subject(
            "CoresetSampler",
            coreset,
            {
                "estimator": anything(words=MODEL),
                "size": anything(*literal(0.5, 1.0, 1, 10**6, 0, -1, 1.5)),
                "criterion": choice("gradient", "loss"),
                "sensitive_features": columns,
                "random_state": seed(),
            },
        ),
        Subject("CoresetSampler.fit_resample", coreset, table),
    ]


def _rules() -> Parameter:
    """Return what may be given as weights of groups."""
    return anything(
        *literal("balanced", "worst", {"nope": 1.0}, ["job"], "job"),
        Odd("a bare bound", GroupBound),
        Odd("a wrong bound", lambda: GroupBound(-1.0)),
        words=("sensitive", "weight", "accuracy_drop"),
    )


def _shared() -> dict[str, Parameter]:
    sizes = [
        *inside(lambda v: (v,), "({},)"),
        *literal((4, 4), (0,), (-1,), (1.5,), (4, "x"), (10**9,), 4),
    ]
    return {
        "hidden_layer_sizes": anything(*sizes),
        "module": anything(),
        "encoder": anything(*literal("passthrough", "drop"), words=("step",)),
        "max_iter": whole(1, optional=True),
        "batch_size": whole(1),
        "learning_rate_init": real(0, open_low=True),
        "alpha": real(0),
        "class_weight": anything(
            *literal("balanced", {"yes": 1.0}, {"yes": 1.0, "no": 1.0}, {"nope": 1.0}),
            *inside(lambda v: {"yes": 1.0, "no": v}, "{'yes': 1.0, 'no': {}}"),
            *literal({"yes": 0.0, "no": 0.0}, {"yes": -1.0, "no": -1.0}, {"yes": 1e308, "no": 1}),
            words=("weight",),
        ),
        "early_stopping": flag(),
        "validation_fraction": real(0, 1, open_low=True),
        "n_iter_no_change": whole(1),
        "warm_start": flag(),
        "callbacks": anything(),
        "device": anything(*literal("cuda", "cpu:7", "meta", "CPU")),
        "random_state": seed(),
        "verbose": anything(),
    }


def _of_students() -> dict[str, Parameter]:
    return {
        "budget": real(0, open_low=True),
        "action_set": only(ActionSet),
        "target": odd_targets(),
        "teacher": anything(
            Odd("a linear model", linear_model),
            Odd("an unfitted teacher", lambda: TeacherClassifier(**NETWORK)),
            Odd("a quantized model", quantized),
            Odd("a frozen class", lambda: FrozenEstimator(TeacherClassifier)),
            words=MODEL,
        ),
        "bit_policy": anything(
            *literal("learned", "uniform", "LEARNED"),
            Odd("the bare base", BitPolicy),
            Odd("a bare heir", _bare_policy),
        ),
        "quantizer": only(Quantizer),
        "memory": anything(*literal("/proc/nowhere", "\x00"), words=("location", "cache")),
    }


def _of_teacher() -> dict[str, Parameter]:
    return {"learning_rate_init": real(0, open_low=True, optional=True)}


def _of_cfq() -> dict[str, Parameter]:
    return _of_teacher() | {
        "objective": anything(*literal("faithful", "paper", "literal", "PAPER")),
        "promise": choice("model", "advice", None),
        "teacher_actions": only(TeacherActions),
    }


def _of_ptq() -> dict[str, Parameter]:
    kept = ("budget", "action_set", "target", "teacher", "quantizer")
    return {name: _of_students()[name] for name in kept} | {
        "calibration": choice("counterfactual", "factual"),
        "allocation": choice("counterfactual", "factual", "margin", "uniform"),
        "allocation_rule": choice("exact", "greedy"),
        "calibrator": choice("mse", "minmax", "percentile", "reconstruction"),
        "percentile": real(0, 100, open_low=True),
        "adaptive_rounding": flag(),
        "bias_correction": flag(),
        "counterfactual_weight": real(0),
        "teacher_actions": only(TeacherActions),
        "encoder": anything(words=("step", "teacher")),
        "candidates": widths(),
        "calibration_size": whole(1, optional=True),
        "random_state": seed(),
    }


def _bare_policy() -> BitPolicy:
    class Bare(BitPolicy):
        """Chooses, and has nothing else."""

        def choose(self, network: Any, budget: float, sample: Any) -> list[int]:
            return [4] * len(network.layers)

    return Bare()


def widths() -> Parameter:
    """Return what may be given as widths."""
    return anything(
        *inside(lambda v: (v,), "({},)"),
        *inside(lambda v: (2, v), "(2, {})"),
        *literal((2, 4), (4, 2), (2, 2), (16,), (0, 4), (64,), (2**70, 2)),
        words=("width", "bit"),
    )


def _of_options(student: dict[str, Any]) -> list[Subject]:
    """Return options, which are checked when a classifier that holds them is fitted."""

    def held(name: str, make: Callable[..., Any], **more: Any) -> Callable[..., Any]:
        def fit(**odd: Any) -> Any:
            model = CFQClassifier(**student | {name: make(**odd)} | more)
            return model.fit(people(), labels())

        return fit

    objective = {
        name: real(0)
        for name in (
            "task",
            "eta",
            "distillation",
            "hinge",
            "hinge_margin",
            "margins",
            "path",
            "mixup",
            "transition",
        )
    }
    return [
        Subject(
            "CFQObjective",
            held("objective", lambda **p: CFQObjective(**{"margins": 1.0} | p)),
            objective
            | {
                "matching": anything(*literal((0.1, 0.2), (0.2, 0.1), (0.1,), (-1, 1)), words=()),
                "dither": flag(),
                "groups": anything(*literal(["job"], ["nope"], "job"), words=("sensitive",)),
                "task_groups": _rules(),
                "finish": only(Finish),
                "all_rows": flag(),
            },
            is_sound,
        ),
        Subject(
            "GroupBound",
            lambda **p: QATClassifier(**student, task_groups=GroupBound(**p)).fit(
                people(), labels(), sensitive_features=people()["job"]
            ),
            {"accuracy_drop": real(0, 1), "rate": real(0, open_low=True)},
            is_sound,
        ),
        Subject(
            "Finish",
            held("objective", lambda **p: CFQObjective(margins=1.0, finish=Finish(**p))),
            {"rounding": whole(1), "validity_drop": real(0, 1, optional=True)},
            is_sound,
        ),
        Subject(
            "CFQObjective.preset",
            lambda **p: CFQObjective.preset(**{"name": "faithful"} | p),
            {"name": choice("faithful", "paper", "literal")},
        ),
        Subject(
            "TeacherActions",
            held("teacher_actions", TeacherActions),
            {
                "n_steps": whole(1),
                "step_size": real(0, open_low=True),
                "method": choice("pgd", "solver"),
                "solver": only(RecourseSolver),
                "share": real(0, 1),
                "max_people": whole(1, optional=True),
                "noise": real(0),
                "early_stopping": flag(),
                "online": flag(),
            },
        ),
        Subject(
            "Quantizer",
            held("quantizer", Quantizer),
            {
                "input_bits": anything(*literal(2, 12, 16, 1, 17, [12], "x")),
                "activation_bits": anything(*literal(8, [8, 8], [8, None], [8, "x"], 33, 0)),
                "granularity": choice("per_channel", "per_tensor"),
                "initialization": anything(*literal("lsq", "mse")),
            },
        ),
        Subject(
            "FixedBits",
            held("bit_policy", lambda bit_widths=(4, 4): FixedBits(bit_widths)),
            {"bit_widths": _fixed_widths()},
        ),
        Subject(
            "LearnedBits",
            held("bit_policy", LearnedBits),
            {
                "candidates": widths(),
                "penalty": real(0),
                "cost": anything(),
                "gradient": choice("measured", "relaxed"),
                "settle": choice("budget", "argmax"),
                "temperatures": anything(
                    *literal((1.0, 0.3), (0.3, 1.0), (1.0, 0.0), (1.0,), (-1, -2)),
                    *inside(lambda v: (1.0, v), "(1.0, {})"),
                ),
                "search_fraction": real(0, 1),
            },
            is_sound,
        ),
        Subject(
            "LearnedBits.preset",
            lambda **p: LearnedBits.preset(**{"name": "literal"} | p),
            {"name": choice("literal")},
        ),
        Subject(
            "SearchedBits",
            held("bit_policy", SearchedBits),
            {
                "kind": choice("task", "error"),
                "max_choices": whole(0),
                "candidates": widths(),
            },
            is_sound,
        ),
        Subject(
            "SensitivityBits",
            held("bit_policy", SensitivityBits),
            {
                "kind": anything(*literal("error", "gradient", "hessian")),
                "allocation": choice("exact", "greedy"),
                "candidates": widths(),
            },
            is_sound,
        ),
        Subject("UnitBits", held("bit_policy", UnitBits), {"candidates": widths()}, is_sound),
        Subject("UniformBits", held("bit_policy", UniformBits), {"candidates": widths()}, is_sound),
        Subject(
            "UniformBits.width",
            lambda **p: UniformBits().width(**{"budget": 4} | p),
            {"budget": real(0, open_low=True)},
        ),
    ]


def _fixed_widths() -> Parameter:
    return anything(
        *inside(lambda v: (v, v), "({}, {})"),
        *literal((4, 4), (4, 4, 4), (8, 8), (0, 4)),
        words=("width", "bit", "budget"),
    )


def _of_promises(student: dict[str, Any]) -> list[Subject]:
    """Return the new promise of each classifier, of which each is fitted once."""
    made = {QATClassifier: student, CFQClassifier: student, PTQClassifier: teaching()}

    @cache
    def fitted(kind: type) -> Any:
        return kind(**made[kind]).fit(people(), labels())

    return [
        Subject(
            f"{kind.__name__}.recalibrate",
            lambda kind=kind, **p: deepcopy(fitted(kind)).recalibrate(**{"X": people()} | p),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "promise": choice("model", "advice", None),
                "validity_drop": real(0, 1, optional=True),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
                "sensitive_features": anything(*ODD_LABELS, words=("group", "length", "missing")),
            },
            is_sound,
        )
        for kind in made
    ]


def _of_predictions() -> list[Subject]:
    asked = {"X": anything(*ODD_TABLES, words=TABLE)}
    return [
        Subject(
            f"{name}.{method}",
            lambda model=model, method=method, **p: getattr(model(), method)(**{"X": people()} | p),
            asked,
        )
        for name, model in (("TeacherClassifier", teacher), ("PTQClassifier", quantized))
        for method in ("predict", "predict_proba", "decision_function")
    ]
