"""Displays: what is accepted can be drawn and written as SVG."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from expected import Parameter, anything, choice, flag, only, real, refused, whole
from matplotlib.figure import Figure
from odd_values import Odd, inside, literal
from subjects_recourse import MODEL
from subjects_rules import TABLE
from tables import (
    ODD_TABLES,
    labels,
    network_result,
    people,
    quantized,
    solver,
    teacher,
)
from verdicts import Subject

from skcfq import RecourseSolver, plotting

RUNS = pd.DataFrame(
    {
        "method": ["QAT", "QAT", "CFQ", "CFQ"],
        "budget": [2, 4, 2, 4],
        "validity_drop": [0.3, 0.1, 0.2, 0.05],
    }
)
NAME, PROTOCOL = anything(words=("table", "results")), anything()
METRIC = choice(
    "action_overlap",
    "counterfactual_recourse_gap",
    "direction_similarity",
    "signed_recourse_gap",
    "validity_drop",
)
MODELS: dict[str, Parameter] = {
    "reference": refused(words=MODEL),
    "deployed": anything(*inside(lambda v: {"m": v}, "{'m': {}}"), words=MODEL),
}
ASKED: dict[str, Parameter] = {
    "X": anything(*ODD_TABLES, words=(*TABLE, "dim")),
    "solver": only(RecourseSolver),
    "background": anything(*ODD_TABLES, words=TABLE),
}
SHARE = real(0, 1, open_low=True)
RESULT = refused(words=("result", "Result"))
VALUES = [Odd("59 values", lambda: np.zeros(59)), Odd("words", lambda: np.full(60, "x"))]
OF_EACH = inside(lambda v: {"m": v}, "{'m': {}}") + inside(lambda v: {"m": [v]}, "{'m': [{}]}")


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        *_of_tables(),
        *_of_groups(),
        *_of_changes(),
        *_of_layers(),
        *_of_costs(),
        *_of_planes(),
        _subject("MarginDisplay", lambda: {"margins": {"m": [0.5]}, "protocol": "p"}, _each()),
        _subject(
            "MarginDisplay.from_predictions",
            lambda: {"margins": {"m": [0.5]}, "protocol": "p"},
            _each(),
        ),
        _subject(
            "MarginDisplay.from_estimators",
            lambda: _pair() | {"result": network_result()[0]},
            MODELS | {"result": RESULT, "background": ASKED["background"]},
        ),
        Subject(
            "BudgetCurveDisplay.plot",
            lambda **p: _bits().plot(**{"ax": Figure().subplots()} | p),
            {"ax": only(), "show_protocol": flag()},
        ),
        Subject(
            "to_svg",
            lambda **p: plotting.to_svg(
                **{"figure": _figure(), "title": "t", "description": "d"} | p
            ),
            {"figure": refused(), "title": anything(), "description": anything()},
        ),
    ]


def _subject(
    name: str, good: Callable[[], dict[str, Any]], parameters: dict[str, Parameter]
) -> Subject:
    """Attack a class or a class method of a display."""
    first, _, method = name.partition(".")
    made = getattr(plotting, first)
    call = getattr(made, method) if method else made
    return Subject(name, lambda **p: call(**good() | p), parameters, _can_be_drawn)


def _can_be_drawn(display: Any) -> str | None:
    display.plot(Figure().subplots(), show_protocol=True)
    svg = plotting.to_svg(display.figure_, title=display.title, description=display.description)
    return None if svg.startswith("<svg") else "is no picture"


def _each() -> dict[str, Parameter]:
    return {"margins": anything(*OF_EACH), "protocol": PROTOCOL}


def _pair() -> dict[str, Any]:
    return {"reference": teacher(), "deployed": quantized()}


def _asked() -> dict[str, Any]:
    return _pair() | {"X": people().head(12), "solver": solver()}


def _bits() -> Any:
    return plotting.BitAllocationDisplay(bits={"m": [4, 2]}, protocol="p")


@cache
def _figure() -> Figure:
    return _bits().plot(Figure().subplots()).figure_


def _of_tables() -> list[Subject]:
    figures = RUNS.rename(columns={"validity_drop": "value"})
    figures = figures.assign(low=np.nan, high=np.nan, n=1, condition=figures["budget"])
    table = anything(
        *inside(lambda v: figures.assign(value=[v] * 4), "value={}"),
        *inside(lambda v: figures.assign(low=[v] * 4), "low={}"),
        Odd("rows twice", lambda: pd.concat([figures, figures])),
    )
    runs = anything(
        *inside(lambda v: RUNS.assign(validity_drop=[v] * 4), "validity_drop={}"),
        *inside(lambda v: RUNS.assign(budget=[v] * 4), "budget={}"),
        *inside(lambda v: RUNS.assign(method=[v] * 4), "method={}"),
    )
    given = {"table": figures, "metric": "validity_drop", "protocol": "p"}
    read = {"results": RUNS, "metric": "validity_drop", "protocol": "p"}
    own = {"table": table, "metric": anything(), "protocol": PROTOCOL, "label": anything()}
    own_read = {"results": runs, "metric": NAME, "protocol": PROTOCOL, "label": anything()}
    kind = choice("bars", "dots")
    asked = MODELS | ASKED | {"metric": METRIC}
    return [
        _subject("BudgetCurveDisplay", lambda: given, own | {"budget_label": anything()}),
        _subject(
            "BudgetCurveDisplay.from_predictions",
            lambda: read,
            own_read | {"method": NAME, "budget": NAME, "budget_label": anything()},
        ),
        _subject(
            "BudgetCurveDisplay.from_estimators",
            lambda: _asked() | {"deployed": {"PTQ": [quantized()]}},
            asked | {"deployed": refused(*OF_EACH, words=MODEL)},
        ),
        _subject("MethodBarDisplay", lambda: given, own | {"kind": kind}),
        _subject(
            "MethodBarDisplay.from_predictions",
            lambda: read,
            own_read | {"method": NAME, "condition": NAME, "kind": kind},
        ),
        _subject(
            "MethodBarDisplay.from_estimators",
            _asked,
            asked | {"confidence": SHARE, "kind": kind},
        ),
    ]


def _of_groups() -> list[Subject]:
    table = pd.DataFrame(
        {"method": "m", "group": ["a", "b"], "value": [0.1, 0.2], "low": 0.0, "high": 1.0, "n": 9}
    )
    some = {"confidence": SHARE, "min_group_size": whole(1)}
    groups = anything(
        Odd("59 groups", lambda: labels()[:59]), Odd("gaps", lambda: np.full(60, None))
    )
    asked = some | {"groups": groups, "metric": METRIC}
    halves = np.repeat(["a", "b"], 30)
    return [
        _subject(
            "GroupDisplay",
            lambda: {
                "table": table,
                "overall": {"m": 0.15},
                "metric": "validity_drop",
                "protocol": "p",
            },
            some
            | {
                "table": anything(*inside(lambda v: table.assign(n=[v] * 2), "n={}")),
                "overall": anything(*OF_EACH),
                "metric": anything(),
                "protocol": PROTOCOL,
                "label": anything(),
            },
        ),
        _subject(
            "GroupDisplay.from_predictions",
            lambda: {
                "values": np.arange(60) % 2,
                "groups": halves,
                "metric": "validity_drop",
                "protocol": "p",
            },
            some
            | {
                "values": anything(*OF_EACH, *VALUES),
                "groups": groups,
                "metric": anything(),
                "protocol": PROTOCOL,
                "label": anything(),
            },
        ),
        _subject(
            "GroupDisplay.from_results",
            lambda: {"results": network_result(), "deployed": quantized(), "groups": halves},
            asked | {"results": refused(*OF_EACH), "deployed": MODELS["deployed"]},
        ),
        _subject(
            "GroupDisplay.from_estimators",
            lambda: _asked() | {"groups": halves[24:36]},
            asked | MODELS | ASKED,
        ),
    ]


def _of_changes() -> list[Subject]:
    changes = pd.DataFrame(
        {"figure": "f", "group": ["a", "b"], "value": [0.1, -0.2], "low": -1.0, "high": 1.0, "n": 9}
    )
    table = anything(
        *inside(lambda v: changes.assign(value=[v] * 2), "value={}"),
        *inside(lambda v: changes.assign(group=[v] * 2), "group={}"),
        *inside(lambda v: changes.assign(figure=[v, "f"]), "figure={}"),
    )
    given, own = {"table": changes, "protocol": "p"}, {"table": table, "protocol": PROTOCOL}
    names = ("CascadeDisplay", "CascadeDisplay.from_changes")
    return [_subject(name, lambda: given, own) for name in names]


def _of_layers() -> list[Subject]:
    profiles = {"sensitivities": anything(*OF_EACH), "protocol": PROTOCOL, "normalize": flag()}
    widths = {"bits": anything(*OF_EACH), "protocol": PROTOCOL}
    return [
        _subject("BitAllocationDisplay", lambda: {"bits": {"m": [4]}, "protocol": "p"}, widths),
        _subject(
            "BitAllocationDisplay.from_predictions",
            lambda: {"bits": {"m": [4]}, "protocol": "p"},
            widths,
        ),
        _subject(
            "BitAllocationDisplay.from_estimators",
            lambda: {"deployed": quantized()},
            {"deployed": MODELS["deployed"]},
        ),
        _subject(
            "LayerSensitivityDisplay",
            lambda: {"sensitivities": {"m": [1.0]}, "protocol": "p"},
            profiles,
        ),
        _subject(
            "LayerSensitivityDisplay.from_predictions",
            lambda: {"sensitivities": {"m": [1.0]}, "protocol": "p"},
            profiles,
        ),
        _subject(
            "LayerSensitivityDisplay.from_estimator",
            lambda: {"deployed": quantized(), "result": network_result()[0]},
            {
                "deployed": refused(words=MODEL),
                "result": RESULT,
                "background": ASKED["background"],
                "normalize": flag(),
            },
        ),
    ]


def _of_costs() -> list[Subject]:
    table = pd.DataFrame({"method": ["a", "b"], "cost": [1.0, 2.0], "value": [0.2, 0.1]})
    given = {"table": table, "cost": "overhead", "metric": "validity_drop", "protocol": "p"}
    read = {"results": table, "cost": "cost", "metric": "value", "protocol": "p"}
    labeled = {"protocol": PROTOCOL, "cost_label": anything(), "label": anything()}
    odd = inside(lambda v: table.assign(cost=[v] * 2), "cost={}")
    costs = {"cost_reference": [1.0], "cost_deployed": [2.0], "failed": [True], "protocol": "p"}
    each = {name: anything() for name in costs}
    return [
        _subject(
            "CostRobustnessDisplay",
            lambda: given,
            labeled | {"table": anything(*odd), "cost": anything(), "metric": anything()},
        ),
        _subject(
            "CostRobustnessDisplay.from_predictions",
            lambda: read,
            labeled | {"results": anything(*odd), "cost": NAME, "metric": NAME, "method": NAME},
        ),
        _subject(
            "CostRobustnessDisplay.from_results",
            lambda: {"results": {"m": network_result()[0]}, "variants": [quantized()]},
            {
                "results": refused(*OF_EACH),
                "variants": refused(*inside(lambda v: [v], "[{}]"), words=MODEL),
            },
        ),
        _subject("CostShiftDisplay", lambda: costs, each),
        _subject("CostShiftDisplay.from_predictions", lambda: costs, each),
        _subject("CostShiftDisplay.from_estimators", _asked, MODELS | ASKED),
        _subject(
            "CostShiftDisplay.from_results",
            lambda: _results() | {"deployed": quantized()},
            {
                "result_reference": RESULT,
                "result_deployed": RESULT,
                "deployed": refused(words=MODEL),
            },
        ),
    ]


def _results() -> dict[str, Any]:
    return dict(zip(("result_reference", "result_deployed"), network_result(), strict=True))


@cache
def _person() -> int:
    """Return whom both models advise to change the income or the loans alone."""
    refused_ = people()[teacher().predict(people()) != "yes"]
    for position in range(len(refused_)):
        try:
            _plane_of(refused_.iloc[[position]])
        except ValueError:
            continue
        return int(refused_.index[position])
    raise AssertionError("nobody has advice in the plane")


def _plane_of(row: pd.DataFrame) -> Any:
    return plotting.BoundaryDisplay.from_estimators(
        teacher(), quantized(), row, ("income", "loans"), solver=solver()
    )


def _of_planes() -> list[Subject]:
    grid = np.array([[True, False], [False, False]])
    given = {
        "x": [0.0, 1.0],
        "y": [0.0, 1.0],
        "grants_reference": grid,
        "grants_deployed": grid,
        "person": [1.0, 1.0],
        "advice": [0.0, 0.0],
        "advice_fails": False,
        "advice_deployed": [0.0, 0.0],
        "features": ("a", "b"),
        "protocol": "p",
    }
    features = refused(*literal(("age", "age"), ("age", "job"), ("age", "x"), ["age"]))

    def asked() -> dict[str, Any]:
        row = people().loc[[_person()]]
        return _pair() | {"x": row, "features": ("income", "loans"), "solver": solver()}

    def read() -> dict[str, Any]:
        rules = solver().action_set.set_params(actionable=["income", "loans"])
        row = people().loc[[_person()]]
        results = solver(action_set=rules).compare(teacher(), quantized(), row)
        names = "result_reference", "result_deployed"
        return _pair() | dict(zip(names, results, strict=True)) | {"features": ("income", "loans")}

    return [
        _subject("BoundaryDisplay", lambda: given, {name: anything() for name in given}),
        _subject(
            "BoundaryDisplay.from_estimators",
            asked,
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "x": anything(*ODD_TABLES, words=(*TABLE, "dim", "row")),
                "features": features,
                "solver": only(RecourseSolver),
                "background": ASKED["background"],
            },
        ),
        _subject(
            "BoundaryDisplay.from_results",
            read,
            {
                "reference": refused(words=MODEL),
                "deployed": refused(words=MODEL),
                "result_reference": RESULT,
                "result_deployed": RESULT,
                "features": features,
                "row": anything(),
            },
        ),
    ]
