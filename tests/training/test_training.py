"""The training loop: what is drawn, recorded, shown, stopped, scheduled and left untouched."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skcfq import CFQClassifier, QATClassifier, RecourseSolver, TeacherClassifier
from skcfq.estimators import CFQObjective, LearnedBits, TeacherActions
from skcfq.nn import FaithfulModule, LossWeights, QuantizedMLP, SampleTable, TrainingRows
from skcfq.quantization import GumbelBits, mse_step
from skcfq.training._batches import ShuffledBatches, calibration_rows, epochs_for, visits_again
from skcfq.training._bit_search import BitSearch
from skcfq.training._loop import BitSchedule, train
from skcfq.training._loop_settings import LoopSettings

pytestmark = pytest.mark.usefixtures("short_teachers")

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]


@pytest.fixture(scope="module")
def tiny():
    return {"hidden_layer_sizes": (6,), "max_iter": 10, "batch_size": 8}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_same_seed_same_model(classifier, table, tiny):
    first, second = (classifier(random_state=3, **tiny).fit(*table) for _ in range(2))
    other = classifier(random_state=4, **tiny).fit(*table)
    X = table[0]
    np.testing.assert_array_equal(first.decision_function(X), second.decision_function(X))
    assert not np.array_equal(first.decision_function(X), other.decision_function(X))
    timeless = first.history_.drop(columns="seconds")
    assert timeless.equals(second.history_.drop(columns="seconds"))
    # A generator that was given is advanced, as scikit-learn does.
    generator = np.random.RandomState(3)
    one, two = (classifier(random_state=generator, **tiny).fit(*table) for _ in range(2))
    np.testing.assert_array_equal(one.decision_function(X), first.decision_function(X))
    assert not np.array_equal(two.decision_function(X), first.decision_function(X))


@pytest.mark.parametrize(
    "model",
    [
        TeacherClassifier(),
        TeacherClassifier(early_stopping=True),
        QATClassifier(),
        QATClassifier(bit_policy="learned", early_stopping=True),
        CFQClassifier(),
        CFQClassifier(objective="faithful", early_stopping=True),
        CFQClassifier(objective=CFQObjective(matching=0.1)),
        CFQClassifier(teacher_actions=TeacherActions(online=True, noise=0.1)),
    ],
    ids=lambda model: str(model).replace("\n", ""),
)
def test_same_seed_same_weights_bit_for_bit(model, table, tiny):
    states = []
    for _ in range(2):
        fitted = clone(model).set_params(random_state=7, **tiny).fit(*table)
        states.append(fitted.network_.state_dict())
        # What happens in between does not matter: no global generator is read.
        torch.rand(5)
        np.random.random(5)
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_global_state_is_left_alone(classifier, table, tiny):
    def state():
        kind, keys, position, *rest = np.random.get_state()
        settings = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
        return (kind, keys.tolist(), position, *rest), torch.get_rng_state().tolist(), settings

    before = state()
    model = classifier(random_state=0, early_stopping=True, warm_start=True, **tiny).fit(*table)
    model.fit(*table).predict_proba(table[0])
    assert state() == before


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_given_data_are_left_alone(classifier, table, tiny):
    X, y = table[0].copy(), table[1].copy()
    weights = np.linspace(0, 1, len(X))
    given = [array.copy() for array in (X, y, weights)]
    for array in (X, y, weights):
        array.flags.writeable = False
    classifier(random_state=0, class_weight="balanced", **tiny).fit(X, y, sample_weight=weights)
    for array, copy in zip((X, y, weights), given, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("model", "terms"),
    [
        (TeacherClassifier(), []),
        (QATClassifier(), ["task_loss", "average_bits"]),
        (CFQClassifier(objective="paper"), ["task_loss", "validity_loss", "average_bits"]),
        (
            CFQClassifier(objective="paper").set_params(objective__hinge=0.5),
            ["task_loss", "validity_loss", "hinge_loss", "average_bits"],
        ),
        (CFQClassifier(objective=CFQObjective(eta=0)), ["task_loss", "average_bits"]),
        (
            CFQClassifier(objective="faithful"),
            [
                *("task_loss", "distillation_loss", "mixup_loss", "validity_loss"),
                *("margins_loss", "path_loss", "average_bits"),
            ],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_history(model, terms, table, tiny):
    model.set_params(**tiny, random_state=0).fit(*table)
    history = model.history_
    assert list(history.columns) == ["epoch", "train_loss", *terms, "seconds"]
    assert history["epoch"].tolist() == list(range(1, 11))
    assert model.n_iter_ == len(history) == 10
    assert np.isfinite(history.to_numpy(dtype=float)).all()
    # Who follows a teacher starts from its weights, where there is little left to fall.
    if "distillation_loss" not in terms:
        assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    if "average_bits" in terms:
        assert history["average_bits"].iloc[-1] == pytest.approx(model.average_bits_)
    if "hinge_loss" in terms and "path_loss" not in terms:
        total = history["task_loss"] + history["validity_loss"] + 0.5 * history["hinge_loss"]
        tuned = history.index[5:]
        np.testing.assert_allclose(history["train_loss"][tuned], total[tuned], rtol=1e-6)


def test_without_validity_loss_the_rest_is_mixed_precision_training(table, tiny):
    """η = 0 is learned bits alone: the same network, whatever the rules and the target."""
    plain = QATClassifier(bit_policy="learned", random_state=0, **tiny).fit(*table)
    zero = CFQClassifier(
        objective=CFQObjective(eta=0), bit_policy="learned", random_state=0, **tiny
    ).fit(*table)
    np.testing.assert_array_equal(
        zero.decision_function(table[0]), plain.decision_function(table[0])
    )
    np.testing.assert_array_equal(zero.bit_widths_, plain.bit_widths_)
    one = CFQClassifier(objective="paper", random_state=0, **tiny).fit(*table)
    assert not np.array_equal(one.decision_function(table[0]), plain.decision_function(table[0]))
    # The hinge alone is not nothing.
    hinge = CFQClassifier(objective=CFQObjective(eta=0), random_state=0, **tiny).set_params(
        objective__hinge=1.0
    )
    assert "hinge_loss" in hinge.fit(*table).history_


class Recorder(Callback):
    """A user's callback."""

    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(net.history[-1, "train_loss"])


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_callbacks(classifier, table, tiny):
    plain, named = Recorder(), Recorder()
    callbacks = [plain, ("mine", named), EarlyStopping("train_loss", patience=1000)]
    model = classifier(callbacks=callbacks, random_state=0, **tiny).fit(*table)
    assert plain.epochs == named.epochs == model.history_["train_loss"].tolist()
    without = classifier(random_state=0, **tiny).fit(*table)
    np.testing.assert_array_equal(
        model.decision_function(table[0]), without.decision_function(table[0])
    )


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_early_stopping_by_a_callback(classifier, table, tiny):
    stop = EarlyStopping("train_loss", patience=3, threshold=1e9, sink=lambda text: None)
    model = classifier(callbacks=[stop], random_state=0, **tiny).fit(*table)
    assert model.n_iter_ < 10
    assert model.predict(table[0]).shape == (90,)
    if classifier is CFQClassifier:
        # Stopped while it searched: the widths are chosen all the same.
        assert not model.network_.training
        assert model.average_bits_ <= 4


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_progress_in_a_log(classifier, table, tiny, capsys):
    classifier(random_state=0, **tiny).fit(*table)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    classifier(verbose=1, random_state=0, **tiny).fit(*table)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(r"^teacher: \d+ epochs in [\d.]+ s, loss=[\d.]+$", captured.err, re.MULTILINE)
    if classifier is not TeacherClassifier:
        assert classifier.__name__ in captured.err
    assert ("recourse" in captured.err) == (classifier is CFQClassifier)


@pytest.mark.parametrize("verbose", [0, 1])
def test_progress_of_the_solver_in_a_log(verbose, table, tiny, capsys):
    solver = RecourseSolver(method="pgd", random_state=0)
    actions = TeacherActions(method="solver", solver=solver)
    CFQClassifier(teacher_actions=actions, verbose=verbose, random_state=0, **tiny).fit(*table)
    lines = re.findall(r"^recourse: \d+ people in [\d.]+ s$", capsys.readouterr().err, re.MULTILINE)
    assert len(lines) == verbose
    assert solver.verbose == 0


def table_of(n):
    """Rows whose only column is their position, and labels that are twice it."""
    rows = torch.arange(n)
    return SampleTable(TrainingRows(rows[:, None], 2 * rows, torch.ones(n)))


def test_batches_cover_the_rows_once():
    batches = ShuffledBatches(table_of(101), 20, torch.Generator().manual_seed(0))
    first, second = ([(b.rows.flatten(), b.labels) for b in batches] for _ in range(2))
    assert len(first) == len(batches) == 6
    assert {len(rows) for rows, _ in first} <= {16, 17}
    together = torch.cat([rows for rows, _ in first])
    assert together.sort().values.tolist() == list(range(101))
    assert all((labels == 2 * rows).all() for rows, labels in first)
    assert together.tolist() != torch.cat([rows for rows, _ in second]).tolist()


def test_a_small_table_is_one_batch_in_order():
    (batch,) = ShuffledBatches(table_of(20), 20, torch.Generator())
    assert batch.rows.flatten().tolist() == list(range(20))


def test_number_of_passes():
    assert epochs_for(10, 256, 7) == 7
    few, some, many = (epochs_for(n, 256, None) for n in (100, 30_000, 10**7))
    assert few >= some >= many >= 1
    assert some * np.ceil(30_000 / 256) == pytest.approx(2500, rel=0.1)
    near, far = (
        epochs_for(700, 256, None, follows_teacher=True, starts_there=there)
        for there in (True, False)
    )
    assert few < near < far


def test_calibration_rows():
    drawn = calibration_rows(3000, torch.Generator().manual_seed(0))
    assert len(drawn) == len(drawn.unique()) < 3000
    assert calibration_rows(50, torch.Generator()).tolist() == list(range(50))


def test_rows_with_an_action_are_half_of_all_visits():
    acted = torch.arange(100) < 20
    again = visits_again(acted)
    assert set(again.tolist()) == set(range(20))
    share = (20 + len(again)) / (100 + len(again))
    assert share == pytest.approx(0.5, abs=0.1)
    assert len(visits_again(torch.arange(100) < 90)) == 0
    batches = ShuffledBatches(table_of(100), 20, torch.Generator(), again)
    visited = torch.cat([batch.rows.flatten() for batch in batches])
    assert torch.bincount(visited, minlength=100).unique().tolist() == [1, 4]


def searching_module(budget=4.0):
    torch_rng = torch.Generator().manual_seed(0)
    network = QuantizedMLP(4, (6,), 2, start="mse")
    rows = torch.randn(64, 4, generator=torch_rng)
    network.calibrate(rows)
    policy = GumbelBits(network.n_weights, budget=budget)
    module = FaithfulModule(
        network, policy, loss=LossWeights(), bit_penalty=1.0, generator=torch_rng
    )
    labels = (rows[:, 0] > 0).long()
    return module, TrainingRows(rows, labels, torch.ones(64))


def run(module, rows, *callbacks, epochs=8, **options):
    options = {"batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.0, **options}
    settings = LoopSettings("a network", epochs, callbacks=callbacks, **options)
    return train(module, rows, settings, generator=torch.Generator().manual_seed(1)).history


def schedule(rows, n_passes, temperatures=(1.0, 0.3), gradient="measured"):
    policy = LearnedBits(temperatures=temperatures, gradient=gradient)
    return BitSchedule(policy, (rows.rows, rows.weights), n_passes)


class Watch(Callback):
    """What the schedule has set when each pass begins."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        module = net.module_
        self.seen.append((module.searching, module.temperature, net.optimizer_.param_groups))


def test_bit_schedule_cools_searches_and_settles():
    module, rows = searching_module()
    watch = Watch()
    history = run(module, rows, schedule(rows, 5, (1.0, 0.25), "relaxed"), watch)
    searching, temperature, _ = zip(*watch.seen, strict=True)
    assert searching == (True,) * 5 + (False,) * 3
    np.testing.assert_allclose(temperature[:5], np.geomspace(1.0, 0.25, 5))
    assert module.network.average_bits <= 4
    assert history["average_bits"].iloc[-1] == module.network.average_bits
    assert history["average_bits"].iloc[:5].std() > 0


def test_a_width_that_is_chosen_late_starts_with_a_fresh_step():
    module, rows = searching_module(budget=3)
    with torch.no_grad():
        for layer in module.network.layers:
            layer.weight.mul_(7.0)
    module.network.set_bit_widths(2)
    free = LearnedBits(penalty=0.0, settle="argmax")
    BitSearch(free, module, SampleTable(rows), (rows.rows, rows.weights), 1).settle()
    assert module.network.bit_widths.tolist() == [8, 8]
    for layer in module.network.layers:
        torch.testing.assert_close(layer.steps[3], mse_step(layer.weight, 8))


def test_steps_of_the_settled_widths_are_tuned_further():
    module, rows = searching_module()
    run(module, rows, schedule(rows, 4, (1.0, 0.5)))
    chosen = [module.network.candidates.index(b) for b in module.network.bit_widths.tolist()]
    for layer, index in zip(module.network.layers, chosen, strict=True):
        assert layer.steps[index] != mse_step(layer.weight, layer.candidates[index])


def test_decay_and_rates_by_parameter():
    module, rows = searching_module()
    watch = Watch()
    run(module, rows, watch, epochs=1, weight_decay=0.3)
    groups = watch.seen[0][2]
    of = {
        id(parameter): (group["weight_decay"], group["initial_lr"])
        for group in groups
        for parameter in group["params"]
    }
    assert len(of) == len(list(module.parameters()))
    for name, parameter in module.named_parameters():
        decay, rate = of[id(parameter)]
        quantizer = "log_" in name or name.startswith("policy")
        assert decay == (0.0 if quantizer else 0.3), name
        assert (rate > 0.01) == name.startswith("policy"), name


def test_rate_falls_along_a_cosine():
    module, rows = searching_module()
    rates = []

    class Rates(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[-1]["lr"])

    run(module, rows, Rates(), epochs=6)
    expected = 0.005 * (1 + np.cos(np.pi * np.arange(6) / 6))
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_bits_come_down_to_the_budget():
    """From above the budget, the penalty pulls the policy's expectation towards it."""
    module, rows = searching_module(budget=3.0)
    with torch.no_grad():
        module.policy.logits.zero_()
    before = module.policy.expected_bits().item()
    run(module, rows, schedule(rows, 30), epochs=40)
    assert module.policy.expected_bits().item() < before
    assert module.network.average_bits <= 3


def test_every_parameter_is_trained():
    module, rows = searching_module()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    run(module, rows, schedule(rows, 20, gradient="relaxed"), epochs=20)
    for name, parameter in module.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_inference_parameters_are_frozen(table, tiny):
    model = QATClassifier(random_state=0, **tiny).fit(*table)
    assert not any(parameter.requires_grad for parameter in model.network_.parameters())
    Z = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.logits_(Z).sum(), Z)
    assert gradient.shape == (2, 4)
    assert isinstance(model.network_, nn.Module)


def test_refits_honor_weights(table, tiny):
    """A weighted table and the repeated one search the same bits (see also test_tables)."""
    X, y = table
    weights = np.arange(len(X)) % 3
    settings = {**tiny, "batch_size": 1000, "random_state": 0}
    policy = LearnedBits(search_fraction=1.0)
    first = QATClassifier(3, bit_policy=policy, **settings).fit(X, y, sample_weight=weights)
    second = QATClassifier(3, bit_policy=policy, **settings).fit(
        X.repeat(weights, axis=0), y.repeat(weights)
    )
    np.testing.assert_allclose(first.decision_function(X), second.decision_function(X), rtol=1e-6)


class Steps(Callback):
    """Weight steps of the first layer at the beginning and after every batch."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_batch_end(self, net, **kwargs):
        self.seen.append(net.module_.network.layers[0].log_steps.detach().clone())


def test_steps_of_pact_follow_the_weights_and_those_of_lsq_are_learned(table, tiny):
    seen = {}
    for method in ("lsq", "pact"):
        watch = Steps()
        model = QATClassifier(method=method, callbacks=[watch], random_state=0, **tiny)
        model.set_params(max_iter=30).fit(*table)
        seen[method] = watch.seen
    moved = {
        name: [update for update, (a, b) in enumerate(pairwise(steps), start=1) if not a.equal(b)]
        for name, steps in seen.items()
    }
    updates = range(1, len(seen["pact"]))
    assert moved["lsq"] == list(updates)
    assert moved["pact"] == [update for update in updates if update % 50 == 0]
    with pytest.raises(ValueError, match="'method' parameter of QATClassifier"):
        QATClassifier(method="dorefa", **tiny).fit(*table)
