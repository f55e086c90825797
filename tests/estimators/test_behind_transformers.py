"""Classifiers behind a transformer in a pipeline, which is what is tried first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.datasets import make_credit
from skcfq.exceptions import ActionSetError, BackgroundRequiredError, EncodedTableWarning
from skcfq.metrics import RecourseScorer
from skcfq.models import as_predictor

# The literal recursion of Eq. 6: the quickest of the solvers.
QUICK = {"method": "pgd", "n_steps": 5, "step_size": 1.0, "random_state": 0}
SIZE = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
TEACHER = TeacherClassifier((4,), max_iter=30, random_state=0)
RULES = ActionSet(immutable=["age", "sex"])


@pytest.fixture(scope="module")
def credit():
    return make_credit(210, random_state=0)


def encoder(numbers=None):
    numbers = StandardScaler() if numbers is None else numbers
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(sparse_output=False), make_column_selector(dtype_exclude="number")),
    )


def before_array(model):
    return make_pipeline(encoder(SimpleImputer()), model)


def before_frame(model):
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(encoder(filled).set_output(transform="pandas"), model)


def before_nested(model):
    return make_pipeline("passthrough", make_pipeline(before_array(model)))


def before_sampler(model):
    front = encoder(SimpleImputer())
    return make_imblearn_pipeline(front, RandomOverSampler(random_state=0), model)


every_pipeline = pytest.mark.parametrize(
    "behind", [before_array, before_frame, before_nested, before_sampler]
)
MODELS = [
    CFQClassifier(4, teacher=TEACHER, action_set=RULES, target="granted", **SIZE),
    QATClassifier(4, teacher=TEACHER, action_set=RULES, target="granted", **SIZE),
    PTQClassifier(8, teacher=TEACHER, action_set=RULES, target="granted"),
]


@every_pipeline
@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
def test_rules_on_raw_columns_say_where_the_transformer_belongs(behind, model, credit):
    with pytest.raises(ActionSetError, match="'age', which is no column.*`encoder=`"):
        behind(model).fit(credit.data, credit.target)


@pytest.mark.parametrize(
    "rules",
    [
        ActionSet(cost_weights={"income": 2.0}),
        ActionSet(constraints=["income >= 0"]),
        ActionSet(implied={"income": {"savings": 1.0}}),
        ActionSet(bounds={"income": (0, None)}),
    ],
    ids=["cost", "constraint", "implied", "bounds"],
)
@pytest.mark.parametrize("behind", [before_array, before_frame])
def test_every_rule_says_so(rules, behind, credit):
    model = QATClassifier(4, teacher=TEACHER, action_set=rules, **SIZE)
    with pytest.raises(ActionSetError, match="'income', which is no column.*`encoder=`"):
        behind(model).fit(credit.data, credit.target)


def test_a_slip_of_the_pen_is_no_pipeline(credit):
    model = QATClassifier(4, teacher=TEACHER, action_set=ActionSet(immutable=["agee"]), **SIZE)
    with pytest.raises(ActionSetError, match="'agee', which is no column") as refused:
        model.fit(credit.data, credit.target)
    assert "encoder" not in str(refused.value)


@pytest.mark.parametrize("behind", [before_array, before_frame])
@pytest.mark.parametrize(
    "model",
    [
        CFQClassifier(4, teacher=TEACHER, target="granted", objective="paper", **SIZE),
        PTQClassifier(8, teacher=TEACHER, target="granted", calibration="counterfactual"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_without_rules_columns_that_belong_together_are_told(model, behind, credit):
    with pytest.warns(EncodedTableWarning, match="6 groups .*such as age.*`encoder=`"):
        behind(model).fit(credit.data, credit.target)


def test_where_no_recourse_is_used_nothing_is_told(credit):
    model = QATClassifier(4, teacher=TEACHER, target="granted", **SIZE)
    assert before_array(model).fit(credit.data, credit.target).predict(credit.data).shape == (210,)


@every_pipeline
def test_the_population_comes_from_the_last_step(behind, credit):
    """What the classifier knows of its table is taken back through the steps."""
    X = credit.data.fillna(credit.data.median(numeric_only=True))
    pipeline = behind(student()).fit(X, credit.target)
    known = as_predictor(pipeline, example=X[:2]).space
    table = X if behind is not before_sampler else oversampled(X, credit.target)
    told = as_predictor(pipeline, background=table).space
    for own, other in zip(known.blocks, told.blocks, strict=True):
        mine, theirs = vars(own.statistics), vars(other.statistics)
        if own.kind == "table":  # the encoder counts a gap as a level of its own
            np.testing.assert_allclose(mine["frequencies"], theirs["frequencies"], atol=1e-9)
            continue
        for name, value in theirs.items():
            if value is not None:
                np.testing.assert_allclose(mine[name], value, rtol=1e-9, err_msg=name)


def student():
    return QATClassifier(4, teacher=TEACHER, target="granted", **SIZE)


def oversampled(X, y):
    return RandomOverSampler(random_state=0).fit_resample(X, y)[0]


def test_advice_without_a_background_is_that_with_one(credit):
    X = credit.data.fillna(credit.data.median(numeric_only=True))
    pipeline = before_frame(student()).fit(X, credit.target)
    solver = RecourseSolver(RULES, **{**QUICK, "method": "gradient", "n_restarts": 0})
    result = solver.solve(pipeline, X[:10])
    told = solver.solve(pipeline, X[:10], background=X)
    np.testing.assert_allclose(result.cost, told.cost, rtol=1e-6)
    assert result.denied.any()
    # Also of one person alone: nobody's answer depends on who else is asked.
    row = int(np.flatnonzero(result.reachable)[0])
    alone = solver.solve(pipeline, X[row : row + 1])
    assert alone.cost[0] == result.cost[row]
    points = result.points[result.reachable]
    assert (pipeline.predict(points) == "granted").all()
    assert (points["open_loans"] % 1 == 0).all()


def test_chunks_need_no_background_either(credit):
    X = credit.data.fillna(credit.data.median(numeric_only=True))
    pipeline = before_frame(student()).fit(X, credit.target)
    solver = RecourseSolver(RULES, **{**QUICK, "method": "gradient", "n_restarts": 0})
    whole = solver.solve(pipeline, X[:6])
    parts = list(solver.solve_chunks(pipeline, [X[:4], X[4:6]]))
    assert [len(part) for part in parts] == [4, 2]
    np.testing.assert_array_equal(np.concatenate([part.cost for part in parts]), whole.cost)
    bent = encoder(make_pipeline(FunctionTransformer(np.log1p), StandardScaler()))
    pipeline = make_pipeline(bent, student()).fit(X, credit.target)
    with pytest.raises(BackgroundRequiredError, match="background="):
        next(solver.solve_chunks(pipeline, [X[:5]]))


def test_a_solver_alone_tells_of_columns_that_belong_together(credit):
    X = pd.get_dummies(credit.data.select_dtypes(exclude="number"), dtype=float)
    model = LogisticRegression().fit(X, credit.target)
    solver = RecourseSolver(target="granted")
    with pytest.warns(EncodedTableWarning, match="groups .*Without an `action_set`"):
        solver.solve(model, X[:2], background=X)
    # Rules that free everything are rules that were given.
    solver.set_params(action_set=ActionSet()).solve(model, X[:2], background=X)


def test_two_pipelines_are_compared_without_a_background(credit):
    X = credit.data.fillna(credit.data.median(numeric_only=True))
    deployed = before_array(student()).fit(X, credit.target)
    reference = make_pipeline(deployed[0], deployed[-1].teacher_)
    solver = RecourseSolver(RULES, target="granted", **QUICK)
    first, second = solver.compare(reference, deployed, X[:30])
    assert first.space_fingerprint == second.space_fingerprint
    scorer = RecourseScorer("validity_drop", solver=solver.set_params(action_set=RULES))
    assert -1 <= scorer(deployed, X[:30]) <= 0


def test_steps_that_bend_columns_need_a_background(credit):
    X = credit.data.fillna(credit.data.median(numeric_only=True))
    bent = encoder(make_pipeline(FunctionTransformer(np.log1p), StandardScaler()))
    pipeline = make_pipeline(bent, student()).fit(X, credit.target)
    with pytest.raises(BackgroundRequiredError, match="background="):
        RecourseSolver(RULES).solve(pipeline, X[:5])
