"""Robust, broken or open: against all points of small code boxes, and against sampling."""

import itertools

import numpy as np
import pytest
import torch
from lattice_cases import draw_integers, draw_people, draw_rectifiers
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from skcfq import ActionSet, load, theory
from skcfq.deploy import DeployedClassifier, IntegerLayer, IntegerNetwork
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import BackgroundRequiredError, UnsupportedModelError
from skcfq.models import as_predictor
from skcfq.proofs import readable_network
from skcfq.theory import _bisection
from skcfq.theory._network_inputs import NetworkInputs
from skcfq.theory._row_boxes import RowBoxes

PEOPLE = draw_people(25)
INTEGERS = {
    "three classes": draw_integers(PEOPLE, (8, 6), 3, bits=3, per_channel=True),
    "two classes": draw_integers(PEOPLE, (8, 6, 5), 2, bits=4),
    "no hidden layer": draw_integers(PEOPLE, (), 3, bits=4),
}


def _all_codes(model, low, high):
    """Return one encoded point for every combination of codes between two encoded rows."""
    integers = model.integer_network_
    ends = integers.codes(np.stack([low, high])) / integers.input_factors
    stretches = [np.arange(first, last + 1) for first, last in ends.T.astype(int)]
    return np.array(list(itertools.product(*stretches))) * integers.input_steps


@pytest.mark.parametrize("leaf", [1, 64])
@pytest.mark.parametrize("name", INTEGERS)
def test_every_box_of_codes_is_decided_as_its_points_are(name, leaf, monkeypatch):
    monkeypatch.setattr(_bisection, "_LEAF", leaf)
    model, predictor = INTEGERS[name], as_predictor(INTEGERS[name])
    statuses = []
    for target, radius in itertools.product(model.classes_, (0.0, 0.02, 0.1)):
        found = theory.robustness(model, PEOPLE, radius=radius, target=target)
        boxes = RowBoxes.of((predictor,), PEOPLE, radius)
        holds = [
            (model.integer_network_.decisions(_all_codes(model, *ends)) == target).all()
            for ends in zip(boxes.low, boxes.high, strict=True)
        ]
        np.testing.assert_array_equal(found.status, np.where(holds, "robust", "broken"))
        _assert_counterexamples(predictor, found, PEOPLE, target)
        statuses.append(found.robust)
    # Some break in the box alone.
    assert any((first & ~second).any() for first, second in itertools.pairwise(statuses))


def _assert_counterexamples(predictor, found, X, target):
    rows = found.counterexamples
    assert rows.index.equals(X.index[found.broken])
    assert (predictor.predict(rows) != target).all()
    boxes = RowBoxes.of((predictor,), X, found.radius)
    encoded, nearly = predictor.space.encode(rows), 1e-12
    assert (encoded >= boxes.low[found.broken] - nearly).all()
    assert (encoded <= boxes.high[found.broken] + nearly).all()
    own = X[found.broken]
    for name in ("grade", "color"):
        assert (rows[name] == own[name]).all()
    moved = (rows != own).any(axis=1)
    assert (moved == (predictor.predict(own) == target)).all()


REAL = {
    "perceptron": lambda: draw_rectifiers(PEOPLE, (8, 6), 3),
    "linear": lambda: LogisticRegression().fit(
        PEOPLE[["age", "income", "debt"]], np.arange(25) % 3
    ),
    "threshold": lambda: FixedThresholdClassifier(
        draw_rectifiers(PEOPLE, (8, 6), 2), threshold=0.4, response_method="predict_proba"
    ).fit(PEOPLE, np.arange(25) % 2),
}


@pytest.mark.parametrize("name", REAL)
def test_real_networks_never_contradict_sampling(name):
    model, X = REAL[name](), PEOPLE
    X = X[["age", "income", "debt"]] if name == "linear" else X
    predictor, rng = as_predictor(model, background=X), np.random.RandomState(0)
    some = []
    for target, radius in itertools.product(predictor.classes, (0.0, 0.05, 0.4)):
        told = {"target": target, "background": X}
        found = theory.robustness(model, X, radius=radius, **told)
        boxes, held = RowBoxes.of((predictor,), X, radius), np.ones(len(X), dtype=bool)
        for draw in range(200):
            share = rng.rand(*boxes.low.shape)
            share = np.rint(share) if draw % 2 else share
            points = torch.from_numpy(boxes.low + share * (boxes.high - boxes.low))
            won = predictor.logits(points).detach().numpy().argmax(axis=1)
            held &= predictor.classes[won] == target
        assert held[found.robust].all()
        assert (predictor.predict(found.counterexamples) != target).all()
        assert len(found.counterexamples) == found.broken.sum()
        assert not found.open.any()
        some.append((found.robust & (radius > 0)).sum())
    assert sum(some) > 5


def test_samples_overstate():
    model, rng = INTEGERS["three classes"], np.random.RandomState(0)
    predictor = as_predictor(model)
    found = theory.robustness(model, PEOPLE, radius=0.1, target=0)
    boxes, held = RowBoxes.of((predictor,), PEOPLE, 0.1), np.ones(len(PEOPLE), dtype=bool)
    for _ in range(8):
        points = boxes.low + rng.rand(*boxes.low.shape) * (boxes.high - boxes.low)
        held &= model.integer_network_.decisions(points) == 0
    assert held[found.robust].all()
    assert held.sum() > found.robust.sum()


def test_answers_do_not_depend_on_who_else_is_asked(monkeypatch):
    monkeypatch.setattr(_bisection, "_LEAF", 2)
    monkeypatch.setattr(_bisection, "_BLOCK", 16)
    for model in (INTEGERS["two classes"], draw_rectifiers(PEOPLE, (8, 6), 2)):
        told = {"radius": 0.3, "target": 1, "background": PEOPLE, "max_boxes": 40}
        found = theory.robustness(model, PEOPLE, **told)
        rows = iter(range(len(found.counterexamples)))
        for person in range(len(PEOPLE)):
            alone = theory.robustness(model, PEOPLE.iloc[[person]], **told)
            assert alone.status[0] == found.status[person]
            assert alone.n_boxes[0] == found.n_boxes[person]
            if alone.broken[0]:
                shown = found.counterexamples.iloc[[next(rows)]]
                assert alone.counterexamples.equals(shown.astype(alone.counterexamples.dtypes))


def test_rows_that_wait_for_room_get_the_same_answers(monkeypatch):
    monkeypatch.setattr(_bisection, "_LEAF", 2)
    told = {"radius": 0.3, "target": 1, "max_boxes": 200}
    found = theory.robustness(INTEGERS["two classes"], PEOPLE, **told)
    monkeypatch.setattr(_bisection, "_WAITING", 1)
    slow = theory.robustness(INTEGERS["two classes"], PEOPLE, **told)
    assert found.n_boxes.max() > 40
    assert slow.n_boxes.tolist() == found.n_boxes.tolist()
    assert slow.status.tolist() == found.status.tolist()


def test_budget_leaves_points_open_and_no_point_wrong(monkeypatch):
    monkeypatch.setattr(_bisection, "_LEAF", 1)
    model = INTEGERS["three classes"]
    full = theory.robustness(model, PEOPLE, radius=0.2, target=0, max_boxes=10**6)
    assert not full.open.any()
    open_ = []
    for budget in (1, 8, 64):
        found = theory.robustness(model, PEOPLE, radius=0.2, target=0, max_boxes=budget)
        assert (found.n_boxes <= budget).all()
        assert (found.status == full.status)[~found.open].all()
        open_.append(found.open.sum())
    assert open_[0] > open_[1] > open_[2]
    assert f"{open_[2]} open" in repr(found)


def test_small_parts_are_listed_point_by_point(monkeypatch):
    tried = []

    def note(_, row, units):
        tried.extend(zip(row, *units.T, strict=True))

    monkeypatch.setattr(_bisection._Search, "_try", note)
    predictor = as_predictor(INTEGERS["two classes"])
    inputs = NetworkInputs(readable_network(predictor), RowBoxes.of((predictor,), PEOPLE, 0.1))
    ends = np.array([[0, 0, 0], [5, -2, 1]]), np.array([[3, 1, 2], [5, 3, 2]])
    parts = _bisection._Parts(np.array([4, 7]), *(end.astype(float) for end in ends), np.zeros(2))
    _bisection._Search(inputs, np.zeros(len(PEOPLE), dtype=int)).divide(parts)
    wanted = [
        (row, *point)
        for row, low, high in zip((4, 7), *ends, strict=True)
        for point in itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
    ]
    assert sorted(tried) == sorted(wanted)


@pytest.mark.parametrize("leaf", [1, 64])
def test_of_equal_totals_the_first_class_wins(leaf, monkeypatch):
    monkeypatch.setattr(_bisection, "_LEAF", leaf)
    # The second class is ahead by the code of the only number.
    layer = IntegerLayer(np.array([[0], [1]]), 2, 0.5, np.zeros(2, int), 0)
    network = IntegerNetwork(0.25, 8, (layer,), 0.125, np.zeros(1, int))
    X = np.array([[-1.0], [1.0], [1.5]])
    space = FeatureSpace.from_frame(X)
    model = DeployedClassifier(network, space, np.array([0, 1]))
    radius = 1.0 / space.blocks[0].statistics.encoded_std
    second = theory.robustness(model, X, radius=radius, target=1)
    assert second.status.tolist() == ["broken", "broken", "robust"]
    np.testing.assert_allclose(second.counterexamples[1], 0.0, rtol=0, atol=0.125)
    first = theory.robustness(model, X, radius=radius, target=0)
    assert first.status.tolist() == ["robust", "broken", "broken"]


def test_threshold_on_integers_is_kept(lending):
    _, student, X = lending
    model = FixedThresholdClassifier(student, threshold=0.7, response_method="predict_proba")
    model = model.fit(X, student.predict(X))
    rows = X[model.predict(X) == "granted"]
    found = theory.robustness(model, rows, radius=0.2, target="granted", background=X)
    assert not found.open.any() and found.robust.any() and found.broken.any()
    assert (model.predict(found.counterexamples) != "granted").all()
    plain = theory.robustness(model.estimator_, rows, radius=0.2, target="granted")
    # The threshold is that of the last label, the wanted one, which is harder to keep so.
    assert plain.robust[found.robust].all() and found.robust.sum() < plain.robust.sum()


def test_numbers_that_need_not_move_stay():
    X = np.random.RandomState(0).normal(size=(60, 3))
    model = LogisticRegression().fit(X, X[:, 1] > 0)
    model.coef_ = np.array([[0.01, 3.0, 0.0]])
    found = theory.robustness(model, X, radius=0.3, target=True, background=X)
    before = X[found.broken]
    held = model.predict(before)
    assert held.sum() > 3
    moved = found.counterexamples != before
    np.testing.assert_array_equal(moved[held], np.tile([False, True, False], (held.sum(), 1)))
    assert not moved[~held].any()


def test_members_of_a_declared_group_stay():
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.normal(size=60), *np.eye(2)[rng.randint(0, 2, 60)].T])
    model = LogisticRegression(C=100).fit(X, X[:, 0] + 3 * X[:, 1] > 1.5)
    free = theory.robustness(model, X, radius=0.2, target=True, background=X)
    model.action_set_ = ActionSet(one_hot={"kind": [1, 2]})
    held = theory.robustness(model, X, radius=0.2, target=True, background=X)
    assert held.robust[free.robust].all() and held.robust.sum() > free.robust.sum()
    before = X[held.broken][:, 1:]
    np.testing.assert_array_equal(held.counterexamples[:, 1:], before)


def test_file_of_a_model_answers_as_the_model_does(lending, tmp_path):
    _, student, X = lending
    found = theory.robustness(student, X, radius=0.05)
    student.export(tmp_path / "model.skcfq", statistics="none")
    model = load(tmp_path / "model.skcfq")
    with pytest.raises(BackgroundRequiredError, match="background"):
        theory.robustness(model, X, radius=0.05)
    again = theory.robustness(model, X, radius=0.05, background=X)
    np.testing.assert_array_equal(found.status, again.status)


def test_nobody_is_asked_about_and_models_that_cannot_be_bounded():
    model = INTEGERS["two classes"]
    assert len(theory.robustness(model, PEOPLE.iloc[:0], radius=0.1).status) == 0
    X = PEOPLE[["age", "income"]]
    trees = RandomForestClassifier(3, random_state=0).fit(X, np.arange(25) % 2)
    with pytest.raises(UnsupportedModelError, match="cannot be bounded.*TeacherClassifier"):
        theory.robustness(trees, X, radius=0.1, background=X)
