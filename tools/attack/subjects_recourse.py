"""The solver, its results, and the estimators that hold one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from expected import Parameter, anything, choice, flag, only, real, refused, seed, whole
from odd_values import COMMON, Odd, inside, literal
from subjects_rules import PATH, TABLE, odd_paths
from tables import (
    ODD_LABELS,
    ODD_TABLES,
    ODD_WEIGHTS,
    labels,
    linear_model,
    network_result,
    people,
    quantized,
    result,
    rules,
    solver,
    teacher,
)
from verdicts import Subject

from skcfq import ActionSet, CounterfactualSampler, RecourseSolver, RecourseTransformer
from skcfq.solvers import Effort, Method, differentiable

STATUSES = {
    "already_favorable",
    "feasible",
    "infeasible",
    "not_found",
    "optimal",
    "time_limit",
}
MODEL = ("model", "estimator", "classifier", "fitted", "predict")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject("RecourseSolver", _solve_with, _solver_parameters(), answers_are_right),
        Subject("RecourseSolver (networks)", _search_with, _search_parameters(), answers_are_right),
        Subject("RecourseSolver (pgd)", _recursion_with, _recursion_parameters()),
        Subject("RecourseSolver.solve", _solve, _solve_parameters(), answers_are_right),
        Subject(
            "RecourseSolver.solve_chunks",
            _chunks,
            {
                "model": refused(words=MODEL),
                "chunks": anything(*_odd_chunks(), words=TABLE),
                "background": anything(*ODD_TABLES, words=TABLE),
                "variants": anything(words=MODEL),
                "total": whole(0, optional=True),
            },
        ),
        Subject(
            "RecourseSolver.compare",
            lambda **p: solver().compare(
                **{"reference": teacher(), "deployed": quantized(), "X": people().head(8)} | p
            ),
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "X": anything(*ODD_TABLES, words=TABLE),
                "background": anything(*ODD_TABLES, words=TABLE),
                "overrides": anything(*_odd_overrides()),
                "keep_partial": flag(),
            },
        ),
        Subject(
            "RecourseSolver.menu",
            lambda **p: solver().menu(
                **{"model": linear_model(), "x": people().head(1), "max_levers": 1} | p
            ),
            {
                "model": refused(words=MODEL),
                "x": anything(*ODD_TABLES, words=TABLE),
                "max_levers": whole(1),
                "background": anything(*ODD_TABLES, words=TABLE),
                "overrides": anything(*_odd_overrides()),
            },
        ),
        Subject(
            "RecourseMenu.to_frame",
            lambda **p: solver().menu(linear_model(), people().head(1), max_levers=1).to_frame(**p),
            {"units": _odd_units()},
        ),
        Subject(
            "RecourseSolver.from_estimator",
            lambda **p: RecourseSolver.from_estimator(**{"estimator": teacher()} | p),
            {"estimator": refused(words=MODEL)},
        ),
        *_subjects_of_results(),
        *_subjects_of_holders(),
        *_subjects_of_methods(),
    ]


def answers_are_right(answers: Any) -> str | None:
    """Say what is wrong with results: unknown words, or points where the model says no."""
    if not set(answers.status) <= STATUSES:
        return f"has the statuses {sorted(set(answers.status))}"
    reached = np.isin(answers.status, ["optimal", "feasible"])
    if not np.isfinite(answers.cost[reached]).all():
        return "has costs that are not finite"
    return None


def _solve_with(**parameters: Any) -> Any:
    return solver(**parameters).solve(linear_model(), people().head(12))


def _search_with(**parameters: Any) -> Any:
    return solver(**parameters).solve(teacher(), people().head(6))


def _recursion_with(**parameters: Any) -> Any:
    return solver(method="pgd", **parameters).solve(teacher(), people().head(6))


def _solve(**parameters: Any) -> Any:
    return solver().solve(**{"model": linear_model(), "X": people().head(12)} | parameters)


def _chunks(**parameters: Any) -> list:
    given = {"model": linear_model(), "chunks": [people().head(4), people().tail(4)]}
    return list(solver().solve_chunks(**given | parameters))


def _weights() -> Parameter:
    return anything(
        *inside(lambda v: {"income": v}, "{'income': {}}"),
        *literal({"nope": 1.0}, [1.0] * 4, [1.0] * 5, [-1.0] * 4, [float("nan")] * 4, "STD"),
        words=("weight",),
    )


def odd_targets() -> Parameter:
    """Return what may be given as the wanted label."""
    return anything(
        *literal("yes", "no", "maybe", "opposite", ["yes"], ["yes"] * 12, ["maybe"] * 12),
        Odd("a function", lambda: lambda x, y: "yes"),
        words=("label", "class"),
    )


def _solver_parameters() -> dict[str, Parameter]:
    return {
        "action_set": only(ActionSet),
        "method": choice("auto", "exact", "lp", "qp", "milp", "gradient", "black_box", "pgd"),
        "cost": choice(None, "l1", "l2", "mixed"),
        "cost_weights": _weights(),
        "target": odd_targets(),
        "margin": real(0),
        "target_proba": real(0, 1, optional=True),
        "perturbation_radius": real(0),
        "weight_radius": real(0),
        "n_alternatives": whole(1),
        "time_limit": real(0, optional=True, open_low=True),
        "batch_size": whole(1, optional=True),
        "n_jobs": anything(),
        "random_state": seed(),
        "verbose": anything(),
    }


def _search_parameters() -> dict[str, Parameter]:
    return {
        "n_restarts": whole(0),
        "beam_width": whole(1),
        "max_nodes": whole(1),
        "perturbation_radius": real(0),
        "n_alternatives": whole(1),
        "margin": real(0),
        "cost_weights": _weights(),
        "random_state": seed(),
    }


def _recursion_parameters() -> dict[str, Parameter]:
    return {"n_steps": whole(1), "step_size": real(0, open_low=True)}


def _odd_overrides() -> list[Odd]:
    return [
        *inside(lambda v: {0: v}, "{0: {}}", COMMON),
        *inside(lambda v: {v: {"immutable": ["income"]}}, "{{}: {'immutable': ['income']}}"),
        *inside(lambda v: {0: {"immutable": v}}, "{0: {'immutable': {}}}", COMMON),
        *inside(lambda v: {0: {"bounds": v}}, "{0: {'bounds': {}}}", COMMON),
        *inside(
            lambda v: {0: {"bounds": {"income": v}}}, "{0: {'bounds': {'income': {}}}}", COMMON
        ),
        *inside(
            lambda v: {0: {"bounds": {"loans": (v, 3)}}}, "{0: {'bounds': {'loans': ({}, 3)}}}"
        ),
        *literal({0: {"steps": {"income": 1}}}, {0: {"bounds": {"income": (3, 2)}}}),
    ]


def _odd_chunks() -> list[Odd]:
    return [
        Odd("a frame", people),
        Odd("an empty chunk", lambda: [people().head(0), people().head(2)]),
        Odd("None among them", lambda: [people().head(2), None]),
        Odd("another table", lambda: [people().head(2), people().head(2).drop(columns="job")]),
        Odd("an array among them", lambda: [people().head(2), people().head(2).to_numpy()]),
    ]


def _solve_parameters() -> dict[str, Parameter]:
    starts = [
        Odd("as many rows", lambda: people().head(12)),
        Odd("a row less", lambda: people().head(11)),
        Odd("far away", lambda: people().head(12).assign(income=1e12)),
        *ODD_TABLES,
    ]
    return {
        "model": refused(words=MODEL),
        "X": anything(*ODD_TABLES, words=TABLE),
        "background": anything(*ODD_TABLES, words=TABLE),
        "overrides": anything(*_odd_overrides()),
        "start": anything(*starts, words=TABLE),
        "variants": anything(
            Odd("a model, not a list", linear_model),
            Odd("a list of models", lambda: [linear_model()]),
            Odd("another kind of model", lambda: [teacher()]),
            words=MODEL,
        ),
        "keep_partial": flag(),
    }


def _odd_units() -> Parameter:
    return anything(
        *inside(lambda v: {"income": v}, "{'income': {}}", COMMON), *literal({"nope": "EUR"})
    )


def _subjects_of_results() -> list[Subject]:
    person = anything(*literal(5, 59, 60, -1, [0], (0,)), words=("row", "label"))
    row = Parameter(lambda v: None if isinstance(v, int | np.integer | type(None)) else False)
    units = _odd_units()
    return [
        Subject(
            "RecourseResult.explain",
            lambda **p: result().explain(**({"person": 5} if "row" not in p else {}) | p),
            {"person": person, "row": row, "units": units, "model": anything(words=MODEL)},
        ),
        Subject(
            "RecourseResult.flipset",
            lambda **p: result().flipset(**({"person": 5} if "row" not in p else {}) | p),
            {"person": person, "row": row, "units": units},
        ),
        Subject(
            "RecourseResult.to_frame",
            lambda **p: result().to_frame(**p),
            {"units": units, "details": flag()},
        ),
        Subject(
            "RecourseResult.with_units",
            lambda **p: result().with_units(**{"units": {"income": "EUR"}} | p),
            {"units": units},
        ),
        Subject(
            "RecourseResult.to_json",
            lambda **p: result().to_json(**p),
            {"path": anything(*odd_paths(), words=PATH)},
        ),
        Subject(
            "RecourseResult.delta_of",
            lambda **p: network_result()[0].delta_of(**{"rows": np.array([0])} | p),
            {"rows": anything(*literal([0], [60], [-61], [True]))},
        ),
        Subject(
            "RecourseResult.contributions_of",
            lambda **p: result().contributions_of(**{"rows": np.array([0])} | p),
            {"rows": anything(*literal([0], [60], [-61], [True]))},
        ),
    ]


def _subjects_of_holders() -> list[Subject]:
    common = {
        "estimator": refused(words=MODEL),
        "solver": only(RecourseSolver),
        "action_set": only(ActionSet),
        "target": odd_targets(),
        "random_state": seed(),
    }
    given = {"action_set": rules(), "target": "yes"}

    def transform(X: Any = None, **parameters: Any) -> Any:
        step = RecourseTransformer(**{"estimator": linear_model()} | given | parameters)
        return step.fit(people(), labels()).transform(people().head(6) if X is None else X)

    @cache
    def fitted() -> RecourseTransformer:
        return RecourseTransformer(linear_model(), **given).fit(people())

    def resample(X: Any = None, y: Any = None, **parameters: Any) -> Any:
        sampler = CounterfactualSampler(**{"estimator": linear_model()} | given | parameters)
        X, y = people() if X is None else X, labels() if y is None else y
        return sampler.fit_resample(X, y)

    return [
        Subject("RecourseTransformer", transform, common | {"add_status": flag()}),
        Subject(
            "RecourseTransformer.transform", transform, {"X": anything(*ODD_TABLES, words=TABLE)}
        ),
        Subject(
            "RecourseTransformer.fit",
            lambda **p: RecourseTransformer(linear_model(), **given).fit(**{"X": people()} | p),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "y": anything(*ODD_LABELS, words=("label", "class", "sample")),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
            },
        ),
        Subject(
            "RecourseTransformer.solve",
            lambda **p: fitted().solve(**{"X": people().head(6)} | p),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "overrides": anything(*_odd_overrides()),
            },
        ),
        Subject(
            "RecourseTransformer.get_feature_names_out",
            lambda **p: fitted().get_feature_names_out(**p),
            {"input_features": anything(*literal(list(people()), ["a"] * 5))},
        ),
        Subject("CounterfactualSampler", resample, common | {"share": real(0, 1)}),
        Subject(
            "CounterfactualSampler.fit_resample",
            resample,
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "y": anything(*ODD_LABELS, words=("label", "class", "target")),
            },
        ),
    ]


def _own_method(**parameters: Any) -> Any:
    def stay(problem: Any, effort: Effort, starts: Any) -> Any:
        return problem.own_states()

    method = Method(**{"name": "stay", "solve": stay, "requires": (differentiable,)} | parameters)
    return solver(method=method).solve(teacher(), people().head(4))


def _subjects_of_methods() -> list[Subject]:
    """Methods of a user's own, whose parameters are checked where they are made or used."""
    return [
        Subject(
            "Method",
            _own_method,
            {
                "name": anything(),
                "solve": refused(words=("method", "Method")),
                "proves": anything(),
                "requires": anything(words=("require",)),
                "batch_size": whole(1),
                "linear": anything(),
                **{name: flag() for name in ("gradients", "literal")},
                "nonlinear": anything(),
                "otherwise": only(Method),
                "shortcut": anything(),
            },
        )
    ]
