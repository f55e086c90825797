"""Cases of metrics, steps of pipelines, projections, reading and files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from arrays import Arrays, Case, as_array, flat, joined, under
from asked_models import encoder, linear, model_of, people_of, quantized, teacher
from fits import fit_cases
from names import make, public
from sklearn.frozen import FrozenEstimator
from solves import solver_cases, solver_for
from tables import TABLES, free_rules, numeric_columns, table

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
