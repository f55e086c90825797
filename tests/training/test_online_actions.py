"""Actions that are computed batch by batch: the quick form is the general one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import ActionSet, TeacherClassifier
from skcfq.actions import region_of
from skcfq.estimators import CFQObjective, Finish, TeacherActions
from skcfq.models import as_predictor
from skcfq.training._people import People
from skcfq.training._supervision import supervise
from skcfq.training._table import TrainingTable
from skcfq.training._teacher_actions import OnlineActions


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    teacher = TeacherClassifier((8,), max_iter=20, random_state=0).fit(X, X[:, 0] + X[:, 1] > 0)
    return X, as_predictor(teacher)


@pytest.mark.parametrize(
    "options", [{"n_steps": 1}, {"n_steps": 3}, {"early_stopping": True}, {"noise": 0.1}]
)
def test_quick_steps_are_the_general_ones(scene, options):
    X, teacher = scene
    actions = TeacherActions(step_size=2.0, online=True, **options)
    region = region_of(ActionSet(immutable=[2]).compile(teacher.space), X)
    rows, target = torch.tensor([4, 2, 60, 4]), torch.ones(4, dtype=torch.int64)

    def steps(online):
        return online(rows, target)

    general = OnlineActions(actions, teacher, region, torch.Generator().manual_seed(1))
    quick = OnlineActions.prepare(
        actions, teacher, region, torch.Generator().manual_seed(1), torch.float64
    )
    assert type(quick.region) is not type(region)
    for found, wanted in zip(steps(quick), steps(general), strict=True):
        torch.testing.assert_close(found, wanted)
    single = OnlineActions.prepare(actions, teacher, region, torch.Generator(), torch.float32)
    assert steps(single)[0].dtype == torch.float32


def test_other_rules_take_the_general_steps(scene):
    X, teacher = scene
    actions = TeacherActions(step_size=2.0, online=True)
    region = region_of(ActionSet(max_changes=1).compile(teacher.space), X)
    rows, target = torch.arange(80), torch.ones(80, dtype=torch.int64)
    online = OnlineActions.prepare(actions, teacher, region, torch.Generator(), torch.float32)
    points, valid = online(rows, target)
    assert region.contains(points).all()
    assert valid.any()
    wanted, _ = actions.steps(teacher, region, target, torch.Generator())
    torch.testing.assert_close(points, wanted)


@pytest.mark.parametrize("online", [False, True])
def test_who_is_held_out_for_the_bias_is_not_trained_on(online, scene):
    X, teacher = scene
    ones, target = np.ones(len(X)), np.zeros(len(X), dtype=np.int64)
    table = TrainingTable(X, target, ones, ones, torch.float64)
    told = supervise(
        People(table, X, teacher.predict(X) != teacher.classes[0], target),
        teacher,
        action_set=ActionSet(),
        actions=TeacherActions(step_size=5.0, online=online),
        objective=CFQObjective(finish=Finish(validity_drop=0.1)),
        rng=np.random.RandomState(0),
    )
    assert told is not None
    assert told.held.sum() >= 3
    assert not (told.held & told.acted).any()
    # With others in the next pass, whoever has no valid point in this one may have one.
    assert (told.held | told.acted).all() == online
