"""Targets: labels, the opposite of a decision, rules, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from skcfq import (
    ActionSet,
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    RecourseTransformer,
)
from skcfq.estimators import CFQObjective, Finish, TeacherActions, TeacherClassifier
from skcfq.exceptions import (
    ActionSetError,
    DefaultTargetWarning,
    EmptyPopulationWarning,
    TargetError,
)
from skcfq.metrics import RecourseScorer
from skcfq.models import resolve_target

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def settings(quick):
    return {**quick, "max_iter": 30}


@pytest.fixture(scope="module")
def teacher(people):
    """One teacher for all: the tests look at what is asked of it."""
    X, score = people
    y = np.where(score > 0, "yes", "no")
    return TeacherClassifier((8,), max_iter=40, batch_size=16, random_state=0).fit(X, y)


def watch_supervision(monkeypatch):
    """Record what the training module is given."""
    import skcfq.estimators._student as student

    seen = []
    original = student.train

    def spy(module, rows, settings, **options):
        seen.append((module, rows))
        return original(module, rows, settings, **options)

    monkeypatch.setattr(student, "train", spy)
    return seen


def test_label(people, teacher, settings, monkeypatch):
    X, score = people
    seen = watch_supervision(monkeypatch)
    model = CFQClassifier(target="no", objective="paper", teacher=teacher, **settings)
    model.fit(X, np.where(score > 0, "yes", "no"))
    assert model.target_ == "no"
    rows = seen[0][1]
    targets, acted = rows.targets, rows.acted
    assert set(targets.tolist()) == {0}
    # Only people whom the teacher refuses "no" are acted on.
    assert acted.any()
    assert set(teacher.predict(X[acted.numpy()])) == {"yes"}


def test_opposite(people, teacher, settings, monkeypatch):
    X, score = people
    seen = watch_supervision(monkeypatch)
    model = CFQClassifier(target="opposite", objective="paper", teacher=teacher, **settings)
    model.fit(X, np.where(score > 0, "yes", "no"))
    assert model.target_ == "opposite"
    rows = seen[0][1]
    points, targets, acted = rows.points, rows.targets, rows.acted
    decisions = teacher.classes_.searchsorted(teacher.predict(X))
    np.testing.assert_array_equal(targets.numpy(), 1 - decisions)
    # Everybody wants something else than what they have.
    assert acted.float().mean() > 0.5
    reached = teacher.logits_(points[acted].double()).argmax(dim=1)
    np.testing.assert_array_equal(reached.numpy(), targets[acted].numpy())


def test_a_label_wins_over_the_word(people, settings):
    X, score = people
    y = np.where(score > 0, "opposite", "other")
    model = CFQClassifier(target="opposite", objective="paper", **settings).fit(X, y)
    assert "validity_loss" in model.history_
    solver = RecourseSolver(target=model.target_, method="pgd")
    result = solver.solve(model.teacher_, X.iloc[:10])
    assert result.target.tolist() == ["opposite"] * 10


@pytest.mark.parametrize("container", [np.asarray, list, pd.Series])
def test_rule(container, people, teacher, settings, monkeypatch):
    X, score = people
    y = np.where(score > 0, "yes", "no")
    seen, given = watch_supervision(monkeypatch), []

    def rule(X, y):
        given.append((X, y))
        return container(np.where(X["years"] > 5, "yes", "no"))

    weights = (np.arange(len(X)) > 3).astype(float)
    model = CFQClassifier(target=rule, objective="paper", teacher=teacher, **settings)
    model.fit(X, y, sample_weight=weights)
    assert model.target_ is None
    kept = X.iloc[4:]
    pd.testing.assert_frame_equal(given[0][0], kept)
    np.testing.assert_array_equal(given[0][1], y[4:])
    rows = seen[0][1]
    targets, acted = rows.targets, rows.acted
    np.testing.assert_array_equal(targets.numpy(), (kept["years"] > 5).astype(int))
    wanted = np.where(kept["years"] > 5, "yes", "no")
    assert (teacher.predict(kept) != wanted)[acted.numpy()].all()
    # A rule serves training only; a scorer says so.
    with pytest.raises(TargetError, match="serves training only"):
        RecourseScorer("validity_drop")(model, X)


def test_rule_of_one_label(people, teacher, settings):
    X, score = people
    y = np.where(score > 0, "yes", "no")
    settings = {"objective": "paper", "teacher": teacher, **settings}
    one = CFQClassifier(target=lambda X, y: "yes", **settings).fit(X, y)
    same = CFQClassifier(target="yes", **settings).fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), same.predict_proba(X))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda X, y: ["yes"] * 3, r"shape \(3,\), but there are 120 rows"),
        (lambda X, y: ["perhaps"] * len(X), "'perhaps' is no class"),
        (lambda X, y: None, "returned None"),
    ],
)
def test_impossible_rules(answer, message, people, teacher, settings):
    X, score = people
    y = np.where(score > 0, "yes", "no")
    with pytest.raises(TargetError, match=message):
        CFQClassifier(target=answer, teacher=teacher, **settings).fit(X, y)


@pytest.mark.parametrize("classifier", [QATClassifier, CFQClassifier])
def test_target_that_is_no_class(classifier, people, settings, monkeypatch):
    X, score = people
    monkeypatch.setattr(classifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    model = classifier(target="perhaps", **settings)
    with pytest.raises(TargetError, match=r"'perhaps' is no class .*\['no', 'yes'\]"):
        model.fit(X, np.where(score > 0, "yes", "no"))
    three = np.digitize(score, [-0.7, 0.7])
    with pytest.raises(TargetError, match="'opposite' needs two classes.*has 3"):
        model.set_params(target="opposite").fit(X, three)
    held_by_itself: list = []
    held_by_itself.append(held_by_itself)
    with pytest.raises(TargetError, match=r"`target` is \[\[\.\.\.\]\]: give one label"):
        model.set_params(target=held_by_itself).fit(X, three)


def test_the_default_is_announced_for_strings_only(people, settings):
    X, score = people
    model = CFQClassifier(objective="paper", **settings)
    with pytest.warns(DefaultTargetWarning, match="'yes', the last by alphabet of the classes"):
        model.fit(X, np.where(score > 0, "yes", "no"))
    assert model.target_ == "yes"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(model).fit(X, (score > 0).astype(int))
        clone(model).fit(X, score > 0)


def test_a_guess_is_announced_each_time_and_reaches_nobody(people, teacher, settings):
    X, score = people
    y = np.where(score > 0, "approve", "reject")
    guessed = "'reject', the last by alphabet of .*'approve', 'reject'.*give target='approve'"
    model = CFQClassifier(objective="paper", **settings)
    with warnings.catch_warnings(record=True) as caught:
        # What Python shows where nobody has set a filter: a line warns once.
        warnings.resetwarnings()
        warnings.simplefilter("always", DefaultTargetWarning, append=True)
        for _ in range(2):
            model.fit(X, y)
    assert sum(one.category is DefaultTargetWarning for one in caught) == 2
    scorer = RecourseScorer("validity_drop", solver=RecourseSolver(method="pgd"))
    transformer = RecourseTransformer(FrozenEstimator(model), solver=scorer.solver)
    with pytest.warns(DefaultTargetWarning, match=guessed):
        scorer(model, X)
    with pytest.warns(DefaultTargetWarning, match=guessed):
        transformer.fit(X)
    assert transformer.target_ == "reject"
    with pytest.warns(DefaultTargetWarning, match=guessed):
        result = transformer.solve(X[:5])
    assert len(result.to_frame()) >= 5
    for told in (result.explain, result.flipset):
        with pytest.raises(TargetError, match="'reject' was taken because.*last label by alphabet"):
            told(row=0)
    # The same outcome, said by somebody.
    told = RecourseSolver(method="pgd", target="reject").solve(model, X[:5])
    assert "'reject'" in told.explain(row=0)
    assert model.deployed().target_ is None


def test_a_guess_of_numbers_is_told(people):
    X, score = people
    X = X[["income", "years"]].fillna(0)
    model = LogisticRegression(max_iter=500).fit(X, score > 0)
    assert "True" in RecourseSolver().solve(model, X[:3], background=X).explain(row=0)


@pytest.mark.filterwarnings("error::skcfq.exceptions.DefaultTargetWarning")
def test_where_no_recourse_is_used_nothing_is_guessed(people, settings):
    X, score = people
    y = np.where(score > 0, "approve", "reject")
    QATClassifier(**settings).fit(X, y)
    CFQClassifier(objective=CFQObjective(eta=0), **settings).fit(X, y)
    teacher = TeacherClassifier((4,), max_iter=3)
    PTQClassifier(teacher=teacher, calibration="factual", allocation="factual").fit(X, y)


@pytest.mark.parametrize("target", ["granted", ["granted"] * 120])
def test_labels_that_a_tool_around_has_encoded(target, people, settings):
    X, score = people
    y = np.where(score > 0, "granted", "refused")
    model = CFQClassifier(target=target, objective="paper", **settings)
    if isinstance(target, str):
        voting = VotingClassifier([("net", model)], voting="soft")
        with pytest.raises(TargetError, match="tool around .* encoded.* position in the sorted"):
            voting.fit(X, y)
        with pytest.raises(TargetError, match="tool around .* encoded.* position in the sorted"):
            cross_val_predict(model, X, y, cv=2, method="predict_proba")
        # What the message asks for.
        fitted = voting.set_params(net__target=0).fit(X, y)
        assert fitted.estimators_[0].target_ == 0
        assert set(fitted.predict(X)) == {"granted", "refused"}
    else:
        with pytest.raises(TargetError, match="tool around"):
            resolve_target(target, np.array([0, 1]), np.zeros(120, dtype=int))
    with pytest.raises(TargetError, match="no class") as refused:
        resolve_target(target, np.array(["no", "yes"]), np.zeros(120, dtype=int))
    assert "encoded" not in str(refused.value)


def test_a_teacher_of_other_labels_behind_a_tool_that_encodes(people, teacher, settings):
    X, score = people
    y = np.where(score > 0, "yes", "no")
    net = QATClassifier(teacher=FrozenEstimator(teacher), **settings)
    with pytest.raises(ValueError, match="same labels.*tool around.*encoded"):
        StackingClassifier([("net", net)], LogisticRegression(), cv=2).fit(X, y)


class AlwaysYes(TeacherClassifier):
    """A teacher who refuses nobody."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.network_.layers[-1].bias[1] += 1e3
        return self


class NeverYes(AlwaysYes):
    """A teacher whom no action persuades."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.network_.layers[-1].bias[1] -= 2e3
        return self


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (AlwaysYes, "refuses nobody.*target to all of 120 rows, and .* learns who does not"),
        (NeverYes, "Of the 120 people .* none reaches .*target to none .* learns who does"),
    ],
)
def test_nobody_to_teach_about(teacher, message, people, settings):
    X, score = people
    model = CFQClassifier(target="yes", teacher=teacher((8,), max_iter=5), **settings)
    with pytest.warns(EmptyPopulationWarning, match=message):
        model.fit(X, np.where(score > 0, "yes", "no"))
    assert "validity_loss" not in model.history_
    assert model.predict(X).shape == (120,)


@pytest.mark.parametrize(
    ("objective", "remedy", "left"),
    [
        ("faithful", "another solver", {"task_loss", "distillation_loss", "mixup_loss"}),
        ("paper", "more or larger steps", {"task_loss"}),
    ],
)
def test_what_is_left_without_recourse_is_said(objective, remedy, left, people, settings, teacher):
    X, score = people
    nothing = ActionSet(immutable=list(X))
    model = CFQClassifier(target="yes", teacher=teacher, action_set=nothing, **settings)
    model.set_params(objective=objective)
    with pytest.warns(EmptyPopulationWarning, match=f"without the terms at recourse.*{remedy}"):
        model.fit(X, np.where(score > 0, "yes", "no"))
    assert {name for name in model.history_ if name.endswith("_loss")} == {"train_loss", *left}
    assert model.logit_bias_ == 0


def test_people_out_of_reach_are_left_alone(people, teacher, settings, monkeypatch):
    """The promise covers people whom the teacher's actions carry over, and nobody else."""
    X, score = people
    seen = watch_supervision(monkeypatch)
    rules = ActionSet(immutable=["job", "level", "member", "owner", "city", "savings"])
    actions = TeacherActions(2, step_size=0.3)
    model = CFQClassifier(
        target="yes",
        objective="paper",
        teacher=teacher,
        action_set=rules,
        teacher_actions=actions,
        **settings,
    ).fit(X, np.where(score > 0, "yes", "no"))
    module, given = seen[0]
    rows, points, acted = given.rows, given.points, given.acted
    assert module.loss.validity == 1.0
    denied = teacher.predict(X) == "no"
    assert 0 < acted.sum() < denied.sum()
    moved = (points != rows).any(dim=1)
    np.testing.assert_array_equal(moved[acted].numpy(), True)
    np.testing.assert_array_equal(denied[moved.numpy()], True)
    columns = np.concatenate([model.feature_space_.block(name).columns for name in rules.immutable])
    np.testing.assert_array_equal(points[:, columns].numpy(), rows[:, columns].numpy())
    assert (teacher.predict(X)[acted.numpy()] == "no").all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"objective": CFQObjective(hinge=-1)}, "objective.hinge is -1"),
        ({"objective": CFQObjective(hinge_margin=float("nan"))}, "objective.hinge_margin is nan"),
        ({"objective": CFQObjective(path=-2)}, "objective.path is -2"),
        ({"objective": CFQObjective(matching=(1.0, -1.0))}, "objective.matching is"),
        ({"objective": CFQObjective(groups="best")}, "objective.groups is 'best'"),
        ({"teacher_actions": TeacherActions(0)}, "n_steps is 0"),
        ({"teacher_actions": TeacherActions(method="guess")}, "method is 'guess'"),
        ({"teacher_actions": TeacherActions(share=0.0)}, "share is 0.0"),
        ({"teacher_actions": TeacherActions(max_people=0)}, "max_people is 0"),
        ({"teacher_actions": TeacherActions(noise=-1.0)}, "noise is -1.0"),
        ({"teacher_actions": TeacherActions(method="solver", online=True)}, "online=True"),
        ({"teacher_actions": TeacherActions(step_size=0.0)}, "step_size is 0.0"),
        ({"objective": CFQObjective(eta=-0.1)}, "objective.eta is -0.1"),
        ({"objective": CFQObjective(mixup=-0.1)}, "objective.mixup is -0.1"),
        (
            {"objective": CFQObjective(finish=True)},
            "objective.finish is True; give a Fin",
        ),
        (
            {"objective": CFQObjective(finish=Finish(validity_drop=1.0))},
            "objective.finish.validity_drop is 1.0; give a float in the range .0.0, 1.0.",
        ),
    ],
)
def test_impossible_objectives(parameters, message, people, settings, monkeypatch):
    X, score = people
    monkeypatch.setattr(CFQClassifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    with pytest.raises(ValueError, match=message):
        CFQClassifier(**parameters, **settings).fit(X, score > 0)


@pytest.mark.parametrize("classifier", [CFQClassifier, QATClassifier])
def test_wrong_rules_are_told_even_where_nobody_is_refused(classifier):
    X = pd.DataFrame({"a": [0.0, 1.0] * 20, "j_x": [1.0, 0.0] * 20, "j_y": [0.0, 1.0] * 20})
    split = ActionSet(immutable=["j_x"], one_hot={"j": ["j_x", "j_y"]})
    model = classifier(action_set=split, target=1, hidden_layer_sizes=(4,), max_iter=1)
    with pytest.raises(ActionSetError, match="j_x"):
        model.fit(X, [0, 1] * 20)


@pytest.mark.parametrize(
    "target",
    [[1], {1}, [1, [2, 3]], np.array([1, 1]), lambda X, y: y],
    ids=["list", "set", "ragged", "array", "function"],
)
@pytest.mark.parametrize("classifier", [QATClassifier, PTQClassifier])
def test_what_is_no_label_is_refused_where_training_does_not_use_it(classifier, target):
    X, y = np.arange(8.0)[:, None], np.arange(8) % 2
    with pytest.raises(TargetError, match="[Gg]ive one"):
        classifier(4, target=target, teacher=TeacherClassifier((2,), max_iter=1)).fit(X, y)
