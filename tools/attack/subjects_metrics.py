"""Metrics, scorers, and what is done with a bias."""

from __future__ import annotations

import math
from typing import Any

from expected import Parameter, anything, choice, only, real, refused, seed, whole
from odd_values import Odd, literal
from subjects_recourse import MODEL, odd_targets
from subjects_rules import TABLE
from tables import (
    ODD_LABELS,
    ODD_TABLES,
    ODD_WEIGHTS,
    labels,
    network_result,
    people,
    quantized,
    solver,
    teacher,
    trained,
)
from verdicts import Subject

from skcfq import ActionSet, RecourseSolver
from skcfq.estimators import bias_for_validity_drop, with_logit_bias
from skcfq.metrics import (
    RecourseScorer,
    action_overlap,
    advice_margin,
    counterfactual_recourse_gap,
    crg_scorer,
    deployment_success,
    direction_similarity,
    faithfulness_scorer,
    feasible_recourse_rate,
    select_faithful,
    single_precision_drop,
    validity_drop,
    validity_drop_limits,
    vd_scorer,
)

RESULT = ("result", "Result")
WEIGHTS = anything(*ODD_WEIGHTS, words=("weight",))
SEARCH = {
    "mean_test_accuracy": [0.8, 0.79],
    "mean_test_validity_drop": [-0.1, -0.02],
    "std_test_accuracy": [0.01, 0.01],
}


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    pair = {"result_reference": refused(words=RESULT), "result_deployed": refused(words=RESULT)}
    return [
        Subject(
            "validity_drop",
            lambda **p: validity_drop(
                **{"reference": teacher(), "deployed": quantized(), "result": network_result()[0]}
                | p
            ),
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "result": refused(words=RESULT),
                "kind": choice("target", "mismatch"),
                "sample_weight": WEIGHTS,
            },
            _is_share,
        ),
        Subject(
            "counterfactual_recourse_gap",
            lambda **p: counterfactual_recourse_gap(**_pair() | p),
            pair
            | {
                "kind": choice("absolute", "signed", "median", "ratio"),
                "eps": real(0),
                "sample_weight": WEIGHTS,
            },
        ),
        Subject(
            "direction_similarity",
            lambda **p: direction_similarity(**_pair() | p),
            pair | {"eps": real(0), "sample_weight": WEIGHTS},
        ),
        Subject(
            "action_overlap",
            lambda **p: action_overlap(**_pair() | p),
            pair | {"threshold": real(0, optional=True), "sample_weight": WEIGHTS},
            _is_share,
        ),
        Subject(
            "feasible_recourse_rate",
            lambda **p: feasible_recourse_rate(**{"result": network_result()[0]} | p),
            {"result": refused(words=RESULT), "sample_weight": WEIGHTS},
            _is_share,
        ),
        Subject(
            "deployment_success",
            lambda **p: deployment_success(
                **{"result": network_result()[0], "variants": [quantized()]} | p
            ),
            {
                "result": refused(words=RESULT),
                "variants": anything(Odd("a model, not a list", quantized), words=MODEL),
                "sample_weight": WEIGHTS,
            },
        ),
        Subject(
            "single_precision_drop",
            lambda **p: single_precision_drop(
                **{"reference": teacher(), "result": network_result()[0]} | p
            ),
            {
                "reference": refused(words=MODEL),
                "result": refused(words=RESULT),
                "background": anything(*ODD_TABLES, words=TABLE),
                "sample_weight": WEIGHTS,
            },
            _is_share,
        ),
        *_subjects_of_people_to_come(),
        *_subjects_of_scorers(),
        Subject(
            "select_faithful",
            lambda **p: select_faithful(**{"cv_results": SEARCH} | p),
            {
                "cv_results": refused(*_odd_searches(), words=("mean_test", "scoring")),
                "tolerance": real(0),
                "accuracy": choice("accuracy"),
                "by": choice("validity_drop"),
            },
        ),
        Subject(
            "bias_for_validity_drop",
            lambda **p: bias_for_validity_drop(
                **{"model": quantized(), "result": network_result()[0], "validity_drop": 0.1} | p
            ),
            {
                "model": refused(words=MODEL),
                "result": refused(words=RESULT),
                "validity_drop": real(0, 1),
            },
        ),
        Subject(
            "with_logit_bias",
            lambda **p: with_logit_bias(
                **{"model": quantized(), "target": "yes", "bias": 0.5} | p
            ).predict(people()),
            {
                "model": refused(words=MODEL),
                "target": Parameter(lambda v: False, words=("class", "label")),
                "bias": real(),
            },
        ),
    ]


def _subjects_of_people_to_come() -> list[Subject]:
    models = {"reference": refused(words=MODEL), "deployed": refused(words=MODEL)}
    share, without_action = real(0, 1, open_low=True), choice("exclude", "fail")
    return [
        Subject(
            "validity_drop_limits",
            lambda **p: validity_drop_limits(
                **{"reference": teacher(), "deployed": quantized(), "result": network_result()[0]}
                | p
            ),
            models
            | {
                "result": refused(words=RESULT),
                "groups": anything(*ODD_LABELS),
                "sample_weight": WEIGHTS,
                "confidence": share,
                "wanted": real(0, 1, optional=True, open_low=True),
                "without_action": without_action,
            },
        ),
        Subject(
            "advice_margin",
            lambda **p: advice_margin(
                **{
                    "reference": teacher(),
                    "deployed": quantized(),
                    "X_calibration": people(),
                    "margins": [0.1],
                    "solver": solver(),
                }
                | p
            ),
            models
            | {
                # scikit-learn speaks of an array's dimensions, and names X alone.
                "X_calibration": anything(*ODD_TABLES, words=(*TABLE, "dim")),
                "validity_drop": share,
                "confidence": share,
                "margins": anything(*literal([], [-1.0], [[1.0]], ["x"], [float("nan")], [1e300])),
                "solver": only(RecourseSolver),
                "background": anything(*ODD_TABLES, words=TABLE),
                "without_action": without_action,
            },
        ),
    ]


def _pair() -> dict[str, Any]:
    reference, deployed = network_result()
    return {"result_reference": reference, "result_deployed": deployed}


def _is_share(value: Any) -> str | None:
    return None if math.isnan(value) or 0 <= value <= 1 else f"is {value!r}"


def _odd_searches() -> list[Odd]:
    return [
        *literal({"mean_test_accuracy": [1.0]}, {"mean_test_accuracy": []}),
        *literal({name: [float("nan")] * 2 for name in SEARCH}, {name: ["x"] for name in SEARCH}),
    ]


def _subjects_of_scorers() -> list[Subject]:
    def score(**parameters: Any) -> Any:
        given = {"metrics": "validity_drop", "solver": solver(), "random_state": 0}
        scorer = RecourseScorer(**given | parameters)
        return scorer.score(trained(), people(), labels())

    asked = {
        "estimator": refused(words=(*MODEL, "reference")),
        "X": anything(*ODD_TABLES, words=TABLE),
        "y": anything(*ODD_LABELS),
    }
    given = {"estimator": trained, "X": people, "y": labels}

    def call(scorer: Any) -> Any:
        return lambda **p: scorer(**{name: make() for name, make in given.items()} | p)

    return [
        Subject(
            "RecourseScorer",
            score,
            {
                "metrics": anything(
                    *literal("crg", "validity_drop", ["validity_drop", "x"], ["validity_drop"] * 2)
                ),
                "solver": only(RecourseSolver),
                "reference": anything(words=MODEL),
                "action_set": only(ActionSet),
                "target": odd_targets(),
                "background": anything(*ODD_TABLES, words=TABLE),
                "max_people": whole(1, optional=True),
                "random_state": seed(),
            },
        ),
        Subject("vd_scorer", call(vd_scorer), asked),
        Subject("crg_scorer", call(crg_scorer), asked),
        Subject("faithfulness_scorer", call(faithfulness_scorer), asked),
    ]
