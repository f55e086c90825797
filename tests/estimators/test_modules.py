"""Networks of the user in the place of the library's own, and how finely they are quantized."""

from __future__ import annotations

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

from skcfq import (
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.estimators import FixedBits, Quantizer, SensitivityBits
from skcfq.exceptions import UnsupportedModelError
from skcfq.metrics import counterfactual_recourse_gap, validity_drop
from skcfq.models import as_predictor
from skcfq.nn import FullPrecisionMLP, QuantizedMLP, QuantizedModule

pytestmark = pytest.mark.usefixtures("short_teachers")

QUICK = {"max_iter": 12, "batch_size": 32, "learning_rate_init": 0.01, "random_state": 0}


class Residual(nn.Module):
    """Two paths, normalization and dropout."""

    def __init__(self, n_inputs, n_classes):
        super().__init__()
        self.first = nn.Linear(n_inputs, 12)
        self.block = nn.Sequential(
            nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 12), nn.Dropout(0.2)
        )
        self.last = nn.Linear(12, n_classes)

    def forward(self, x):
        h = self.first(x)
        return self.last(h + self.block(h))


def convolutions(n_inputs, n_classes):
    return nn.Sequential(
        nn.Unflatten(1, (1, n_inputs)),
        nn.Conv1d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * n_inputs, n_classes),
    )


def chain(n_inputs, n_classes):
    return nn.Sequential(nn.Linear(n_inputs, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, n_classes)))


BUILDERS = [Residual, convolutions]
by_builder = pytest.mark.parametrize("make", BUILDERS, ids=lambda one: one.__name__)


@pytest.fixture(scope="module")
def fitted(credit):
    """One faithful and one accuracy-centric student of each module."""
    rules = {"action_set": credit.action_set, "target": credit.favorable}
    return {
        (make, classifier): classifier(budget, module=make, **rules, **QUICK).fit(
            credit.data, credit.target
        )
        for make in BUILDERS
        for classifier, budget in ((CFQClassifier, 3), (QATClassifier, 8))
    }


@pytest.fixture
def encoder(credit):
    return TableEncoder().fit(credit.data)


@by_builder
@pytest.mark.parametrize("classifier", [CFQClassifier, QATClassifier])
def test_fit_predict_and_recourse(make, classifier, fitted, credit):
    model = fitted[make, classifier]
    assert isinstance(model.network_, QuantizedModule)
    assert model.average_bits_ <= model.budget
    assert model.bit_cost_ == np.dot(model.network_.n_weights, model.bit_widths_)
    assert model.bops_ > 0
    assert model.score(credit.data, credit.target) > 0.7
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    people = credit.data[model.teacher_.predict(credit.data) != credit.favorable][:30]
    reference, deployed = solver.compare(model.teacher_, model, people)
    assert deployed.valid.mean() > 0.8
    assert (model.predict(deployed.points[deployed.valid]) == credit.favorable).all()
    assert 0 <= validity_drop(model.teacher_, model, reference) <= 1
    assert np.isfinite(counterfactual_recourse_gap(reference, deployed))


@by_builder
def test_eight_bits_are_nearly_the_teacher(make, fitted, credit):
    """Without training, which would go its own way."""
    teacher = fitted[make, QATClassifier].teacher_
    settings = {**QUICK, "learning_rate_init": 1e-9, "max_iter": 1}
    model = QATClassifier(8, module=make, teacher=teacher, **settings)
    model.fit(credit.data, credit.target)
    assert model.teacher_ is teacher
    np.testing.assert_array_equal(model.bit_widths_, 8)
    assert (model.predict(credit.data) == model.teacher_.predict(credit.data)).mean() > 0.95


@by_builder
def test_predict_is_the_argmax_of_logits_with_gradients(make, fitted, credit):
    model = fitted[make, CFQClassifier]
    Z = torch.from_numpy(model.feature_space_.encode(credit.data)).requires_grad_()
    logits = as_predictor(model).logits(Z)
    assert logits.dtype == torch.float64
    best = model.classes_[logits.argmax(1).numpy()]
    np.testing.assert_array_equal(best, model.predict(credit.data))
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), Z)
    assert (slope != 0).any(dim=1).float().mean() > 0.9


@by_builder
def test_copies(make, fitted, credit, tmp_path):
    model = fitted[make, CFQClassifier]
    wanted = model.predict_proba(credit.data)
    file = tmp_path / "model.joblib"
    joblib.dump(model, file)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(file),
        clone(model).fit(credit.data, credit.target),
    ):
        np.testing.assert_array_equal(other.predict_proba(credit.data), wanted)


def test_generators_are_left_alone(credit):
    """Dropout draws from the global generator, which is given back as it was."""
    before = torch.random.get_rng_state()
    QATClassifier(4, module=Residual, **{**QUICK, "max_iter": 2}).fit(credit.data, credit.target)
    assert torch.equal(torch.random.get_rng_state(), before)


@by_builder
def test_no_integer_form(make, fitted):
    model = fitted[make, CFQClassifier]
    assert not hasattr(model, "integer_network_")
    for action in (
        model.deployed,
        lambda: model.export(io.BytesIO()),
        lambda: model.to_onnx("unwritten.onnx"),
    ):
        with pytest.raises(UnsupportedModelError, match=r"no integer form.*nn\.Sequential of"):
            action()


def test_a_module_is_copied_and_gives_the_start(credit, encoder):
    module = convolutions(encoder.feature_space_.n_encoded, 2)
    before = copy.deepcopy(module.state_dict())
    teacher = TeacherClassifier(module=module, **QUICK).fit(credit.data, credit.target)
    trained = teacher.network_.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in trained.items())
    still = module.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in still.items())
    # A rate of nearly nothing shows where training starts.
    settings = {**QUICK, "learning_rate_init": 1e-12, "max_iter": 1}
    student = QATClassifier(8, module=module, teacher=teacher, **settings)
    student.fit(credit.data, credit.target)
    ours = student.network_.module[1].layer.weight
    torch.testing.assert_close(ours, teacher.network_[1].weight, atol=1e-6, rtol=0)


def test_a_chain_takes_the_integer_path(credit, tmp_path):
    model = QATClassifier(4, module=chain, **QUICK).fit(credit.data, credit.target)
    assert isinstance(model.network_, QuantizedMLP)
    assert isinstance(model.teacher_.network_, FullPrecisionMLP)
    np.testing.assert_array_equal(model.deployed().predict(credit.data), model.predict(credit.data))
    assert model.export(tmp_path / "chain.skcfq")["total"] > 0


def test_a_trained_module_is_a_teacher(credit, encoder):
    teacher = TeacherClassifier(module=Residual, encoder=encoder, **QUICK)
    trained = teacher.fit(credit.data, credit.target).network_
    rules = {"action_set": credit.action_set, "target": credit.favorable}
    model = CFQClassifier(
        4, teacher=trained, module=trained, encoder=encoder, **rules, **QUICK
    ).fit(credit.data, credit.target)
    np.testing.assert_array_equal(
        model.teacher_.predict_proba(credit.data), teacher.predict_proba(credit.data)
    )
    assert model.average_bits_ <= 4
    with pytest.raises(UnsupportedModelError, match="not Linear and ReLU"):
        PTQClassifier(8, teacher=trained, encoder=encoder, target=credit.favorable).fit(
            credit.data, credit.target
        )


def test_what_a_part_does_is_not_read_from_its_order(credit, encoder):
    class Skip(nn.Module):
        """Linear and ReLU in turn, and a path around them."""

        def __init__(self, width, n_classes):
            super().__init__()
            self.parts = nn.Sequential(nn.Linear(width, width), nn.ReLU())
            self.last = nn.Linear(width, n_classes)

        def forward(self, x):
            return self.last(self.parts(x) + x)

    Z = torch.from_numpy(encoder.transform(credit.data)).double()
    trained = nn.Sequential(Skip(Z.shape[1], 2)).double()
    model = QATClassifier(8, teacher=trained, encoder=encoder, **QUICK)
    model.fit(credit.data, credit.target)
    with torch.no_grad():
        torch.testing.assert_close(model.teacher_.logits_(Z), trained(Z))
    with pytest.raises(UnsupportedModelError, match="torch module Sequential"):
        PTQClassifier(8, teacher=trained, encoder=encoder, target=credit.favorable).fit(
            credit.data, credit.target
        )


@pytest.mark.parametrize("kind", ["error", "counterfactual", "factual", "hessian"])
def test_every_policy(kind, credit):
    model = CFQClassifier(
        3,
        module=Residual,
        bit_policy=SensitivityBits(kind),
        action_set=credit.action_set,
        target=credit.favorable,
        **{**QUICK, "max_iter": 5},
    ).fit(credit.data, credit.target)
    assert model.average_bits_ <= 3


def test_the_faithful_objective(credit):
    model = CFQClassifier(
        4,
        module=convolutions,
        objective="faithful",
        action_set=credit.action_set,
        target=credit.favorable,
        **QUICK,
    ).fit(credit.data, credit.target)
    assert model.average_bits_ <= 4
    assert model.score(credit.data, credit.target) > 0.7
    assert "module=<function convolutions" in repr(model)
    assert "convolutions" in model._repr_html_()


def test_every_term_of_the_loss(credit):
    """Matching takes second derivatives, the others margins of the teacher, at any module."""
    from skcfq.estimators import CFQObjective, TeacherActions

    objective = CFQObjective(matching=1.0, margins=1.0, path=1.0, mixup=0.5, distillation=1.0)
    model = CFQClassifier(
        4,
        module=Residual,
        objective=objective,
        teacher_actions=TeacherActions(2),
        action_set=credit.action_set,
        target=credit.favorable,
        **{**QUICK, "max_iter": 3},
    ).fit(credit.data, credit.target)
    assert np.isfinite(model.history_.to_numpy(dtype=float)).all()
    assert (model.history_["matching_loss"] > 0).all()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda n, k: nn.Linear(n, 1), "one logit for each of the 2 classes"),
        (lambda n, k: nn.Linear(3, k), "does not map"),
        (lambda n, k: "network", "returned str"),
        (nn.Tanh(), "no layer that is quantized"),
    ],
)
def test_modules_that_do_not_fit(module, message, credit):
    with pytest.raises(UnsupportedModelError, match=message):
        QATClassifier(4, module=module, **QUICK).fit(credit.data, credit.target)


@pytest.mark.parametrize("module", [None, Residual])
@pytest.mark.parametrize("start", ["lsq", "mse"])
def test_one_step_a_unit(start, module, credit):
    settings = {"hidden_layer_sizes": (8,), "module": module, **QUICK, "max_iter": 30}
    model = CFQClassifier(
        4,
        quantizer=Quantizer(granularity="per_channel", initialization=start),
        action_set=credit.action_set,
        target=credit.favorable,
        **settings,
    ).fit(credit.data, credit.target)
    assert model.average_bits_ <= 4
    steps = model.network_.quantized_layers[0].log_steps
    assert steps.shape == (4, len(model.network_.weight_tensors[0]))
    assert (steps.std(dim=1) > 0).all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_proba(credit.data), model.predict_proba(credit.data)
    )
    assert model.score(credit.data, credit.target) > 0.8
    assert hasattr(model, "integer_network_") == (module is None)


def test_starts_differ(credit):
    models = [
        QATClassifier(
            2,
            quantizer=Quantizer(initialization=start),
            hidden_layer_sizes=(8,),
            **{**QUICK, "max_iter": 1},
        ).fit(credit.data, credit.target)
        for start in ("lsq", "mse")
    ]
    first, second = (model.network_.quantized_layers[0].log_steps for model in models)
    assert not torch.allclose(first, second, atol=0.05)


def test_activation_widths_a_layer(credit):
    settings = {"hidden_layer_sizes": (8, 6), **QUICK, "max_iter": 3}
    model = QATClassifier(
        8, quantizer=Quantizer((8, 4)), bit_policy=FixedBits((2, 4, 8)), **settings
    ).fit(credit.data, credit.target)
    assert [layer.levels for layer in model.integer_network_.layers] == [255, 15, 0]
    n = model.feature_space_.n_encoded
    assert model.bops_ == n * 8 * 2 * 12 + 8 * 6 * 4 * 8 + 6 * 2 * 8 * 4
    assert model.bit_cost_ == n * 8 * 2 + 8 * 6 * 4 + 6 * 2 * 8
    with pytest.raises(ValueError, match=r"activation_bits=\(8,\) has 1 widths for 2"):
        clone(model).set_params(quantizer__activation_bits=(8,)).fit(credit.data, credit.target)


def test_module_in_cross_validation(credit):
    module = QATClassifier(4, module=Residual, **{**QUICK, "max_iter": 4})
    scores = cross_val_score(module, credit.data, credit.target, cv=2, error_score="raise")
    assert (scores > 0.5).all()
