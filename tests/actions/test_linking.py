"""Rules across features for people who break one already, or have gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq.actions import ActionSet, raw_rows, region_of
from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.exceptions import ActionSetError

# Hours, pay and something that no rule names.
BACKGROUND = np.array([[0.0, 0.0, 0.0], [100.0, 200.0, 10.0]])
RULE = "if `0` >= 40 then `1` >= 100"
OVERWORKED = np.array([[50.0, 20.0, 0.0]])


def region(X=OVERWORKED, rule=RULE, **rules):
    action_set = ActionSet(constraints=[rule], steps={0: 0, 1: 0, 2: 0}, **rules)
    return region_of(action_set.compile(FeatureSpace.from_frame(BACKGROUND)), X)


# Where somebody who breaks the rule may go, and why.
POINTS = {
    "stays": ([50, 20, 0], True),
    "moves what the rule does not name": ([50, 20, 7], True),
    "moves deeper": ([60, 20, 0], False),
    "moves deeper beside another change": ([60, 20, 7], False),
    "comes nearer and still breaks it": ([45, 20, 0], False),
    "pays more and still breaks it": ([50, 90, 0], False),
    "has fewer hours": ([39, 20, 0], True),
    "is paid": ([50, 100, 0], True),
    "is paid for more hours": ([60, 100, 7], True),
}


@pytest.mark.parametrize(("point", "is_allowed"), POINTS.values(), ids=POINTS)
def test_a_broken_rule_is_waived_while_nothing_that_it_names_changes(point, is_allowed):
    overworked, u = region(), torch.tensor([point], dtype=torch.float64)
    person = torch.arange(1)
    assert overworked.contains(u).item() is is_allowed
    violation = overworked.linking.violation(u, overworked.levels, person)
    assert (violation == 0).item() is is_allowed
    projected = overworked.project(u)
    assert torch.equal(projected, u) is is_allowed
    assert overworked.contains(projected).item()


@pytest.mark.parametrize("point", [[60, 20, 0], [45, 20, 7], [50, 90, 3]])
def test_a_projection_gives_up_what_a_waived_rule_names(point):
    # All retreats that move hours or pay break the rule, so the person stays.
    projected = region().project(torch.tensor([point], dtype=torch.float64))
    np.testing.assert_array_equal(projected.numpy(), OVERWORKED)


@pytest.mark.parametrize(
    ("proposal", "expected"),
    [
        ([6, 4, 0], [6, 4, 0]),
        ([8, 8, 0], [4, 4, 0]),
        ([4, 32, 0], [1, 8, 0]),
        ([40, 40, 8], [0, 0, 0]),
    ],
)
def test_a_projection_goes_back_no_further_than_the_next_share_that_obeys(proposal, expected):
    newcomer = region(np.zeros((1, 3)), "`0` + `1` <= 10")
    u = torch.tensor([proposal], dtype=torch.float64)
    assert newcomer.project(u).tolist() == [expected]


def test_a_projection_keeps_a_category_if_the_numbers_are_at_fault_and_else_the_numbers():
    X = pd.DataFrame({"job": ["clerk", "nurse"], "hours": [0.0, 40.0]})
    space = TableEncoder().fit(X).feature_space_

    def projected(rule):
        clerk = region_of(ActionSet(constraints=[rule]).compile(space), X.iloc[[0]])
        return raw_rows(clerk, clerk.project(torch.from_numpy(space.encode(X.iloc[[1]]))))

    (by_hours,) = projected("hours <= 10").to_dict("records")
    assert by_hours == {"job": "nurse", "hours": pytest.approx(10)}
    (by_job,) = projected("if job == 'nurse' then hours <= -1").to_dict("records")
    assert by_job == {"job": "clerk", "hours": pytest.approx(40)}


def test_nobody_else_is_excused():
    fine = region(np.array([[30.0, 20.0, 0.0]]))
    assert not fine.contains(torch.tensor([[50.0, 20.0, 0.0]], dtype=torch.float64)).item()
    both = region(np.concatenate([OVERWORKED, [[30.0, 20.0, 0.0]]]))
    u = torch.tensor([[50.0, 20.0, 5.0]] * 2, dtype=torch.float64)
    assert both.contains(u).tolist() == [True, False]
    assert both.take(torch.tensor([1, 0])).contains(u).tolist() == [False, True]


def test_a_category_that_a_waived_rule_names_may_not_change_either():
    X = pd.DataFrame(
        {
            "job": ["clerk", "nurse", "student", "clerk"],
            "hours": [30.0, 10.0, 45.0, 0.0],
            "rooms": [1.0, 2.0, 3.0, 9.0],
        }
    )
    rule = "if job in ['student', 'nurse'] then hours <= 20"
    space = TableEncoder().fit(X).feature_space_
    student = region_of(ActionSet(constraints=[rule]).compile(space), X.iloc[[2]])
    new = X.iloc[[2, 2, 2]].assign(job=["student", "nurse", "clerk"], rooms=[4.0, 3.0, 3.0])
    u = torch.from_numpy(space.encode(new))
    people = student.take(torch.zeros(3, dtype=torch.int64))
    assert people.contains(u).tolist() == [True, False, True]


@pytest.mark.parametrize("rule", ["if `0` >= 40 then stays(`1`)", "if changes(`1`) then `0` <= 5"])
def test_a_gap_that_stays_a_gap_is_no_change(rule):
    with_gap = region(np.array([[50.0, np.nan, 0.0]]), rule)
    assert with_gap.contains(with_gap.origin).item()
    moved = with_gap.origin + torch.tensor([0.0, 0.0, 3.0])
    assert with_gap.contains(moved).item()
    np.testing.assert_array_equal(with_gap.project(moved).numpy(), moved.numpy())
    known = region(np.array([[50.0, 20.0, 0.0]]), rule)
    assert not known.contains(known.origin + torch.tensor([0.0, 1.0, 0.0])).item()


def test_a_group_is_no_number_of_a_linear_rule():
    people = np.column_stack([np.arange(6.0), np.tile(np.eye(3), (2, 1))])
    rules = ActionSet(one_hot={"group": [1, 2, 3]}, constraints=["group <= 2"])
    actions = rules.compile(FeatureSpace.from_frame(people))
    with pytest.raises(ActionSetError, match="'group' cannot stand there, it holds categories"):
        region_of(actions, people)
