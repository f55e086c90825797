"""Methods of the user's own: what they require is checked, and what they say is verified."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet, RecourseSolver
from skcfq.exceptions import UnsupportedModelError
from skcfq.solvers import Method
from skcfq.solvers.problems import ExactAnswer, States, linear


def random_points(problem, effort, starts):
    """Try a few random points of everybody, valid or not."""
    lower, upper = problem.region.lower, problem.region.upper
    tried = []
    for _ in range(20 * effort.n_restarts):
        share = starts.draws.uniform(lower.shape[1])
        values = problem.snap(torch.arange(problem.n_people), lower + share * (upper - lower))
        tried.append(problem.states(torch.arange(problem.n_people), values, problem.levels))
    return States.concatenate(tried)


RANDOM = Method("random", random_points, batch_size=7)


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.randn(120, 3)
    y = (X @ [1.0, 2.0, -1.0] > 0.5).astype(int)
    return X, y, LogisticRegression().fit(X, y)


def solver_for(method, **parameters):
    return RecourseSolver(ActionSet(), method=method, target=1, random_state=0, **parameters)


def test_what_a_search_finds_is_feasible_and_goes_by_its_name(table):
    X, _, model = table
    result = solver_for(RANDOM).solve(model, X, background=X)
    best = solver_for("exact").solve(model, X, background=X)
    assert result.method == "random"
    assert result.protocol.startswith("method=random, ")
    assert set(result.status) == {"already_favorable", "feasible"}
    assert (model.predict(result.points) == 1).all()
    assert (result.lower_bound[result.denied] == 0).all()
    assert (result.cost >= best.cost).all()
    more = solver_for(RANDOM, n_restarts=10).solve(model, X, background=X)
    assert more.cost.sum() < result.cost.sum()


def test_the_parameter_is_one_like_any_other(table):
    X, _, model = table
    solver = solver_for(RANDOM)
    assert solver.get_params()["method"] is RANDOM
    assert clone(solver).get_params()["method"] == RANDOM
    again = pickle.loads(pickle.dumps(solver))
    results = [one.solve(model, X, background=X) for one in (solver, clone(solver), again)]
    for result in results[1:]:
        assert np.array_equal(result.points, results[0].points)
    provenance = results[0].to_dict()["provenance"]
    assert provenance["method"] == provenance["solver"]["method"] == "random"
    assert repr(solver) == repr(again)


def test_what_is_required_is_checked_before_anything_is_solved(table):
    X, y, _ = table
    network = MLPClassifier((4,), max_iter=50, random_state=0, tol=1.0).fit(X, y)

    def one_person(task):
        return None if len(task) == 1 else f"{len(task)} people are too many."

    crowded = Method("single", random_points, requires=(linear, one_person))
    with pytest.raises(
        UnsupportedModelError, match="method='single' .*MLPClassifier is not linear"
    ):
        solver_for(crowded).solve(network, X, background=X)
    with pytest.raises(UnsupportedModelError, match="method='single' .*: 120 people are too many"):
        solver_for(crowded).solve(LogisticRegression().fit(X, y), X, background=X)
    with pytest.raises(UnsupportedModelError, match=r"'random' .*weight_radius=0.1.*'auto'"):
        solver_for(RANDOM, weight_radius=0.1).solve(LogisticRegression().fit(X, y), X, background=X)


def test_statuses_of_a_proof_are_its_own(table):
    """It says of the first that nobody can help, and stays silent about the second."""
    X, _, model = table

    def prove(problem, effort, starts):
        status = np.full(problem.n_people, "optimal", dtype="<U17")
        status[:2] = ["infeasible", "not_found"]
        bound = torch.full((problem.n_people,), 0.125, dtype=torch.float64)
        bound[0], bound[1] = torch.inf, 0.0
        ends = torch.where(
            torch.tensor([True, True, False]), problem.region.upper, problem.region.lower
        )
        return ExactAnswer(ends, problem.levels, status, bound)

    solver = solver_for(Method("corner", prove, proves=True), margin=0.0)
    result = solver.solve(model, X, background=X)
    assert result.status[result.denied][:3].tolist() == ["infeasible", "not_found", "optimal"]
    assert result.lower_bound[result.denied][:3].tolist() == [np.inf, 0.0, 0.125]
    assert (model.predict(result.points[result.reachable]) == 1).all()


def test_a_method_that_claims_too_much_is_refuted(table):
    X, _, model = table

    def stay(problem, effort, starts):
        own = problem.own_states()
        return States(own.person, own.values, own.levels, own.cost, torch.ones_like(own.slack))

    result = solver_for(Method("stay", stay)).solve(model, X, background=X)
    assert set(result.status) == {"already_favorable", "not_found"}
    with pytest.raises(TypeError, match="'stay' proves what it says.*ExactAnswer, not States"):
        solver_for(Method("stay", stay, proves=True)).solve(model, X, background=X)
    with pytest.raises(ValueError, match="'method' parameter"):
        solver_for(stay).solve(model, X, background=X)


def never_asked(problem, effort):
    pytest.fail("what it requires was not compared with the task")


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        (MLPClassifier((4,), max_iter=5), {}, "MLPClassifier is not linear"),
        (LogisticRegression(), {"weight_radius": 0.1}, None),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_linear_method_requires_linear_models_of_itself(table, model, parameters, message):
    X, y, _ = table
    method = Method("mine", never_asked, proves=True, linear=True)
    solver = solver_for(method, **parameters)
    if message is None:
        with pytest.raises(pytest.fail.Exception, match="not compared"):
            solver.solve(model.fit(X, y), X, background=X)
        return
    with pytest.raises(UnsupportedModelError, match=message):
        solver.solve(model.fit(X, y), X, background=X)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"solve": None},
        {"requires": [min]},
        {"requires": ("x",)},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"proves": "no"},
    ],
)
def test_what_a_method_cannot_be_made_of(wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=f"{name}=.* of a Method"):
        Method(**{"name": "mine", "solve": never_asked} | wrong)


@pytest.mark.parametrize("method", ["auto", "gradient", "black_box"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_radius_of_weights_is_refused_without_a_remedy_that_is_refused_too(table, method):
    X, y, linear_model = table
    curved = MLPClassifier((4,), max_iter=5).fit(X, y)
    solver = solver_for(method, weight_radius=0.1)
    closed = RandomForestClassifier(5, random_state=0).fit(X, y)
    for model in (curved,) if method == "gradient" else (curved, closed):
        with pytest.raises(UnsupportedModelError, match="variants=") as error:
            solver.solve(model, X, background=X)
        assert "Use method=" not in str(error.value)
    if method != "auto":
        with pytest.raises(UnsupportedModelError, match="Use method='auto'"):
            solver.solve(linear_model, X, background=X)
