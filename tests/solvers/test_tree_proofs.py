"""Proofs on ensembles of trees against brute force over everything that people may do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lattice_cases import (
    OTHER_RULES,
    RULES,
    assert_optimal,
    draw_people,
    every_point,
    least_costs,
    problem_for,
)
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skcfq import ActionSet, RecourseSolver, TableEncoder
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import as_predictor
from skcfq.proofs import _branching, branch_and_bound, greedy_points
from skcfq.solvers.exact import _trees
from skcfq.solvers.exact._trees import lattice_for, search_for, solve_trees
from skcfq.solvers.problems import Effort

PEOPLE = draw_people(40)
BACKGROUND = draw_people(300, 1)
NUMBERS, TEXTS = ["age", "income", "debt"], ["grade", "color"]


def draw_trees(estimator, n_classes=2, encoder=None):
    """Fit trees on labels that depend on all columns, and on chance."""
    rng = np.random.RandomState(0)
    score = BACKGROUND["income"] / 60 - BACKGROUND["debt"] / 25 + rng.normal(0, 0.4, 300)
    score += (BACKGROUND["grade"] == "high") * 0.5 + (BACKGROUND["color"] == "blue") * 0.5
    score -= (BACKGROUND["color"] == "red") * (BACKGROUND["income"] > 30) * 0.8
    labels = np.searchsorted(np.quantile(score, np.arange(1, n_classes) / n_classes), score)
    return make_pipeline(encoder or TableEncoder(), estimator).fit(BACKGROUND, labels)


def lightgbm(**parameters):
    module = pytest.importorskip("lightgbm")
    return module.LGBMClassifier(
        n_estimators=12, min_child_samples=5, verbose=-1, n_jobs=1, **parameters
    )


def xgboost(**parameters):
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=10, n_jobs=1, **parameters)


ESTIMATORS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "random tree": lambda: ExtraTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(15, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(12, max_depth=7, random_state=0),
    "bagged": lambda: BaggingClassifier(n_estimators=8, max_features=0.6, random_state=0),
    "boosted": lambda: GradientBoostingClassifier(n_estimators=12, random_state=0),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=15, random_state=0),
    "lightgbm": lightgbm,
    "xgboost": xgboost,
}


def problem_of(models, rules=RULES, **parameters):
    asked = parameters.pop("asked", PEOPLE)
    return problem_for(models, BACKGROUND, rules, asked=asked, **parameters)


def assert_proved(problem):
    """Compare with brute force; return the least costs."""
    search = search_for(problem, lattice_for(problem))
    return assert_optimal(problem, search.lattice, branch_and_bound(search, most_boxes=100_000))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_kind_of_ensemble(kind, n_classes):
    least = assert_proved(problem_of([draw_trees(ESTIMATORS[kind](), n_classes)]))
    assert np.isfinite(least).sum() > 3


@pytest.mark.parametrize("kind", ["forest", "histograms"])
@pytest.mark.parametrize("rules", OTHER_RULES)
def test_every_kind_of_rule(kind, rules):
    model = draw_trees(ESTIMATORS[kind]())
    assert np.isfinite(assert_proved(problem_of([model], RULES | OTHER_RULES[rules]))).sum() > 3


@pytest.mark.parametrize("norm", ["l2", "mixed"])
@pytest.mark.parametrize("kind", ["extra trees", "boosted"])
def test_every_norm(kind, norm):
    rules = RULES | {"steps": {"income": 4, "debt": 2}, "max_changes": 4}
    assert_proved(problem_of([draw_trees(ESTIMATORS[kind]())], rules, norm=norm))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ["forest", "boosted"])
def test_margins(kind, n_classes):
    model = draw_trees(ESTIMATORS[kind](), n_classes)
    nearer = np.array(least_costs(problem_of([model])))
    farther = assert_proved(problem_of([model], margin=0.4))
    assert (farther >= nearer).all() and (farther > nearer).any()


def test_several_models_at_once():
    models = [draw_trees(ESTIMATORS[kind]()) for kind in ("forest", "boosted", "tree")]
    least = assert_proved(problem_of(models, RULES | {"max_changes": 4}, target=1))
    assert np.isfinite(least).sum() > 3


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_thresholds_of_the_models_own(threshold):
    """A forest of ten trees says 0.6 exactly, which a threshold of 0.6 lets pass."""
    stumps = RandomForestClassifier(10, max_depth=1, random_state=0)
    for estimator in (stumps, ESTIMATORS["histograms"]()):
        inner = FrozenEstimator(draw_trees(estimator))
        model = FixedThresholdClassifier(inner, threshold=threshold, pos_label=1)
        model.fit(BACKGROUND, inner.predict(BACKGROUND))
        for target in (0, 1):
            assert_proved(problem_of([model], target=target))


@pytest.mark.parametrize("scaled", [False, True])
def test_encoders_in_front(scaled):
    numbers = StandardScaler() if scaled else "passthrough"
    encoder = make_column_transformer((numbers, NUMBERS), (OneHotEncoder(), TEXTS))
    ordinal = make_column_transformer((numbers, NUMBERS), (OrdinalEncoder(), TEXTS))
    for front in (encoder, ordinal):
        assert_proved(problem_of([draw_trees(ESTIMATORS["forest"](), encoder=front)]))


def test_points_that_hold_under_jitter():
    model = draw_trees(ESTIMATORS["forest"]())
    people = PEOPLE.head(8)
    steady = assert_proved(problem_of([model], perturbation_radius=0.3, asked=people))
    plain = np.array(least_costs(problem_of([model], asked=people)))
    assert (steady >= plain).all() and (steady > plain).any()


def test_rules_of_single_people_and_categories_that_nobody_knows():
    people = PEOPLE.copy()
    people.loc[:9, "color"] = "violet"
    overrides = {row: {"immutable": ["color"]} for row in range(5)}
    overrides |= {row: {"bounds": {"income": (20, 40)}} for row in range(20, 30)}
    for kind in ("forest", "histograms"):
        model = draw_trees(ESTIMATORS[kind]())
        assert_proved(problem_of([model], asked=people, overrides=overrides))


def _thresholds(model, column):
    """Return the thresholds of a fitted forest or histogram on an encoded column."""
    final = model[-1]
    if hasattr(final, "estimators_"):
        trees = [tree.tree_ for tree in final.estimators_]
        found = [tree.threshold[tree.feature == column] for tree in trees]
    else:
        nodes = [tree.nodes for stage in final._predictors for tree in stage]
        found = [
            n["num_threshold"][(n["feature_idx"] == column) & (n["is_leaf"] == 0)] for n in nodes
        ]
    return np.unique(np.concatenate(found))


@pytest.mark.parametrize("kind", ["forest", "histograms"])
@pytest.mark.parametrize("bounds", [(0, 60), (None, None)])
def test_a_continuum_between_thresholds(kind, bounds):
    model = draw_trees(ESTIMATORS[kind]())
    rules = RULES | {"steps": {"debt": 5}, "max_changes": 2, "min_change": {"income": 4}}
    rules = rules | {"bounds": RULES["bounds"] | {"income": bounds}}
    problem = problem_of([model], rules, asked=PEOPLE.head(12))
    answer = solve_trees(problem, Effort())
    column = int(problem.numeric_columns[0])
    edges = _thresholds(model, column)
    away = 1e-6 * np.abs(edges).max()
    for person in range(problem.n_people):
        own = problem.region.values[person, 0].item()
        least_move = problem.region.min_change[person, 0].item()
        ends = problem.region.lower[person, 0].item(), problem.region.upper[person, 0].item()
        tried = [*(edges - away), *(edges + away), own - least_move, own + least_move, *ends]
        tried = [v for v in tried if ends[0] <= v <= ends[1] and np.isfinite(v)]
        tried = [own, *(v for v in tried if abs(v - own) >= least_move * (1 - 1e-9))]
        states = every_point(problem, person, {0: tried})
        least = min(states.cost[states.valid].tolist(), default=np.inf)
        assert answer.bound[person].item() == pytest.approx(least, rel=1e-5)
        assert answer.status[person] == ("optimal" if np.isfinite(least) else "infeasible")


def test_raw_rows_confirm_what_is_proved_and_searches_are_never_cheaper():
    rules = RULES | {"steps": {}, "increasing": [], "decreasing": []}
    people = PEOPLE.head(12)
    asked = {"target": 1, "random_state": 0}
    for kind in ("boosted", "histograms"):
        model = draw_trees(ESTIMATORS[kind]())
        proved = RecourseSolver(ActionSet(**rules), **asked).solve(
            model, people, background=BACKGROUND
        )
        assert proved.method == "exact"
        assert set(proved.status) <= {"optimal", "infeasible", "already_favorable"}
        search = RecourseSolver(ActionSet(**rules), method="black_box", **asked).solve(
            model, people, background=BACKGROUND
        )
        assert (proved.reachable >= search.reachable).all()
        both = search.reachable
        assert (proved.cost[both] <= search.cost[both] * (1 + 1e-6)).all()


def test_gaps_are_kept_and_go_where_the_model_sends_them():
    people = PEOPLE[NUMBERS].mask(np.random.RandomState(0).rand(40, 3) < 0.3)
    background = BACKGROUND[NUMBERS].mask(np.random.RandomState(1).rand(300, 3) < 0.2)
    labels = BACKGROUND["income"] - BACKGROUND["age"] > 0
    for estimator in (ESTIMATORS["forest"](), ESTIMATORS["histograms"]()):
        model = estimator.fit(background, labels)
        rules = {
            "immutable": ["age"],
            "steps": {"income": 5, "debt": 5},
            "bounds": {"income": (0, 60)},
        }
        problem = problem_for([model], background, rules, asked=people)
        assert_proved(problem)


def test_a_budget_that_is_spent_leaves_a_bound_and_what_was_found():
    problem = problem_of(
        [draw_trees(ESTIMATORS["forest"]())], RULES | {"steps": {"income": 1, "debt": 1}}
    )
    whole = solve_trees(problem, Effort())
    assert {"optimal", "infeasible"} >= set(whole.status)
    cut = solve_trees(problem, Effort(max_nodes=2))
    assert {"feasible", "time_limit"} & set(cut.status)
    assert (cut.bound <= whole.bound * (1 + 1e-12)).all()
    late = solve_trees(problem, Effort(time_limit=0.0))
    assert set(late.status) == {"time_limit"}
    assert (late.bound == 0).all()


def test_what_is_known_when_interrupted_is_kept(monkeypatch):
    problem = problem_of(
        [draw_trees(ESTIMATORS["forest"]())], RULES | {"steps": {"income": 1, "debt": 1}}
    )
    whole = solve_trees(problem, Effort())
    rounds = []

    def broken(boxes, *more):
        rounds.append(len(boxes))
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return blocks(boxes, *more)

    blocks = _branching._blocks
    monkeypatch.setattr(_branching, "_blocks", broken)
    answer = solve_trees(problem, Effort())
    assert answer.interrupted
    assert {"feasible", "time_limit"} & set(answer.status)
    assert (answer.bound <= whole.bound * (1 + 1e-12)).all()
    proved = np.isin(answer.status, ["optimal", "infeasible"])
    assert torch.equal(answer.values[proved], whole.values[proved])


@pytest.mark.parametrize("kind", ["forest", "boosted"])
def test_an_answer_does_not_depend_on_who_else_is_asked(kind):
    problem = problem_of([draw_trees(ESTIMATORS[kind](), 3)], RULES | {"steps": {"debt": 1}})
    together = solve_trees(problem, Effort(max_nodes=4))
    assert {"feasible", "time_limit"} & set(together.status)
    for people in (slice(0, 1), slice(3, 9)):
        rows = torch.arange(problem.n_people)[people]
        alone = solve_trees(problem.take(rows), Effort(max_nodes=4))
        assert alone.status.tolist() == together.status[people].tolist()
        assert torch.equal(alone.values, together.values[people])
        assert torch.equal(alone.levels, together.levels[people])
        assert torch.equal(alone.bound, together.bound[people])


def test_what_cannot_be_read_is_refused_or_searched():
    nested = BaggingClassifier(RandomForestClassifier(2), n_estimators=2, random_state=0)
    model = draw_trees(nested)
    assert as_predictor(model, background=BACKGROUND).trees is None
    with pytest.raises(UnsupportedModelError, match="BaggingClassifier.*'black_box'"):
        RecourseSolver(ActionSet(**RULES), method="exact", target=1).solve(
            model, PEOPLE, background=BACKGROUND
        )
    solver = RecourseSolver(ActionSet(**RULES), target=1, random_state=0)
    result = solver.solve(model, PEOPLE.head(3), background=BACKGROUND)
    assert result.method == "black_box"


def test_rules_across_a_continuum_are_refused():
    rules = RULES | {"steps": {"debt": 5}, "constraints": ["income >= 2 * debt"]}
    model = draw_trees(ESTIMATORS["forest"]())
    with pytest.raises(UnsupportedModelError, match="'income' moves continuously"):
        RecourseSolver(ActionSet(**rules), method="exact", target=1).solve(
            model, PEOPLE, background=BACKGROUND
        )


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("kind", ["forest", "histograms"])
def test_greedy_points_are_answers_that_spare_boxes(kind, most):
    rules = RULES | {"steps": {"income": 1, "debt": 1}, "max_changes": most}
    problem = problem_of([draw_trees(ESTIMATORS[kind]())], rules)
    search = search_for(problem, lattice_for(problem))
    points = greedy_points(search)
    found = np.flatnonzero((points != search.lattice.own).any(axis=1))
    assert len(found) > 3 and search.is_valid(found, points[found]).all()
    plain = branch_and_bound(search, most_boxes=100_000)
    begun = branch_and_bound(search, most_boxes=100_000, starts=[points])
    assert begun.cost == pytest.approx(plain.cost, rel=1e-9)
    assert begun.n_boxes.sum() < 0.7 * plain.n_boxes.sum()
    assert (greedy_points(search, until=0.0) == search.lattice.own).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_random_ensembles_rules_and_norms(seed):
    rng = np.random.RandomState(seed)
    n_classes = int(rng.choice([2, 2, 3]))
    kinds = rng.choice(list(ESTIMATORS)[:7], rng.choice([1, 1, 2]), replace=False)
    rules = RULES | {"max_changes": [1, 2, 3, None][rng.randint(4)]}
    for name in rng.choice(list(OTHER_RULES), rng.randint(3), replace=False):
        rules |= OTHER_RULES[name]
    problem = problem_of(
        [draw_trees(ESTIMATORS[kind](), n_classes) for kind in kinds],
        rules,
        asked=draw_people(60, seed),
        norm=str(rng.choice(["l1", "l2", "mixed"])),
        margin=float(rng.choice([0.0, 0.1])),
        target=int(rng.randint(n_classes)),
    )
    if problem.n_people:
        assert_proved(problem)


@pytest.mark.parametrize("kind", ["dense", "histograms"])
def test_columns_that_cannot_hold_every_value(kind):
    """What half precision makes of a value may lie in another cell than the value itself."""
    people = PEOPLE.astype({"income": "float16"})
    dense = ExtraTreesClassifier(40, random_state=1)
    model = draw_trees(dense if kind == "dense" else ESTIMATORS[kind]())
    rules = ActionSet(**RULES | {"steps": {"debt": 5}, "max_changes": 2})
    result = RecourseSolver(rules, target=1).solve(model, people, background=BACKGROUND)
    # Half precision cannot hold the cheapest values themselves.
    assert set(result.status) <= {"optimal", "feasible", "infeasible", "already_favorable"}
    assert (model.predict(result.points)[result.reachable] == 1).all()


def test_tables_that_would_be_large_are_made_for_some_people_at_a_time(monkeypatch):
    problem = problem_of([draw_trees(ESTIMATORS["forest"]())])
    whole = solve_trees(problem, Effort())
    monkeypatch.setattr(_trees, "_TABLE", 20_000)
    parts = solve_trees(problem, Effort())
    assert torch.equal(parts.values, whole.values) and torch.equal(parts.levels, whole.levels)
    assert torch.equal(parts.bound, whole.bound)
    assert parts.status.tolist() == whole.status.tolist()
    monkeypatch.setattr(_trees, "_LARGEST_TABLE", 1000)
    assert set(solve_trees(problem, Effort()).status) == {"time_limit"}


@pytest.mark.parametrize("steps", [{"income": 1, "debt": 1}, {}])
@pytest.mark.parametrize("table", [20_000, 1 << 26])
def test_points_that_are_given_are_a_start(table, steps, monkeypatch):
    monkeypatch.setattr(_trees, "_TABLE", table)
    problem = problem_of([draw_trees(ESTIMATORS["forest"]())], RULES | {"steps": steps})
    whole = solve_trees(problem, Effort())
    found = whole.status == "optimal"
    assert found.sum() > 3
    best = problem.assemble(torch.arange(problem.n_people), whole.values, whole.levels)
    late = solve_trees(problem, Effort(time_limit=0.0), [problem.origin, best])
    assert set(late.status[found]) == {"feasible"}
    assert torch.equal(late.values[found], whole.values[found])
    assert torch.equal(late.levels[found], whole.levels[found])
