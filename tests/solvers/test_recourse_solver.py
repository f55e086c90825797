"""RecourseSolver on mixed tables: what it promises about every row it returns."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, QATClassifier, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.actions import compile_cost, region_of
from skcfq.datasets import make_credit
from skcfq.exceptions import (
    ActionSetError,
    BackgroundRequiredError,
    DefaultTargetWarning,
    TargetError,
)
from skcfq.metrics import validity_drop
from skcfq.models import as_predictor, resolve_target
from skcfq.solvers.problems import best_per_person
from skcfq.solvers.search import projected_steps

SMALL = {"hidden_layer_sizes": (16,), "max_iter": 25, "random_state": 0}


@pytest.fixture(scope="module")
def credit():
    return make_credit(600, random_state=1)


@pytest.fixture(scope="module")
def teacher(credit):
    return TeacherClassifier(**SMALL).fit(credit.data, credit.target)


@pytest.fixture(scope="module")
def coarse(credit, teacher):
    return QATClassifier(2, teacher=teacher, **SMALL).fit(credit.data, credit.target)


@pytest.fixture(scope="module")
def linear(credit):
    return make_pipeline(TableEncoder(), LogisticRegression()).fit(credit.data, credit.target)


def solver_for(credit, **parameters) -> RecourseSolver:
    given = {"target": credit.favorable, "random_state": 0, **parameters}
    return RecourseSolver(given.pop("action_set", credit.action_set), **given)


@pytest.mark.parametrize("cost", ["l1", "l2", "mixed"])
@pytest.mark.parametrize("name", ["teacher", "coarse", "linear"])
def test_every_answer_keeps_the_contract(request, credit, name, cost):
    model = request.getfixturevalue(name)
    # Integers under a cost that is no sum are branched on, person by person.
    X = credit.data.head(40 if (name, cost) == ("linear", "mixed") else len(credit.data))
    result = solver_for(credit, cost=cost).solve(model, X)
    decisions = model.predict(X)
    denied = decisions != credit.favorable
    np.testing.assert_array_equal(result.denied, denied)
    # Every number of the table has a grid, so networks are proved about too.
    assert set(result.status[denied]) <= {"optimal", "infeasible"}
    assert result.reachable.mean() > 0.1
    # Valid where it says so, through the model's own predict on the raw points.
    moved = model.predict(result.points) == credit.favorable
    np.testing.assert_array_equal(moved[result.valid], True)
    # Inside the rules, by the same rules in encoded units and by max_changes.
    region = region_of(result.actions, X)
    encoded = torch.from_numpy(result.actions.space.encode(result.points))
    assert bool(region.contains(encoded).all())
    assert result.changed.sum(axis=1).max() <= credit.action_set.max_changes
    # The cost is that of the definition, and the action is what was encoded.
    found = ~np.isin(result.status, ["not_found", "infeasible"])
    definition = compile_cost(result.actions, cost=cost)(encoded, region).numpy()
    np.testing.assert_allclose(result.cost[found], definition[found], rtol=1e-9, atol=1e-12)
    assert np.isnan(result.cost[~found]).all()
    assert np.isnan(result.delta[~found]).all()
    assert not result.delta[~denied].any()
    assert not result.cost[~denied].any()
    assert (result.margin[result.reachable] > 0).all()
    same = X.loc[~result.changed.any(axis=1)]
    pd.testing.assert_frame_equal(result.points.loc[same.index], same)


def test_to_frame_says_who_changes_what(credit, teacher):
    X = credit.data.set_index(np.arange(len(credit.data)) + 5000)
    result = solver_for(credit).solve(teacher, X)
    frame = result.to_frame()
    assert list(frame) == ["person", "feature", "from", "to", "cost", "margin", "status"]
    assert set(frame["person"]) == set(X.index)
    changes = frame.dropna(subset=["feature"])
    assert len(changes) == result.changed.sum()
    for _, row in changes.head(40).iterrows():
        assert X.loc[row["person"], row["feature"]] == row["from"] or pd.isna(row["from"])
        assert result.points.loc[row["person"], row["feature"]] == row["to"]


def test_deterministic_and_the_global_generators_are_left_alone(credit, teacher):
    X = credit.data.head(200)
    np.random.seed(7)
    torch.manual_seed(7)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = solver_for(credit, n_restarts=2).solve(teacher, X)
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    np.random.seed(8)
    torch.manual_seed(8)
    second = solver_for(credit, n_restarts=2).solve(teacher, X)
    np.testing.assert_array_equal(first.cost, second.cost)
    pd.testing.assert_frame_equal(first.points, second.points)


def test_result_and_solver_survive_pickle_and_clone(credit, teacher):
    solver = solver_for(credit)
    result = solver.solve(teacher, credit.data.head(60))
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.cost, result.cost)
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    assert clone(solver).get_params()["target"] == credit.favorable


@pytest.mark.parametrize("cost", ["l1", "l2"])
def test_a_pair_is_never_dearer_where_the_advice_still_works(credit, teacher, coarse, cost):
    reference, deployed = solver_for(credit, cost=cost).compare(teacher, coarse, credit.data)
    works = coarse.predict(reference.points) == credit.favorable
    kept = reference.reachable & works
    assert kept.any()
    assert deployed.valid[kept].all()
    assert (deployed.cost[kept] <= reference.cost[kept] * (1 + 1e-9)).all()
    rate = deployed.valid[reference.reachable].mean()
    assert rate >= 1 - validity_drop(teacher, coarse, reference) - 1e-12
    # And the other way round.
    back = teacher.predict(deployed.points) == credit.favorable
    kept = deployed.reachable & back & reference.denied
    assert (reference.cost[kept] <= deployed.cost[kept] * (1 + 1e-9)).all()


def test_a_start_is_honored(credit, teacher):
    strong = solver_for(credit).solve(teacher, credit.data)
    weak = solver_for(credit, beam_width=1, n_restarts=0)
    started = weak.solve(teacher, credit.data, start=strong.points)
    rows = strong.reachable
    assert (started.cost[rows] <= strong.cost[rows] * (1 + 1e-9)).all()


def test_margin_is_kept(credit, teacher):
    result = solver_for(credit, margin=0.75).solve(teacher, credit.data)
    assert result.reachable.any()
    assert (result.margin[result.reachable] >= 0.75).all()


def test_nobody_denied_one_row_and_nothing_to_change(credit, teacher):
    favored = credit.data[teacher.predict(credit.data) == credit.favorable]
    result = solver_for(credit).solve(teacher, favored)
    assert set(result.status) == {"already_favorable"}
    denied = credit.data[teacher.predict(credit.data) != credit.favorable]
    assert len(solver_for(credit).solve(teacher, denied.iloc[[3]])) == 1
    held = ActionSet(immutable=list(credit.data))
    result = solver_for(credit, action_set=held).solve(teacher, denied.head(4))
    assert set(result.status) == {"infeasible"}
    assert not result.changed.any()
    pd.testing.assert_frame_equal(result.points, denied.head(4))


def test_one_change_at_most(credit, teacher):
    rules = clone(credit.action_set).set_params(max_changes=1)
    result = solver_for(credit, action_set=rules).solve(teacher, credit.data)
    assert result.changed.sum(axis=1).max() == 1


def test_arrays_three_classes_and_targets_by_person():
    rng = np.random.RandomState(0)
    X = rng.randn(200, 4)
    y = np.digitize(X[:, 0] + 0.5 * X[:, 1], [-0.5, 0.5])
    model = LogisticRegression().fit(X, y)
    target = rng.randint(0, 3, len(X))
    result = RecourseSolver(target=target, random_state=0).solve(model, X, background=X)
    assert isinstance(result.points, np.ndarray)
    np.testing.assert_array_equal(model.predict(result.points)[result.valid], target[result.valid])
    assert result.reachable.sum() > 100


def test_opposite_wants_the_other_decision():
    X = np.linspace(-1, 1, 40)[:, None]
    model = LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))
    result = RecourseSolver(target="opposite", random_state=0).solve(model, X, background=X)
    assert result.denied.all()
    np.testing.assert_array_equal(model.predict(result.points), 1 - model.predict(X))


def test_continuous_linear_cost_is_the_exact_one():
    """One boundary, no grid: the optimum is the distance to it in the cheapest direction."""
    rng = np.random.RandomState(3)
    X = rng.randn(300, 6)
    model = LogisticRegression(C=10).fit(X, (X @ rng.randn(6) > 0).astype(int))
    for norm, dual in (("l1", np.inf), ("l2", 2)):
        solver = RecourseSolver(
            ActionSet(bounds=dict.fromkeys(range(6), (-50, 50))),
            target=1,
            cost=norm,
            margin=0.0,
            random_state=0,
        )
        result = solver.solve(model, X, background=X)
        rows = result.denied
        score = -model.decision_function(X)[rows]
        exact = score / np.linalg.norm(model.coef_[0] * X.std(axis=0), dual)
        np.testing.assert_allclose(result.cost[rows], exact, rtol=1e-5)


def test_literal_steps_equal_a_transcription_of_equation_6(credit, teacher):
    predictor = as_predictor(teacher)
    X = credit.data[teacher.predict(credit.data) != credit.favorable].head(12)
    actions = credit.action_set.compile(predictor.space)
    position = int(np.flatnonzero(teacher.classes_ == credit.favorable)[0])
    target = torch.full((len(X),), position)
    batch = projected_steps(predictor, region_of(actions, X), target, n_steps=3, step_size=0.7)
    for i in range(len(X)):
        region = region_of(actions, X.iloc[[i]])
        u = region.origin.clone()
        for _ in range(3):
            u.requires_grad_(True)
            loss = -predictor.logits(u).log_softmax(dim=1)[0, position]
            (gradient,) = torch.autograd.grad(loss, u)
            u = region.project(u.detach() - 0.7 * gradient)
        torch.testing.assert_close(batch[i], u[0])
    steps = solver_for(credit, method="pgd", n_steps=3, step_size=0.7).solve(teacher, X)
    strong = solver_for(credit).solve(teacher, X, start=steps.points)
    both = steps.reachable
    assert (strong.cost[both] <= steps.cost[both] * (1 + 1e-9)).all()


def test_best_per_person_ranks_within_people_and_breaks_ties_by_position():
    person = torch.tensor([1, 0, 1, 1, 0])
    score = torch.tensor([2.0, 5.0, 1.0, 1.0, 4.0])
    assert best_per_person(person, score, 1).tolist() == [4, 2]
    assert best_per_person(person, score, 2).tolist() == [4, 1, 2, 3]


def test_targets_of_classes_in_any_order():
    classes = np.array(["refuse", "grant", "later"])
    wanted = ["refuse", "later", "grant"]
    assert resolve_target(wanted, classes, np.array(["grant"] * 3)).tolist() == [0, 2, 1]
    decisions = np.array(["refuse", "grant"])
    assert resolve_target("opposite", classes[:2], decisions).tolist() == [1, 0]


def test_resolve_target_forms():
    classes, decisions = np.array(["no", "yes"]), np.array(["no", "yes"])
    with pytest.warns(DefaultTargetWarning, match="yes"):
        assert resolve_target(None, classes, decisions).tolist() == [1, 1]
    assert resolve_target(None, np.array([0, 1]), np.array([0])).tolist() == [1]
    assert resolve_target("no", classes, decisions).tolist() == [0, 0]
    assert resolve_target("opposite", classes, decisions).tolist() == [1, 0]
    # A label wins over the word.
    named = np.array(["opposite", "same"])
    assert resolve_target("opposite", named, named).tolist() == [0, 0]
    assert resolve_target(["yes", "no"], classes, decisions).tolist() == [1, 0]
    with pytest.raises(TargetError, match="maybe"):
        resolve_target("maybe", classes, decisions)
    with pytest.raises(TargetError, match="shape"):
        resolve_target(["yes"], classes, decisions)
    with pytest.raises(TargetError, match="two classes"):
        resolve_target("opposite", np.array([0, 1, 2]), np.array([0]))


def test_bad_input_is_named(credit, teacher):
    with pytest.raises(NotFittedError):
        RecourseSolver().solve(TeacherClassifier(), credit.data)
    with pytest.raises(TargetError, match="loan"):
        solver_for(credit, target="loan").solve(teacher, credit.data)
    with pytest.raises(ActionSetError, match="hight"):
        solver_for(credit, action_set=ActionSet(immutable=["hight"])).solve(teacher, credit.data)
    with pytest.raises(ValueError, match="margin"):
        solver_for(credit, margin=-1.0).solve(teacher, credit.data)
    with pytest.raises(ValueError, match="method"):
        solver_for(credit, method="magic").solve(teacher, credit.data)
    X = np.random.RandomState(0).randn(30, 2)
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    with pytest.raises(BackgroundRequiredError, match="background"):
        RecourseSolver(target=True).solve(model, X)
    with pytest.raises(ValueError, match="employment"):
        solver_for(credit).solve(teacher, credit.data.iloc[:, :3])
