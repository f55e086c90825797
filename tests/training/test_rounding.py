"""The last step of a training that follows a teacher: integer weights chosen by the logits."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.estimators import CFQObjective, Finish, Quantizer, _student
from skcfq.exceptions import EmptyPopulationWarning, InterruptedWarning
from skcfq.models import as_predictor
from skcfq.training import _distillation_set, _rounding

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def table():
    return make_credit(600, random_state=1)


@pytest.fixture(scope="module")
def teacher(table):
    settings = {"max_iter": 60, "batch_size": 64, "random_state": 0}
    return TeacherClassifier((12, 8), **settings).fit(table.data, table.target)


@pytest.fixture(scope="module")
def settings(table, teacher, tmp_path_factory):
    return {
        "hidden_layer_sizes": (12, 8),
        "max_iter": 25,
        "batch_size": 64,
        "bit_policy": "uniform",
        "quantizer": Quantizer(activation_bits=8),
        "teacher": FrozenEstimator(teacher),
        "action_set": table.action_set,
        "target": table.favorable,
        "random_state": 0,
        # The recourse of the one teacher is computed once.
        "memory": str(tmp_path_factory.mktemp("memory")),
    }


def fitted(table, settings, **changes):
    model = CFQClassifier(4, **settings).set_params(**changes)
    return model.fit(table.data, table.target)


def gap_to_teacher(model):
    """Spread of the distance of the margins on people near the boundary who were never seen."""
    unseen = make_credit(1000, random_state=2).data
    Z = torch.from_numpy(model.feature_space_.encode(unseen))
    with torch.no_grad():
        own, wanted = (
            logits[:, 1] - logits[:, 0]
            for logits in (as_predictor(model).logits(Z), as_predictor(model.teacher_).logits(Z))
        )
    # The bias that is set at the end is a constant.
    return float((own - wanted)[wanted.abs() < 1].std())


@pytest.mark.parametrize("max_iter", [3, 25])
def test_rounding_brings_unseen_people_nearer_to_the_teacher(table, settings, max_iter):
    plain, rounded = (
        fitted(table, settings, max_iter=max_iter, objective__finish__rounding=rounding)
        for rounding in (False, True)
    )
    assert gap_to_teacher(rounded) < 0.95 * gap_to_teacher(plain)
    np.testing.assert_array_equal(rounded.bit_widths_, plain.bit_widths_)
    # The same training came before.
    assert rounded.history_["train_loss"].tolist() == plain.history_["train_loss"].tolist()


@pytest.mark.parametrize(
    ("many", "rounding", "rounds"), [(10**6, True, 1), (10, True, 3), (10, 2, 2)]
)
def test_rounds_follow_the_size_of_the_table_or_are_asked_for(
    many, rounding, rounds, table, settings, monkeypatch
):
    asked = []

    def noted(network, samples, tuning, validation):
        asked.append(tuning.n_rounds)
        yield from original(network, samples, tuning, validation)

    original = _rounding.reconstruct_logits
    monkeypatch.setattr(_rounding, "reconstruct_logits", noted)
    monkeypatch.setattr(_rounding, "_MANY_ROWS", many)
    fitted(table, settings, max_iter=2, objective__finish__rounding=rounding)
    assert asked == [rounds]


def test_same_seed_same_network(table, settings):
    first, second = (fitted(table, settings, max_iter=5, memory=None) for _ in range(2))
    for one, other in zip(
        first.network_.state_dict().values(), second.network_.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)


def test_it_needs_a_term_that_follows_the_teacher(table, settings, monkeypatch):
    monkeypatch.setattr(_student, "round_to_teacher", None)  # not called
    model = fitted(
        table, settings, objective=CFQObjective(finish=Finish(rounding=True)), max_iter=2
    )
    assert model.n_iter_ == 2


def test_warm_start_goes_on_under_another_objective(table, settings):
    model = fitted(table, settings, objective="paper", warm_start=True, max_iter=3)
    assert model.network_.input_units is None
    model.set_params(objective="faithful").fit(table.data, table.target)
    assert model.network_.input_units is None and len(model.history_) == 6
    again = fitted(table, settings, warm_start=True, max_iter=3)
    units = again.network_.input_units
    again.fit(table.data, table.target)
    assert units is not None and torch.equal(again.network_.input_units, units)


def test_nobody_is_refused(table, settings, teacher):
    lenient = deepcopy(teacher)
    lenient.network_.layers[-1].bias[int(lenient.classes_.tolist().index(table.favorable))] += 1e3
    objective = CFQObjective(margins=1.0, path=1.0, eta=0.0, finish=Finish(rounding=True))
    changes = {"objective": objective, "teacher": FrozenEstimator(lenient), "max_iter": 2}
    with pytest.warns(EmptyPopulationWarning, match="refuses nobody"):
        model = fitted(table, settings, **changes)
    assert np.isfinite(model.decision_function(table.data)).all()


def test_ctrl_c_keeps_the_finished_passes(table, settings, monkeypatch):
    original = _rounding.reconstruct_logits

    def interrupted(*given):
        for done, loss in enumerate(original(*given)):
            if done == 1:
                raise KeyboardInterrupt
            yield loss

    monkeypatch.setattr(_rounding, "reconstruct_logits", interrupted)
    with pytest.warns(InterruptedWarning, match="last whole pass"):
        model = fitted(table, settings, max_iter=3)
    assert model.n_iter_ == 3
    scores = model.deployed().decision_function(table.data)
    np.testing.assert_array_equal(scores, model.decision_function(table.data))


def test_ctrl_c_before_the_first_pass(table, settings, monkeypatch):
    def interrupted(source, most):
        raise KeyboardInterrupt

    monkeypatch.setattr(_rounding.DistillationSet, "draw", interrupted)
    with pytest.warns(InterruptedWarning, match="can be used; its `interrupted_`"):
        model = fitted(table, settings, max_iter=3)
    scores = model.deployed().decision_function(table.data)
    np.testing.assert_array_equal(scores, model.decision_function(table.data))


def test_a_module_without_integers_is_left_as_trained(table, settings):
    def with_tanh(n_inputs, n_classes):
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, 6), torch.nn.Tanh(), torch.nn.Linear(6, n_classes)
        )

    model = fitted(table, settings, module=with_tanh, teacher=None, max_iter=20, memory=None)
    assert model.predict(table.data).shape == (600,)


def test_wide_networks_and_tables_get_fewer_samples():
    from skcfq.nn import QuantizedMLP

    sizes = [(64, 64), (256, 256), (512, 512)]
    found = [_rounding._samples_for(QuantizedMLP(100, size, 2)) for size in sizes]
    assert found[0] == 11160 and found[0] > found[1] > found[2] == 256
    found = [_rounding._tuned_for(QuantizedMLP(columns, (8,), 2)) for columns in (100, 256, 5000)]
    assert found == [32768, 16384, 8192]


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn, in its order, with its source."""
    seen = []
    original = _rounding.DistillationSet.draw

    def looking(source, most):
        seen.append((source, original(source, most)))
        return seen[-1][1]

    monkeypatch.setattr(_rounding.DistillationSet, "draw", looking)
    return seen


def test_every_sample_counts_alike(table, settings, monkeypatch, drawn):
    """The few recourse points of a small table must not outweigh what is drawn beside them."""
    monkeypatch.setattr(_distillation_set, "near_boundary", lambda logits, weights: weights)
    fitted(table, settings, max_iter=1)
    source, samples = drawn[0]
    weights = samples.weights[samples.weights > 0]
    n_points = int(source.supervision.promised.sum())
    times = (weights / weights.min()).round(decimals=6)
    assert times.unique().tolist() == [1, 2]
    assert int((times == 2).sum()) == n_points < 0.1 * len(weights)


def test_kinds_weigh_the_same_however_many_are_drawn(table, settings, monkeypatch, drawn):
    monkeypatch.setattr(_distillation_set, "near_boundary", lambda logits, weights: weights)
    monkeypatch.setattr(_rounding, "_VALIDATION_SAMPLES", 100)
    fitted(table, settings, max_iter=1)
    totals = [float(samples.weights.sum()) for _, samples in drawn]
    assert len({len(samples.rows) for _, samples in drawn}) > 1
    np.testing.assert_allclose(totals, totals[0])


@pytest.mark.parametrize("mixup", [0.0, 5.0])
def test_validation_samples_have_mixed_rows_of_their_own(table, settings, monkeypatch, mixup):
    given = []
    monkeypatch.setattr(_rounding, "reconstruct_logits", lambda *all_: given.append(all_) or [])
    fitted(table, settings, max_iter=1, quantizer__activation_bits=4, objective__mixup=mixup)
    ((_, samples, tuning, validation),) = given
    assert tuning.dither
    if mixup == 0:
        assert validation is None
        return
    rows = [one.rows for one in (samples, tuning.samples, validation)]
    pooled = torch.cat([one.unique(dim=0) for one in rows])
    # All but the people of the table, who are everywhere.
    assert len(pooled.unique(dim=0)) > 0.8 * len(pooled)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_weight_of_two_is_two_rows(table, settings, bits):
    """Where one batch is the whole table; moving thresholds and rounds included."""
    rng = np.random.default_rng(0)
    some = table.data.iloc[:150], np.asarray(table.target)[:150]
    weights = rng.integers(1, 3, size=150)
    repeated = rng.permutation(np.repeat(np.arange(150), weights))
    options = {**settings, "batch_size": 1024, "max_iter": 5, "quantizer": Quantizer(bits)}
    weighted = CFQClassifier(4, **options).fit(*some, sample_weight=weights)
    twice = CFQClassifier(4, **options).fit(some[0].iloc[repeated], some[1][repeated])
    scores = [model.decision_function(table.data) for model in (weighted, twice)]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_the_bias_at_the_end_is_told(table, settings):
    strict, lenient = (
        fitted(table, settings, max_iter=2, objective__finish__validity_drop=drop)
        for drop in (0.3, 0.0)
    )
    assert strict.logit_bias_ < lenient.logit_bias_
    position = int(np.flatnonzero(strict.classes_ == table.favorable)[0])
    change = lenient.network_.layers[-1].bias[position] - strict.network_.layers[-1].bias[position]
    assert float(change) == pytest.approx(lenient.logit_bias_ - strict.logit_bias_)
    assert fitted(table, settings, max_iter=2, objective="paper").logit_bias_ == 0


@pytest.mark.slow
def test_a_wider_student_starts_from_copies_of_its_teacher(table, settings, teacher):
    quick = {"max_iter": 1, "learning_rate_init": 1e-12, "objective__finish__rounding": False}
    quick |= {
        "objective__finish__validity_drop": None,
        "budget": 8,
        "quantizer__activation_bits": 16,
    }
    Z = torch.from_numpy(teacher.feature_space_.encode(table.data))

    def error(*sizes):
        model = fitted(table, settings, hidden_layer_sizes=sizes, **quick)
        with torch.no_grad():
            gap = as_predictor(model).logits(Z) - as_predictor(teacher).logits(Z)
        return float((gap[:, 1] - gap[:, 0]).std())

    assert error(24, 16) < 2 * error(12, 8)
    # Neither as wide nor a multiple: it starts anywhere.
    assert error(20, 16) > 10 * error(12, 8)


def test_held_out_people_are_not_trained_on(table, settings, monkeypatch, drawn):
    """Those whose points set the bias weigh nothing, in any term."""
    seen = {}
    original = _student.train

    def spying(module, rows, settings, **options):
        seen["weights"], seen["acted"] = rows.weights, rows.acted
        return original(module, rows, settings, **options)

    monkeypatch.setattr(_student, "train", spying)
    fitted(table, settings, max_iter=1)
    held = seen["weights"] == 0
    assert 0.02 < held.double().mean() < 0.5
    assert not seen["acted"][held].any()
    assert torch.equal(drawn[0][0].weights, seen["weights"])


@pytest.mark.parametrize(("bits", "matters"), [(4, True), (8, False)])
def test_dither_is_for_coarse_activations(table, settings, bits, matters):
    off, on = (
        fitted(
            table,
            settings,
            max_iter=3,
            quantizer__activation_bits=bits,
            objective=CFQObjective.preset("faithful").set_params(
                dither=dither, finish__rounding=False
            ),
        ).decision_function(table.data)
        for dither in (False, True)
    )
    assert np.array_equal(off, on) == (not matters)
