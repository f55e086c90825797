"""Loss terms of a batch: each against its definition, and what their gradients reach."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.nn import (
    FaithfulModule,
    FullPrecisionMLP,
    LossWeights,
    QuantizedMLP,
    SampleTable,
    SupervisedModule,
    TrainingRows,
)
from skcfq.quantization import GumbelBits

_OPTIONS = {"teacher", "matching", "online", "blocks", "dither", "worst_group", "group_weights"}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def batch(rng):
    """Rows, labels, weights, points, targets and who acted, of 12 people in 3 classes."""
    rows = torch.randn(12, 4, generator=rng)
    return (
        rows,
        torch.randint(0, 3, (12,), generator=rng),
        torch.rand(12, generator=rng),
        rows + torch.randn(12, 4, generator=rng),
        torch.randint(0, 3, (12,), generator=rng),
        torch.arange(12) % 3 == 0,
    )


def faithful(rng, *, learned=False, **weights):
    torch.manual_seed(0)
    network = QuantizedMLP(4, (6,), 3, start="mse")
    network.calibrate(torch.randn(50, 4, generator=rng))
    network.set_bit_widths([4, 8])
    policy = GumbelBits(network.n_weights, budget=3.0) if learned else None
    options = {"bit_penalty": weights.pop("bit_penalty", 0.0)}
    options |= {key: weights.pop(key) for key in _OPTIONS & weights.keys()}
    loss = LossWeights(**weights)
    return FaithfulModule(network, policy, loss=loss, generator=rng, **options)


def terms_of(module, *given):
    """Return the terms of all rows as one batch."""
    return module.loss_terms(SampleTable(TrainingRows(*given), module.needs_points).whole)


def mean(losses, weights):
    return (losses * weights).sum() / weights.sum()


def test_supervised_loss_is_the_weighted_cross_entropy(rng, batch):
    rows, labels, weights, *_ = batch
    torch.manual_seed(0)
    module = SupervisedModule(FullPrecisionMLP(4, (6,), 3))
    terms = terms_of(module, rows, labels, weights)
    assert set(terms) == {"loss", *module.term_names} == {"loss"}
    expected = mean(cross_entropy(module.network(rows), labels, reduction="none"), weights)
    torch.testing.assert_close(terms["loss"], expected)


def test_terms_and_their_sum(rng, batch):
    rows, labels, weights, points, targets, acted = batch
    module = faithful(rng, validity=0.7, hinge=0.3, hinge_margin=0.5)
    terms = terms_of(module, *batch)
    assert set(terms) == {"loss", *module.term_names}
    task = mean(cross_entropy(module.network(rows), labels, reduction="none"), weights)
    logits = module.network(points)
    valid = cross_entropy(logits, targets, reduction="none")
    own = logits.gather(1, targets[:, None]).squeeze(1)
    other = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
    hinge = torch.relu(0.5 - (own - other))
    expected = {
        "task_loss": task,
        "validity_loss": mean(valid[acted], weights[acted]),
        "hinge_loss": mean(hinge[acted], weights[acted]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    total = task + 0.7 * expected["validity_loss"] + 0.3 * expected["hinge_loss"]
    torch.testing.assert_close(terms["loss"], total)
    assert float(terms["average_bits"]) == pytest.approx((24 * 4 + 18 * 8) / 42)


def test_points_of_others_do_not_matter(rng, batch):
    rows, labels, weights, points, targets, acted = batch
    module = faithful(rng, validity=1.0)
    before = terms_of(module, *batch)["loss"]
    elsewhere = points.clone()
    elsewhere[~acted] = torch.nan
    after = terms_of(module, rows, labels, weights, elsewhere, targets, acted)["loss"]
    torch.testing.assert_close(before, after, rtol=0, atol=0)


def test_a_batch_in_which_nobody_acts(rng, batch):
    *given, acted = batch
    module = faithful(rng, validity=1.0, hinge=1.0, hinge_margin=0.1)
    terms = terms_of(module, *given, torch.zeros_like(acted))
    assert terms["validity_loss"].item() == terms["hinge_loss"].item() == 0
    terms["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_without_weights_the_points_are_not_looked_at(rng, batch):
    module = faithful(rng)
    assert module.term_names == ("task_loss", "average_bits")
    terms = terms_of(module, *batch)
    alone = terms_of(module, *batch[:3])
    assert set(terms) == set(alone) == {"loss", "task_loss", "average_bits"}
    torch.testing.assert_close(terms["loss"], alone["loss"], rtol=0, atol=0)


def test_names_follow_the_weights(rng):
    assert "hinge_loss" not in faithful(rng, validity=1.0).term_names
    assert {"validity_loss", "hinge_loss"} <= set(faithful(rng, hinge=1.0).term_names)


def test_the_search_samples_and_the_penalty_is_that_of_the_sample(rng, batch):
    module = faithful(rng, learned=True, bit_penalty=2.0)
    assert module.searching
    with torch.no_grad():
        module.policy.logits.zero_()
    drawn = [terms_of(module, *batch[:3]) for _ in range(20)]
    assert len({terms["average_bits"].item() for terms in drawn}) > 3
    excesses = [max(terms["average_bits"].item() - 3.0, 0.0) for terms in drawn]
    assert min(excesses) == 0 < max(excesses)
    for terms, excess in zip(drawn, excesses, strict=True):
        penalty = (terms["loss"] - terms["task_loss"]).item()
        assert penalty == pytest.approx(2.0 * excess, rel=1e-5, abs=1e-6)
    terms["loss"].backward()
    assert module.policy.logits.grad.abs().sum() > 0


def test_widths_are_compared_on_the_same_draws_and_nothing_is_left_behind(rng, batch):
    teacher = FullPrecisionMLP(4, (6,), 3)
    module = faithful(rng, learned=True, teacher=teacher, mixup=1.0, path=1.0, bit_penalty=2.0)
    table = SampleTable(TrainingRows(*batch))
    module.network.train()
    before = module.generator.get_state(), module.network.bit_widths.clone()
    narrow, again, wide = (module.loss_at([bits, 8], table.whole) for bits in (2, 2, 8))
    assert narrow == again != wide
    assert torch.equal(module.generator.get_state(), before[0])
    assert torch.equal(module.network.bit_widths, before[1])
    assert module.searching
    assert module.network.training


def test_after_the_search_the_widths_are_fixed(rng, batch):
    module = faithful(rng, learned=True, bit_penalty=2.0)
    module.searching = False
    first, second = (terms_of(module, *batch[:3]) for _ in range(2))
    assert first["loss"].item() == second["loss"].item() == first["task_loss"].item()
    assert first["average_bits"].item() == pytest.approx((24 * 4 + 18 * 8) / 42)
    first["loss"].backward()
    assert module.policy.logits.grad is None


def test_one_pass_for_rows_and_points(rng, batch):
    """x and x + δ see the same sample of widths."""
    module = faithful(rng, learned=True, validity=1.0)
    calls = []
    module.network.register_forward_hook(lambda net, given, out: calls.append(len(given[0])))
    terms_of(module, *batch)
    assert calls == [12 + 4]


def teacher_of(rng):
    weight = torch.randn(3, 4, generator=rng)
    return lambda samples: samples @ weight.T


def smooth(gap):
    return torch.where(gap.abs() < 0.5, gap**2, gap.abs() - 0.25)


def test_terms_that_follow_the_teacher(rng, batch):
    rows, _, weights, points, targets, acted = batch
    teacher = teacher_of(rng)
    module = faithful(rng, task=0.0, distillation=2.0, margins=3.0, teacher=teacher)
    terms = terms_of(module, *batch)
    assert set(terms) == {"loss", *module.term_names}
    wanted = teacher(rows)
    gap = module.network(rows) - wanted
    gap = 2 * (gap - gap.mean(dim=1, keepdim=True))
    distillation = mean(smooth(gap).mean(dim=1), weights)

    def margin(logits):
        own = logits.gather(1, targets[:, None]).squeeze(1)
        return own - logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)

    gaps = margin(module.network(points)) - margin(teacher(points))
    margins = mean(smooth(gaps)[acted], weights[acted])
    torch.testing.assert_close(terms["distillation_loss"], distillation)
    torch.testing.assert_close(terms["margins_loss"], margins)
    torch.testing.assert_close(terms["loss"], 2 * distillation + 3 * margins)


@pytest.mark.parametrize("follows", [False, True])
def test_thresholds_move_in_training_where_asked(rng, batch, follows):
    given = {"teacher": teacher_of(rng), "distillation": 1.0} if follows else {}
    for dither, training in ((True, True), (True, False), (False, True)):
        module = faithful(rng, dither=dither, **given).train(training)
        losses = [terms_of(module, *batch)["loss"].item() for _ in range(2)]
        assert (losses[0] != losses[1]) == (dither and training)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(rng, batch):
    module = faithful(rng)
    teacher = module.network.double()
    module = FaithfulModule(
        teacher,
        None,
        loss=LossWeights(task=0.0, distillation=1.0, margins=1.0, path=1.0, mixup=1.0),
        bit_penalty=0.0,
        generator=rng,
        teacher=teacher,
        blocks=torch.eye(4, dtype=torch.float64),
    )
    double = [one.double() if one.is_floating_point() else one for one in batch]
    assert terms_of(module, *double)["loss"].item() == 0


def test_the_path_leads_from_the_row_to_the_point(rng, batch):
    rows, _, _, points, _, acted = batch
    seen = []

    def teacher(samples):
        seen.append(samples)
        return samples[:, :3]

    terms_of(faithful(rng, path=1.0, teacher=teacher), *batch)
    n, k = len(rows), int(acted.sum())
    own, moved, between = torch.cat(seen).split([n, k, k])
    torch.testing.assert_close(own, rows)
    torch.testing.assert_close(moved, points[acted])
    share = (between - rows[acted]) / (points - rows)[acted]
    assert share.std() < 1e-4
    assert 0 < share.mean() < 1


def test_feature_mixup_takes_whole_features_by_weight(rng):
    seen = []
    blocks = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])

    def teacher(samples):
        seen.append(samples)
        return samples[:, :3]

    module = faithful(rng, mixup=1.0, teacher=teacher, blocks=blocks)
    rows = torch.arange(6.0)[:, None] + torch.tensor([0.1, 0.2, 0.3, 0.4])
    weights = torch.tensor([1.0, 1.0, 0.0, 2.0, 1.0, 0.0])
    terms_of(module, rows, torch.zeros(6, dtype=torch.int64), weights)
    people = torch.cat(seen)[6:].floor()
    assert (people[:, 0] == people[:, 1]).all()
    assert (people[:, 2] != people[:, 0]).any()
    assert set(people.unique().tolist()) == {0.0, 1.0, 3.0, 4.0}


def test_a_weight_of_two_is_two_rows(rng, batch):
    rows, labels, _, points, targets, acted = batch
    options = {"distillation": 1.0, "margins": 1.0, "path": 1.0, "mixup": 1.0, "validity": 1.0}
    losses = []
    twice = torch.tensor([0, 0, *range(1, 12), 6])
    weights = torch.ones(12)
    weights[[0, 6]] = 2.0
    for chosen, shares in ((torch.arange(12), weights), (twice, torch.ones(14))):
        seeded = torch.Generator().manual_seed(5)
        module = faithful(seeded, **options, blocks=torch.eye(4), teacher=lambda x: x[:, :3])
        module.generator = torch.Generator().manual_seed(9)
        parts = [one[chosen] for one in (rows, labels)]
        more = [one[chosen] for one in (points, targets, acted)]
        losses.append(terms_of(module, *parts, shares, *more)["loss"])
    torch.testing.assert_close(*losses)


def test_worst_and_weighted_groups(rng, batch):
    _, _, weights, points, targets, acted = batch
    groups = torch.arange(12) % 2
    for options in ({"worst_group": True}, {"group_weights": torch.tensor([1.0, 3.0])}):
        module = faithful(rng, validity=1.0, task=0.0, **options)
        losses = cross_entropy(module.network(points), targets, reduction="none")
        means = [
            mean(losses[acted & (groups == g)], weights[acted & (groups == g)]) for g in range(2)
        ]
        expected = max(means) if "worst_group" in options else (means[0] + 3 * means[1]) / 4
        found = terms_of(module, *batch, groups)["loss"]
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("order", [torch.arange(12), torch.tensor([7, 6, 9, 1, 0])])
def test_actions_that_come_with_the_batch(rng, batch, order):
    rows, _, weights, _, targets, acted = batch
    asked = []

    def online(positions, wanted):
        asked.append((positions, wanted))
        valid = torch.ones(len(positions), dtype=torch.bool)
        valid[0] = False
        return rows[positions].double() + 1.0, valid

    module = faithful(rng, validity=1.0, online=online)
    terms = module.loss_terms(SampleTable(TrainingRows(*batch), module.needs_points).take(order))
    people = order[acted[order]]
    assert asked[0][0].tolist() == people.tolist()
    assert asked[0][1].tolist() == targets[people].tolist()
    rest = people[1:]
    losses = cross_entropy(module.network(rows[rest] + 1.0), targets[rest], reduction="none")
    torch.testing.assert_close(terms["validity_loss"], mean(losses, weights[rest]))


FOLLOWING = {"distillation": 1.0, "margins": 2.0, "path": 3.0, "mixup": 1.0, "validity": 0.5}


@pytest.mark.parametrize("online", [False, True])
def test_the_teacher_is_not_asked_again_where_its_logits_are_known(rng, batch, online):
    rows, _, _, points, _, acted = batch
    teacher = teacher_of(rng)
    asked = []

    def counting(samples):
        asked.append(len(samples))
        return teacher(samples)

    def moved(positions, targets):
        return points[positions] + 1.0, torch.ones(len(positions), dtype=torch.bool)

    known = torch.stack([teacher(rows), teacher(points)], dim=1)
    losses = []
    for table in (None, known):
        module = faithful(
            torch.Generator().manual_seed(5),
            teacher=counting,
            online=moved if online else None,
            blocks=torch.eye(4),
            **FOLLOWING,
        )
        losses.append(terms_of(module, *batch, None, table)["loss"])
    torch.testing.assert_close(*losses)
    k = int(acted.sum())
    whole = 12 + k + k + 256
    assert asked == [whole, whole - 12 - (0 if online else k)]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradients_are_those_of_the_terms_one_by_one(rng, n_classes):
    torch.manual_seed(0)
    network = QuantizedMLP(4, (6,), n_classes, start="mse").double()
    rows, teacher = torch.randn(12, 4, generator=rng).double(), torch.nn.Linear(4, n_classes)
    teacher.double().requires_grad_(False)
    network.calibrate(rows)
    labels, targets = torch.randint(0, n_classes, (2, 12), generator=rng)
    weights, points = torch.rand(12, generator=rng).double(), rows + 0.4
    acted = torch.arange(12) % 3 > 0
    factors = {"task": 0.1, "validity": 0.7, "hinge": 0.3, "distillation": 2.0, "margins": 3.0}
    loss = LossWeights(hinge_margin=2.0, **factors)
    module = FaithfulModule(
        network, None, loss=loss, bit_penalty=0.0, generator=rng, teacher=teacher
    )
    total = terms_of(module, rows, labels, weights, points, targets, acted)["loss"]
    found = torch.autograd.grad(total, list(network.parameters()), allow_unused=True)

    def margin(logits):
        own = logits.gather(1, targets[:, None]).squeeze(1)
        return own - logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)

    at_rows, at_points = network(rows), network(points)
    gap = at_rows - teacher(rows)
    gap = 2 * (gap - gap.mean(dim=1, keepdim=True))
    terms = {
        "task": mean(cross_entropy(at_rows, labels, reduction="none"), weights),
        "distillation": mean(smooth(gap).mean(dim=1), weights),
    }
    of_points = {
        "validity": cross_entropy(at_points, targets, reduction="none"),
        "hinge": torch.relu(2.0 - margin(at_points)),
        "margins": smooth(margin(at_points) - margin(teacher(points))),
    }
    terms |= {name: mean(one[acted], weights[acted]) for name, one in of_points.items()}
    plain = sum(factors[name] * term for name, term in terms.items())
    wanted = torch.autograd.grad(plain, list(network.parameters()), allow_unused=True)
    assert any(one is not None and one.abs().max() > 0 for one in wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)
