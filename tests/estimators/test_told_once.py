"""Rules, cost and target are told once: to the estimator, and found there by everybody else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skcfq
from skcfq import (
    ActionSet,
    CFQClassifier,
    CounterfactualSampler,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    RecourseTransformer,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.datasets import make_credit
from skcfq.exceptions import ActionSetError, DefaultTargetWarning, TargetError
from skcfq.metrics import RecourseScorer, validity_drop
from skcfq.training import TeacherActions

pytestmark = pytest.mark.usefixtures("short_teachers")

CREDIT = make_credit(240, random_state=0)
X, Y = CREDIT.data, CREDIT.target
# Another norm, other weights and the other label than each default.
RULES = ActionSet(
    **CREDIT.action_set.get_params()
    | {"cost": "l2", "cost_weights": {"income": 9.0, "savings": 0.1}}
)
TOLD = {"action_set": RULES, "target": "denied"}
SMALL = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
LINEAR = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, Y)


def told(**parameters):
    return CFQClassifier(**SMALL, **TOLD, **parameters).fit(X, Y)


@pytest.fixture(scope="module")
def student():
    return told(teacher=FrozenEstimator(LINEAR))


def is_told(result):
    cost = result.cost_function
    return (
        (cost.norm, cost.weighting) == ("l2", "given")
        and result.actions.max_changes == RULES.max_changes
        and set(result.target.tolist()) == {"denied"}
        and "cost=l2 (given)" in result.protocol
        and result.provenance["action_set"] == RULES.to_dict()
    )


def test_a_solver_takes_rules_cost_and_target_from_the_estimator(student):
    result = RecourseSolver(n_restarts=0).solve(student, X.head(20))
    expected = RecourseSolver(RULES, target="denied", n_restarts=0).solve(student, X.head(20))
    assert is_told(result)
    np.testing.assert_array_equal(result.cost, expected.cost)
    assert result.points.equals(expected.points)


def test_what_is_given_wins(student):
    own = ActionSet(immutable=CREDIT.action_set.immutable)
    solver = RecourseSolver(own, cost="l1", target="granted", n_restarts=0)
    result = solver.solve(student, X.head(5))
    assert (result.cost_function.norm, result.cost_function.weighting) == ("l1", "std")
    assert set(result.target) == {"granted"} and result.actions.max_changes is None
    result = RecourseSolver(cost_weights="uniform").solve(student, X.head(5))
    assert (result.cost_function.norm, result.cost_function.weighting) == ("l2", "uniform")


@pytest.mark.parametrize("make", [CFQClassifier, QATClassifier, PTQClassifier])
def test_the_teacher_of_a_fit_carries_what_the_fit_was_told(make):
    parameters = {**TOLD, "random_state": 0}
    if make is PTQClassifier:
        teacher = TeacherClassifier((6,), max_iter=3, random_state=0)
        model = make(4, teacher=teacher, calibration="factual", allocation="uniform", **parameters)
    else:
        model = make(4, hidden_layer_sizes=(6,), max_iter=3, **parameters)
    model.fit(X, Y)
    assert is_told(RecourseSolver(n_restarts=0).solve(model.teacher_, X.head(5)))


def test_a_teacher_of_ones_own_stays_as_it_is_and_the_solver_is_made_from_the_student(student):
    assert not hasattr(LINEAR, "action_set_") and not hasattr(LINEAR, "target_")
    with pytest.warns(DefaultTargetWarning):
        result = RecourseSolver().solve(student.teacher_, X.head(20), background=X)
    assert result.cost_function.norm == "l1" and set(result.target) == {"granted"}
    solver = RecourseSolver.from_estimator(student, n_restarts=0)
    assert solver.n_restarts == 0
    assert is_told(solver.solve(student.teacher_, X.head(20), background=X))
    assert RecourseSolver.from_estimator(student, target="granted").target == "granted"


def test_a_comparison_takes_the_rules_of_the_deployed_model(student):
    results = RecourseSolver(n_restarts=0).compare(LINEAR, student, X.head(10), background=X)
    assert all(map(is_told, results))


def test_scorers_and_transformers_count_with_the_cost_of_the_rules(student):
    class Spy(RecourseSolver):
        def solve(self, *arguments, **named):
            Spy.seen = super().solve(*arguments, **named)
            return Spy.seen

    RecourseScorer("validity_drop", solver=Spy())(student, X.head(40))
    assert is_told(Spy.seen)
    # The reference has rules where the scored model has none.
    foreign = LogisticRegression().fit(np.zeros((2, 1)), ["denied", "granted"])
    foreign.predict = lambda X: np.full(len(X), "denied")
    RecourseScorer("validity_drop", solver=Spy(), reference=student)(foreign, X.head(40))
    assert is_told(Spy.seen)
    transformer = RecourseTransformer(FrozenEstimator(student)).fit(X)
    assert is_told(transformer.solve(X.head(10)))
    sampler = CounterfactualSampler(FrozenEstimator(student)).fit(X, Y)
    assert is_told(sampler.solver_.solve(student, X.head(10)))


def test_the_teacher_actions_have_the_cost_of_the_rules(monkeypatch):
    seen = []
    solve = RecourseSolver.solve
    monkeypatch.setattr(
        RecourseSolver, "solve", lambda *a, **k: seen.append(solve(*a, **k)) or seen[-1]
    )
    told(teacher=FrozenEstimator(LINEAR), teacher_actions=TeacherActions(method="solver"))
    assert len(seen) == 1 and is_told(seen[0])


def test_the_matching_regularizer_counts_with_the_cost_of_the_rules():
    losses = []
    for rules in (RULES, CREDIT.action_set):
        objective = {"objective": "paper", "objective__matching": 1.0}
        model = CFQClassifier(**SMALL, teacher=FrozenEstimator(LINEAR), target="granted")
        model.set_params(action_set=rules, **objective).fit(X, Y)
        losses.append(model.history_)
    assert not losses[0].equals(losses[1])


def test_a_loaded_model_file_carries_them_too(student, tmp_path):
    student.export(tmp_path / "model.skcfq")
    loaded = skcfq.load(tmp_path / "model.skcfq")
    assert is_told(RecourseSolver(n_restarts=0).solve(loaded, X.head(5), background=X))


def test_a_search_around_the_estimator_carries_them():
    search = GridSearchCV(CFQClassifier(**SMALL, **TOLD), {"budget": [4]}, cv=2).fit(X, Y)
    assert is_told(RecourseSolver(n_restarts=0).solve(search, X.head(5)))


def test_rules_behind_the_steps_of_a_pipeline_are_no_rules_on_raw_columns():
    numbers = X[["income", "age"]]
    inner = QATClassifier(**SMALL, action_set=ActionSet(immutable=[1]), target="granted")
    pipeline = make_pipeline(StandardScaler(), inner).fit(numbers, Y)
    with pytest.raises(ActionSetError, match="columns behind the preprocessing.*action_set="):
        RecourseSolver().solve(pipeline, numbers, background=numbers)
    solver = RecourseSolver(ActionSet(immutable=["age"]))
    result = solver.solve(pipeline, numbers.head(9), background=numbers)
    assert result.actions.feature_names == ("income",) and set(result.target) == {"granted"}


def test_a_rule_for_training_rows_is_no_target(student):
    model = clone(student).set_params(target=lambda X, y: y, objective="paper").fit(X, Y)
    with pytest.raises(TargetError, match="serves training only"):
        RecourseSolver().solve(model, X.head(5))


def test_the_default_of_credit_cards_is_l2_for_the_estimator_too(data_home):
    from skcfq.datasets import fetch_default_credit

    cards = fetch_default_credit(data_home=data_home)
    rows = np.concatenate([cards.train_indices[:400], cards.test_indices[:1]])
    clf = CFQClassifier(**SMALL, action_set=cards.action_set, target=cards.favorable)
    clf.fit(cards.data.iloc[rows], cards.target.iloc[rows])
    result = RecourseSolver(n_restarts=0).solve(clf.teacher_, cards.data.iloc[rows[:60]])
    assert "cost=l2 (std)" in result.protocol and "cost" not in cards
    assert np.isfinite(validity_drop(clf.teacher_, clf, result))
