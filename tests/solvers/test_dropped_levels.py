"""One-hot groups whose columns may all be 0, and rows that are at no level of their group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skcfq import ActionSet, RecourseSolver
from skcfq.exceptions import ActionSetError, ContradictingRowsWarning
from skcfq.models import as_predictor

GROUP = {"job": ["job_B", "job_C"]}


@pytest.fixture(scope="module")
def jobs():
    """Return a table with a category, the same with a dropped dummy, labels, and both models."""
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"job": rng.choice(["A", "B", "C"], 200), "age": rng.normal(size=200)})
    y = (3 * (table["job"] == "A") + table["age"] > 1.5).astype(int)
    dummies = pd.get_dummies(table, columns=["job"], drop_first=True, dtype=float)
    encoder = make_column_transformer(
        (OneHotEncoder(drop="first"), ["job"]), ("passthrough", ["age"])
    )
    one = make_pipeline(encoder, LogisticRegression()).fit(table, y)
    return table, dummies, y, one, LogisticRegression().fit(dummies, y)


@pytest.mark.parametrize("method", ["exact", "milp", "gradient"])
def test_a_dropped_level_is_a_level(jobs, method):
    table, dummies, _, one, other = jobs
    solver = RecourseSolver(target=1, method=method, random_state=0)
    rules = {"immutable": ["age"]}
    expected = solver.set_params(action_set=ActionSet(**rules)).solve(
        one, table.head(60), background=table
    )
    solver.set_params(action_set=ActionSet(**rules, one_hot=GROUP))
    result = solver.solve(other, dummies.head(60), background=dummies)
    assert result.status.tolist() == expected.status.tolist()
    np.testing.assert_allclose(result.cost, expected.cost, rtol=1e-9)
    advised = result.points.loc[result.valid & result.denied, ["job_B", "job_C"]]
    assert len(advised) and (advised == 0).all(axis=None)
    assert set(result.to_frame()["to"].dropna()) == {"none"}


def test_rules_name_the_level_that_was_left_out(jobs):
    _, dummies, _, _, model = jobs
    solver = RecourseSolver(target=1)
    for rules in (
        {"constraints": ["job != 'none'"]},
        {"transitions": {"job": {"job_B": ["job_C"], "job_C": ["job_B"]}}},
        {"ordinal": {"job": ["none", "job_B", "job_C"]}, "increasing": ["job"]},
    ):
        solver.set_params(action_set=ActionSet(immutable=["age"], one_hot=GROUP, **rules))
        result = solver.solve(model, dummies, background=dummies)
        moved_to_none = (result.points[["job_B", "job_C"]] == 0).all(axis=1) & result.changed[:, 0]
        assert not moved_to_none.any()
    rules = ActionSet(one_hot=GROUP, constraints=["if job == 'none' then age >= 0"])
    broken = rules.validate(dummies)
    at_none = (dummies[["job_B", "job_C"]] == 0).all(axis=1) & (dummies["age"] < 0)
    assert broken["row"].tolist() == dummies.index[at_none].tolist()
    renamed = dummies.rename(columns={"job_B": "none"})
    with pytest.raises(ActionSetError, match="'none', which is a column"):
        ActionSet(one_hot={"job": ["none", "job_C"]}).validate(renamed)


@pytest.mark.parametrize("row", [[1.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
def test_rows_at_no_level_are_named_and_nothing_is_proved_about_them(jobs, row):
    _, dummies, _, _, model = jobs
    # A background in which somebody always has a job of the two, so that none is no level.
    background = dummies[(dummies[["job_B", "job_C"]] != 0).any(axis=1)]
    people = background[model.predict(background) == 0].head(6)
    solver = RecourseSolver(ActionSet(immutable=["age"], one_hot=GROUP), target=1)
    expected = solver.solve(model, people, background=background)
    assert set(expected.status) == {"infeasible"}
    strange = people.assign(age=-3.0).iloc[[0, 1]].set_axis(["x", "y"])
    strange[["job_B", "job_C"]] = row
    mixed = pd.concat([people.iloc[:3], strange, people.iloc[3:]])
    with pytest.warns(ContradictingRowsWarning, match=r"2 of 8 .* 'job' is 1 in 'x', 'y'"):
        result = solver.solve(model, mixed, background=background)
    assert result.status[3:5].tolist() == ["not_found"] * 2
    assert result.lower_bound[3:5].tolist() == [0, 0]
    assert np.delete(result.status, [3, 4]).tolist() == expected.status.tolist()
    space = as_predictor(model, background=background).space
    assert solver.action_set.validate(mixed, space)["row"].tolist() == ["x", "y"]
