"""``memory``: the same result bit for bit, and no teacher or recourse computed twice."""

from __future__ import annotations

import importlib
import pickle
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcfq import CFQClassifier, QATClassifier, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.estimators import CFQObjective, TeacherActions
from skcfq.training import _code_identity
from skcfq.training._code_identity import code_identity

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture
def cfq(credit, quick):
    def make(**options):
        rules = {"action_set": credit.action_set, "target": credit.favorable}
        plan = {"objective": "paper", "teacher_actions": TeacherActions()}
        return CFQClassifier(**{**rules, **quick, **plan, **options})

    return make


@pytest.fixture
def counted(monkeypatch):
    """Calls of what is expensive."""
    calls = {"teacher": 0, "recourse": 0}
    fit, points = TeacherClassifier.fit, TeacherActions.points

    def count_fit(self, X, y, sample_weight=None):
        calls["teacher"] += 1
        return fit(self, X, y, sample_weight)

    def count_points(self, *args, **kwargs):
        calls["recourse"] += 1
        return points(self, *args, **kwargs)

    monkeypatch.setattr(TeacherClassifier, "fit", count_fit)
    monkeypatch.setattr(TeacherActions, "points", count_points)
    return calls


def same(first, second):
    states = first.network_.state_dict(), second.network_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "faithful", "teacher_actions": None},
        {"early_stopping": True},
        {"teacher_actions": TeacherActions(noise=0.1, share=0.5)},
        {"teacher": make_pipeline(TableEncoder(), LogisticRegression())},
    ],
    ids=["paper", "faithful", "validation", "noise", "pipeline"],
)
def test_the_same_bit_for_bit(options, cfq, credit, counted, tmp_path):
    X, y = credit.data, credit.target
    without = cfq(**options).fit(X, y)
    first = cfq(memory=str(tmp_path), **options).fit(X, y)
    before = dict(counted)
    again = cfq(memory=str(tmp_path), **options).fit(X, y)
    assert counted == before
    assert before["recourse"] == (4 if options.get("early_stopping") else 2)
    assert same(without, first)
    assert same(first, again)
    np.testing.assert_array_equal(first.teacher_.predict_proba(X), again.teacher_.predict_proba(X))
    timeless = [one.history_.drop(columns="seconds") for one in (without, again)]
    assert timeless[0].equals(timeless[1])


def test_a_search_over_eta_has_one_teacher_a_fold(cfq, credit, counted, tmp_path):
    grid = {"objective__eta": [0.0, 0.5, 1.0, 2.0]}
    memory = joblib.Memory(tmp_path, verbose=0)
    found = {}
    for name, store in (("without", None), ("with", memory)):
        counted.update(teacher=0, recourse=0)
        teacher = TeacherClassifier((8,), max_iter=30, batch_size=16)
        model = cfq(memory=store, teacher=teacher, max_iter=2)
        search = GridSearchCV(model, grid, cv=2, refit=False, error_score="raise")
        search.fit(credit.data, credit.target)
        found[name] = search.cv_results_["mean_test_score"], dict(counted)
    np.testing.assert_array_equal(found["without"][0], found["with"][0])
    # Without a validity loss nobody's recourse is asked for.
    assert found["without"][1] == {"teacher": 8, "recourse": 6}
    assert found["with"][1] == {"teacher": 2, "recourse": 2}


def test_what_matters_is_computed_anew(cfq, credit, counted, tmp_path):
    X, y = credit.data, credit.target
    memory = str(tmp_path)
    cfq(memory=memory).fit(X, y)
    rules = type(credit.action_set)(**{**credit.action_set.get_params(), "max_changes": 1})
    cases = [
        ({"random_state": 1}, X, (1, 1)),
        ({"alpha": 0.01}, X, (1, 1)),
        ({}, X.iloc[::-1], (1, 1)),
        ({"action_set": rules}, X, (0, 1)),
        ({"teacher_actions": TeacherActions(2)}, X, (0, 1)),
        ({"target": "denied"}, X, (0, 1)),
        (
            {
                "objective": CFQObjective.preset("faithful").set_params(eta=2.0),
                "budget": 3,
                "learning_rate_init": 0.01,
            },
            X,
            (0, 0),
        ),
    ]
    for options, rows, (teachers, recourse) in cases:
        counted.update(teacher=0, recourse=0)
        cfq(memory=memory, **options).fit(rows, y.loc[rows.index])
        assert counted == {"teacher": teachers, "recourse": recourse}, options


def test_teachers_that_are_given_are_told_apart(cfq, credit, counted, tmp_path, quick):
    X, y = credit.data, credit.target
    settings = {key: quick[key] for key in ("max_iter", "batch_size")}
    first, second = (TeacherClassifier((8,), random_state=i, **settings).fit(X, y) for i in (1, 2))
    for teacher, recourse in ((first, 1), (second, 1), (FrozenEstimator(first), 0)):
        counted.update(teacher=0, recourse=0)
        model = cfq(teacher=teacher, memory=str(tmp_path)).fit(X, y)
        assert counted == {"teacher": 0, "recourse": recourse}
        assert same(model, cfq(teacher=teacher).fit(X, y))


def test_weights_are_told_apart(credit, quick, counted, tmp_path):
    X, y = credit.data, credit.target
    for weights, n in ((None, 1), (np.ones(len(X)), 0), (np.arange(len(X)) % 3, 1)):
        counted.update(teacher=0)
        QATClassifier(memory=str(tmp_path), **quick).fit(X, y, weights)
        assert counted["teacher"] == n


def test_what_was_interrupted_is_not_remembered(cfq, credit, counted, tmp_path, monkeypatch):
    X, y = credit.data, credit.target
    solver = RecourseSolver(method="gradient", random_state=0)
    options = {
        "memory": str(tmp_path),
        "teacher_actions": TeacherActions(method="solver", solver=solver, max_people=20),
    }

    def press(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("skcfq.training._loop.TensorNet.fit_loop", press)
        with pytest.raises(KeyboardInterrupt):
            cfq(**options).fit(X, y)
    with monkeypatch.context() as patched:
        patched.setattr("skcfq.actions.ActionRegion.project", press)
        with pytest.raises(KeyboardInterrupt):
            cfq(**options).fit(X, y)
    assert counted == {"teacher": 2, "recourse": 1}
    # Now the teacher is known, its recourse is not.
    model = cfq(**options).fit(X, y)
    assert counted == {"teacher": 2, "recourse": 2}
    without = {**options, "memory": None}
    assert same(model, cfq(**without).fit(X, y))


def built_inside_a_function():
    def build(n_inputs, n_classes):
        return torch.nn.Linear(n_inputs, n_classes)

    return build


@pytest.mark.parametrize(
    ("module", "name"),
    [(built_inside_a_function(), "build"), (lambda n, k: torch.nn.Linear(n, k), "lambda")],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_builder_that_cannot_be_pickled(inside, module, name, cfq, credit, tmp_path):
    options, parameter = {"module": module}, "module"
    if inside:
        options["teacher"] = make_pipeline(TableEncoder(), TeacherClassifier(module=module))
        parameter = "teacherclassifier__module"
    message = rf"`memory` .* {parameter}=<function .*{name}.* cannot be .*top level .*memory=None"
    with pytest.raises(ValueError, match=message):
        cfq(memory=str(tmp_path), **options).fit(credit.data, credit.target)
    assert not any(tmp_path.rglob("output.pkl"))
    assert cfq(**options).fit(credit.data, credit.target).network_ is not None


@pytest.mark.parametrize("memory", [1, TableEncoder()])
def test_what_is_no_memory(memory, cfq, credit):
    with pytest.raises(ValueError, match="'memory' parameter of CFQClassifier"):
        cfq(memory=memory).fit(credit.data, credit.target)


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [flip, lambda content: content[:-100], lambda content: b"", lambda content: pickle.dumps(3)],
    ids=["one-bit", "truncated", "empty", "another"],
)
def test_a_damaged_entry_is_computed_anew(damage, cfq, credit, counted, tmp_path, caplog):
    X, y = credit.data, credit.target
    first = cfq(memory=str(tmp_path)).fit(X, y)
    files = sorted(tmp_path.rglob("output.pkl"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    for expected in ({"teacher": 2, "recourse": 2}, {"teacher": 2, "recourse": 2}):
        again = cfq(memory=str(tmp_path)).fit(X, y)
        # Once, and then the new entry is known.
        assert counted == expected
        assert same(first, again)


class Shelf:
    """Another cache, with no more than the interface that is asked for."""

    def __init__(self):
        self.kept, self.damaged = {}, False

    def cache(self, function, ignore=()):
        def cached(*given, **named):
            known = {name: value for name, value in named.items() if name not in ignore}
            key = function.__name__, joblib.hash((given, known))
            if key not in self.kept:
                self.kept[key] = function(*given, **named)
            digest, content = self.kept[key]
            return digest, flip(content) if self.damaged else content

        return cached


def test_another_cache(cfq, credit, counted):
    shelf = Shelf()
    first = cfq(memory=shelf).fit(credit.data, credit.target)
    assert same(first, cfq(memory=shelf).fit(credit.data, credit.target))
    assert counted == {"teacher": 1, "recourse": 1}
    shelf.damaged = True
    assert same(first, cfq(memory=shelf).fit(credit.data, credit.target))
    assert counted == {"teacher": 2, "recourse": 2}


@pytest.mark.parametrize("package", ["torch", "scikit-learn"])
def test_what_another_version_kept_is_not_used(
    package, cfq, credit, counted, tmp_path, monkeypatch
):
    cfq(memory=str(tmp_path)).fit(credit.data, credit.target)
    version = _code_identity._version
    monkeypatch.setattr(
        _code_identity, "_version", lambda name: "0" if name == package else version(name)
    )
    cfq(memory=str(tmp_path)).fit(credit.data, credit.target)
    assert counted == {"teacher": 2, "recourse": 2}


SOURCE = """
import numpy as np
from sklearn.base import BaseEstimator

def unit():
    return {unit}

def shrunk(values):
    return values / (unit() + 1)

def grown(values):
    return values * (unit() + 1)

class Shrinking(BaseEstimator):
    def used(self):
        return {method}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A user's module, written anew, whose names stay."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(unit=1, method=1):
        sys.modules.pop("shrinking_by_a_user", None)
        importlib.invalidate_caches()
        source = SOURCE.format(unit=unit, method=method)
        (tmp_path / "shrinking_by_a_user.py").write_text(source)
        return importlib.import_module("shrinking_by_a_user")

    yield write
    sys.modules.pop("shrinking_by_a_user", None)


@pytest.mark.parametrize("changed", [{"unit": 2}, {"method": 2}])
def test_code_is_told_apart_where_names_are_the_same(changed, written):
    def identities():
        module = written()
        before = code_identity(FunctionTransformer(module.shrunk), module.Shrinking())
        module = written(**changed)
        return before, code_identity(FunctionTransformer(module.shrunk), module.Shrinking())

    (first, second), (again, _) = identities(), identities()
    assert first == again != second


def test_a_function_that_was_rewritten_is_not_the_one_that_is_remembered(
    written, quick, credit, counted, tmp_path
):
    X, y = credit.data[["income", "loan_amount", "age"]], credit.target
    for unit, expected in ((1, 1), (1, 1), (3, 2)):
        module = written(unit)
        encoder = FunctionTransformer(module.shrunk, module.grown)
        teacher = TeacherClassifier((8,), max_iter=2, encoder=encoder)
        QATClassifier(teacher=teacher, memory=str(tmp_path), **quick).fit(X, y)
        assert counted["teacher"] == expected
