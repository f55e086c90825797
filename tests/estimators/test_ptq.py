"""Post-training quantization: whom it can read, what it leaves alone, what it promises."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import skcfq
from skcfq import PTQClassifier, QATClassifier, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.estimators import Quantizer, TeacherActions
from skcfq.exceptions import (
    BudgetError,
    DefaultTargetWarning,
    EmptyPopulationWarning,
    UnsupportedModelError,
)
from skcfq.metrics import vd_scorer

WIDE = {"budget": 12, "candidates": (12,), "quantizer": Quantizer(12), "random_state": 0}


@pytest.fixture(scope="module")
def teacher(credit):
    model = TeacherClassifier((12, 10), max_iter=15, batch_size=32, random_state=0)
    return model.fit(credit.data, credit.target)


@pytest.fixture(scope="module")
def shared(credit, teacher):
    return {
        "teacher": FrozenEstimator(teacher),
        "action_set": credit.action_set,
        "target": credit.favorable,
        "random_state": 0,
    }


def sequential(final=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, final)).eval()


def readable():
    relu = MLPClassifier((6,), max_iter=60, random_state=0)
    plain = MLPClassifier((6, 4), activation="identity", max_iter=60, random_state=0)
    return [
        LogisticRegression(max_iter=500),
        relu,
        plain,
        make_pipeline(TableEncoder(), LogisticRegression(max_iter=500)),
        TeacherClassifier((6,), max_iter=10, batch_size=16, random_state=0),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", readable(), ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_with_many_bits_the_decisions_are_the_teachers(model, n_classes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    y = np.digitize(X @ [1.0, -1.0, 0.5, 0.0], [-0.5, 0.5][: n_classes - 1])
    model = clone(model).fit(X, y)
    # The inputs keep 8 bits, so that rows near the boundary may differ.
    quantized = PTQClassifier(teacher=FrozenEstimator(model), **WIDE).fit(X, y)
    assert np.mean(quantized.predict(X) == model.predict(X)) > 0.95
    assert quantized.teacher_ is model


@pytest.mark.parametrize("final", [1, 2])
def test_torch_modules(final):
    X = np.random.default_rng(0).normal(size=(100, 4))
    module = sequential(final)
    with torch.no_grad():
        module[3].bias -= module(torch.from_numpy(X).float()).median(dim=0).values
    with torch.no_grad():
        logits = module(torch.from_numpy(X).float()).numpy()
    y = (logits[:, 0] > 0).astype(int) if final == 1 else logits.argmax(axis=1)
    before = deepcopy(module.state_dict())
    quantized = PTQClassifier(teacher=module, **WIDE).fit(X, y)
    assert quantized.score(X, y) > 0.95
    assert quantized.teacher_.score(X, y) == 1
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    encoder = TableEncoder().fit(X)
    assert PTQClassifier(teacher=module, encoder=encoder, **WIDE).fit(X, y).encoder_ is encoder


def test_modules_that_cannot_be_read():
    X, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2
    for module in (
        nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)),
        nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2)),
        nn.Bilinear(2, 2, 2),
    ):
        with pytest.raises(UnsupportedModelError, match="Linear and ReLU"):
            PTQClassifier(teacher=module).fit(X, y)
    with pytest.raises(UnsupportedModelError, match="4 columns to 3 logits"):
        PTQClassifier(teacher=sequential(3)).fit(X, y)


@pytest.mark.parametrize("classifier", [PTQClassifier, QATClassifier])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_modules_whose_training_diverged(classifier, value):
    X, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2
    module = sequential()
    with torch.no_grad():
        module[3].bias[0] = value
    with pytest.raises(UnsupportedModelError, match="whose 3.bias holds numbers .* not finite"):
        classifier(teacher=module).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["tanh", "logistic"])
def test_networks_without_rectifiers_are_taught_instead(activation):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    y = (X[:, 0] > X[:, 1]).astype(int)
    model = MLPClassifier((6,), activation=activation, learning_rate_init=0.01, max_iter=80)
    model.set_params(random_state=0).fit(X, y)
    says = f"activation='{activation}'.*QATClassifier or CFQClassifier learn"
    with pytest.raises(UnsupportedModelError, match=says):
        PTQClassifier(teacher=model).fit(X, y)
    settings = {"max_iter": 25, "batch_size": 16, "random_state": 0}
    learned = QATClassifier(4, teacher=model, **settings).fit(X, y)
    assert learned.teacher_ is model
    assert np.mean(learned.predict(X) == model.predict(X)) > 0.8


def test_closed_models_are_refused():
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    trees = DecisionTreeClassifier(random_state=0).fit(X, y)
    with pytest.raises(UnsupportedModelError, match="DecisionTreeClassifier has no linear or"):
        PTQClassifier(teacher=trees).fit(X, y)


def test_nothing_of_the_teacher_is_trained(shared, teacher, credit):
    before = deepcopy(teacher.network_.state_dict())
    model = PTQClassifier(3, adaptive_rounding=True, bias_correction=True, **shared)
    model.fit(credit.data, credit.target)
    for key, value in teacher.network_.state_dict().items():
        assert torch.equal(before[key], value)
    step = model.network_.layers[0].steps[1]
    moved = (model.network_.layers[0].weight - teacher.network_.layers[0].weight).abs() / step
    inside = teacher.network_.layers[0].weight.abs() < 3 * step
    assert (moved[inside] < 1 + 1e-6).all()


@pytest.mark.parametrize("calibration", ["factual", "counterfactual"])
@pytest.mark.parametrize("allocation", ["factual", "counterfactual", "margin", "uniform"])
def test_every_cell_meets_the_budget(calibration, allocation, shared, credit):
    for budget in (2, 3.3, 4, 8):
        model = PTQClassifier(budget, calibration=calibration, allocation=allocation, **shared)
        model.fit(credit.data, credit.target)
        assert model.average_bits_ <= budget
        factual = calibration == "factual" and allocation in ("factual", "uniform")
        assert (model.n_recourse_points_ == 0) == factual
        assert (model.sensitivities_ is None) == (allocation == "uniform")


def test_the_two_rules_agree_with_eq_24(shared, credit):
    greedy = PTQClassifier(5, allocation_rule="greedy", **shared).fit(credit.data, credit.target)
    exact = PTQClassifier(5, **shared).fit(credit.data, credit.target)
    np.testing.assert_array_equal(greedy.sensitivities_, exact.sensitivities_)
    assert exact.sensitivities_ @ exact.bit_widths_ >= greedy.sensitivities_ @ greedy.bit_widths_
    assert greedy.average_bits_ <= 5


def test_recourse_points_come_from_steps_or_from_a_solver(shared, credit):
    steps = PTQClassifier(4, teacher_actions=TeacherActions(10, step_size=2.0), **shared)
    solver = PTQClassifier(4, teacher_actions=RecourseSolver(margin=0.1), **shared)
    counts = [model.fit(credit.data, credit.target).n_recourse_points_ for model in (steps, solver)]
    assert min(counts) > 10
    assert solver.teacher_actions.target is None


def test_factual_calibration_asks_for_no_target(credit, shared):
    plain = {key: shared[key] for key in ("teacher", "random_state")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PTQClassifier(8, calibration="factual", allocation="uniform", **plain).fit(
            credit.data, credit.target
        )
    with pytest.warns(DefaultTargetWarning):
        PTQClassifier(8, **plain).fit(credit.data, credit.target)


def test_without_recourse_the_calibration_is_factual(shared, credit):
    settings = {**shared, "teacher_actions": TeacherActions(1, step_size=1e-9)}
    with pytest.warns(EmptyPopulationWarning, match="calibration is factual"):
        model = PTQClassifier(4, **settings).fit(credit.data, credit.target)
    assert model.n_recourse_points_ == 0
    assert model.score(credit.data, credit.target) > 0.5


def test_small_calibration_set_and_repeatable_fits(shared, credit):
    fits = [
        PTQClassifier(4, calibration_size=50, **shared).fit(credit.data, credit.target)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(
        fits[0].decision_function(credit.data), fits[1].decision_function(credit.data)
    )


def test_the_noise_of_recourse_points_follows_the_seed(shared, credit):
    def clips(seed):
        noisy = {**shared, "teacher_actions": TeacherActions(noise=2.0), "random_state": seed}
        model = PTQClassifier(4, **noisy).fit(credit.data, credit.target)
        return model.network_.quantized_layers[0].clips

    torch.testing.assert_close(clips(0), clips(0))
    assert not torch.equal(clips(0), clips(1))


def test_budget_below_every_candidate(shared, credit):
    with pytest.raises(BudgetError, match="raise it to at least 3"):
        PTQClassifier(2, candidates=(3, 4), **shared).fit(credit.data, credit.target)


def test_files_and_scorers(shared, credit, tmp_path):
    model = PTQClassifier(4, **shared).fit(credit.data, credit.target)
    model.export(tmp_path / "m")
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(
        loaded.decision_function(credit.data), model.decision_function(credit.data)
    )
    assert -1 <= vd_scorer(model, credit.data.iloc[:60]) <= 0


def test_a_model_on_unscaled_columns_keeps_its_decisions(credit, tmp_path):
    X = credit.data.select_dtypes("number").fillna(0)
    model = LogisticRegression(max_iter=5000).fit(X, credit.target)
    settings = {"teacher": model, "target": credit.favorable, "random_state": 0}
    settings["teacher_actions"] = RecourseSolver()
    small = PTQClassifier(8, **settings).fit(X, credit.target)
    assert np.mean(small.predict(X) == model.predict(X)) > 0.95
    assert small.integer_network_.input_units is not None
    small.export(tmp_path / "m")
    loaded = skcfq.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.decision_function(X), small.decision_function(X))
    again = pickle.loads(pickle.dumps(small))
    np.testing.assert_array_equal(again.decision_function(X), small.decision_function(X))
    scaled = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, credit.target)
    small = PTQClassifier(8, **{**settings, "teacher": scaled}).fit(X, credit.target)
    assert small.integer_network_.input_units is None


class Own(nn.Module):
    """What people write instead of an nn.Sequential."""

    def __init__(self, activation=torch.relu):
        super().__init__()
        self.first, self.norm = nn.Linear(4, 8), nn.BatchNorm1d(8)
        self.second, self.last = nn.Linear(8, 6, bias=False), nn.Linear(6, 2)
        self.activation = activation

    def forward(self, x):
        x = self.activation(self.norm(self.first(torch.flatten(x, 1))))
        x = nn.functional.dropout(x, 0.3, training=self.training)
        return nn.functional.log_softmax(self.last(self.second(x).relu()), dim=1)


def own(**settings):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = Own(**settings)
        module.norm.running_mean.normal_()
        module.norm.running_var.uniform_(0.5, 2)
    return module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_modules_of_ones_own(dtype):
    X = np.random.default_rng(0).normal(size=(200, 4))
    module = own().to(dtype)
    with torch.no_grad():
        logits = deepcopy(module).double().eval()(torch.from_numpy(X))
        module.last.bias -= logits.median(dim=0).values.to(dtype)
        y = deepcopy(module).double().eval()(torch.from_numpy(X)).argmax(dim=1).numpy()
    small = PTQClassifier(teacher=module, **WIDE).fit(X, y)
    assert small.teacher_.score(X, y) == 1
    assert small.score(X, y) > 0.95
    assert module.training


class Branch(Own):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.last(x)


class Residual(Own):
    def forward(self, x):
        x = self.second(self.first(x).relu())
        return self.last(x + x.relu())


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (own(activation=torch.tanh), "tanh stands"),
        (own(activation=nn.Sigmoid()), "second .Linear. stands behind"),
        (Branch(), "cannot be traced"),
        (Residual(), "takes other inputs"),
        (nn.Sequential(nn.Linear(4, 2), nn.ReLU()), "last layer is not linear"),
        (nn.Linear(4, 2, device="meta"), "holds no numbers"),
        (nn.utils.spectral_norm(nn.Linear(4, 2)), "cannot be read"),
    ],
)
def test_why_a_module_is_refused(module, why):
    X, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2
    with pytest.raises(UnsupportedModelError, match=why):
        PTQClassifier(teacher=module).fit(X, y)


def test_quantized_models_name_their_teacher(shared, credit):
    once = PTQClassifier(8, **shared).fit(credit.data, credit.target)
    again = PTQClassifier(4, **{**shared, "teacher": once})
    with pytest.raises(UnsupportedModelError, match="is quantized already.*`teacher_`"):
        again.fit(credit.data, credit.target)


def test_share_and_number_of_the_people_with_recourse(shared, credit):
    def points(**settings):
        actions = TeacherActions(10, step_size=2.0, **settings)
        model = PTQClassifier(4, teacher_actions=actions, **shared)
        return model.fit(credit.data, credit.target).n_recourse_points_

    everybody = points()
    assert points(max_people=7) <= 7 < everybody
    assert 0 < points(share=0.4) < 0.7 * everybody
    with pytest.raises(ValueError, match="online=True.*Give online=False"):
        points(online=True)
