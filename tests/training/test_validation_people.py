"""How the teacher's recourse is looked at for the people of the validation share."""

from __future__ import annotations

import numpy as np

from skcfq import CFQClassifier, TeacherClassifier
from skcfq.estimators import CFQObjective, Finish, TeacherActions
from skcfq.training import _supervision


def test_they_are_all_looked_at_and_at_points_that_do_not_change(monkeypatch):
    calls, original = [], _supervision.supervise

    def spy(people, teacher, **given):
        told = original(people, teacher, **given)
        calls.append((people, given["actions"], given["objective"], told))
        return told

    monkeypatch.setattr(_supervision, "supervise", spy)
    X = np.random.default_rng(0).normal(size=(120, 3))
    model = CFQClassifier(
        objective=CFQObjective(finish=Finish(validity_drop=0.1)),
        teacher_actions=TeacherActions(online=True, step_size=5.0, noise=0.1),
        teacher=TeacherClassifier((4,), max_iter=40, batch_size=16, learning_rate_init=0.02),
        target=1,
        hidden_layer_sizes=(4,),
        max_iter=2,
        early_stopping=True,
        validation_fraction=0.4,
        random_state=0,
    ).fit(X, (X[:, 0] > 0).astype(int))
    (trained, actions, objective, told), (held, fixed, without_finish, told_of_held) = calls
    assert (len(trained.table), len(held.table)) == (72, 48)
    assert actions.online and told.online is not None and told.held.any()
    assert not fixed.online and told_of_held.online is None and told_of_held.held is None
    # Nothing else is changed, and not what was given.
    assert fixed.get_params() == {**actions.get_params(), "online": False}
    assert without_finish.finish is None and objective.finish.validity_drop == 0.1
    assert model.teacher_actions.online
