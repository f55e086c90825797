"""Loss terms of a batch: each against its definition, and what their gradients reach."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from skcfq.nn import FaithfulModule, FullPrecisionMLP, LossWeights, QuantizedMLP, SupervisedModule
from skcfq.quantization import GumbelBits

_OPTIONS = {"teacher", "matching", "online", "worst_group", "group_weights"}


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


def mean(losses, weights):
    return (losses * weights).sum() / weights.sum()


def test_supervised_loss_is_the_weighted_cross_entropy(rng, batch):
    rows, labels, weights, *_ = batch
    torch.manual_seed(0)
    module = SupervisedModule(FullPrecisionMLP(4, (6,), 3))
    terms = module.loss_terms(rows, labels, weights)
    assert set(terms) == {"loss", *module.term_names} == {"loss"}
    expected = mean(cross_entropy(module.network(rows), labels, reduction="none"), weights)
    torch.testing.assert_close(terms["loss"], expected)


def test_terms_and_their_sum(rng, batch):
    rows, labels, weights, points, targets, acted = batch
    module = faithful(rng, validity=0.7, hinge=0.3, hinge_margin=0.5)
    terms = module.loss_terms(*batch)
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
    before = module.loss_terms(*batch)["loss"]
    elsewhere = points.clone()
    elsewhere[~acted] = torch.nan
    after = module.loss_terms(rows, labels, weights, elsewhere, targets, acted)["loss"]
    torch.testing.assert_close(before, after, rtol=0, atol=0)


def test_a_batch_in_which_nobody_acts(rng, batch):
    *given, acted = batch
    module = faithful(rng, validity=1.0, hinge=1.0, hinge_margin=0.1)
    terms = module.loss_terms(*given, torch.zeros_like(acted))
    assert terms["validity_loss"].item() == terms["hinge_loss"].item() == 0
    terms["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_without_weights_the_points_are_not_looked_at(rng, batch):
    module = faithful(rng)
    assert module.term_names == ("task_loss", "average_bits")
    terms = module.loss_terms(*batch)
    alone = module.loss_terms(*batch[:3])
    assert set(terms) == set(alone) == {"loss", "task_loss", "average_bits"}
    torch.testing.assert_close(terms["loss"], alone["loss"], rtol=0, atol=0)


def test_names_follow_the_weights(rng):
    assert "hinge_loss" not in faithful(rng, validity=1.0).term_names
    assert {"validity_loss", "hinge_loss"} <= set(faithful(rng, hinge=1.0).term_names)


def test_the_search_samples_and_the_penalty_is_on_the_expectation(rng, batch):
    module = faithful(rng, learned=True, bit_penalty=2.0)
    assert module.searching
    with torch.no_grad():
        module.policy.logits.zero_()
    drawn = [module.loss_terms(*batch[:3]) for _ in range(20)]
    assert len({terms["average_bits"].item() for terms in drawn}) > 3
    excess = module.policy.expected_bits().item() - 3.0
    assert excess > 0
    for terms in drawn:
        penalty = (terms["loss"] - terms["task_loss"]).item()
        assert penalty == pytest.approx(2.0 * excess, rel=1e-5)
    terms["loss"].backward()
    assert module.policy.logits.grad.abs().sum() > 0


def test_after_the_search_the_widths_are_fixed(rng, batch):
    module = faithful(rng, learned=True, bit_penalty=2.0)
    module.searching = False
    first, second = (module.loss_terms(*batch[:3]) for _ in range(2))
    assert first["loss"].item() == second["loss"].item() == first["task_loss"].item()
    assert first["average_bits"].item() == pytest.approx((24 * 4 + 18 * 8) / 42)
    first["loss"].backward()
    assert module.policy.logits.grad is None


def test_one_pass_for_rows_and_points(rng, batch):
    """x and x + δ see the same sample of widths."""
    module = faithful(rng, learned=True, validity=1.0)
    calls = []
    module.network.register_forward_hook(lambda net, given, out: calls.append(len(given[0])))
    module.loss_terms(*batch)
    assert calls == [12 + 4]
