"""The Gumbel policy: frequencies, gradients, budget."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from skcfq.exceptions import BudgetError
from skcfq.quantization import GumbelBits, average_bits

SIZES = [6656, 4096, 128]


def test_samples_are_exact_one_hot_rows():
    z = GumbelBits(SIZES).sample(0.7, torch.Generator().manual_seed(0))
    assert z.shape == (3, 4)
    assert set(z.detach().unique().tolist()) == {0.0, 1.0}
    assert z.sum(1).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_frequencies_are_the_probabilities_at_every_temperature(temperature):
    policy = GumbelBits([1] * 2000)
    with torch.no_grad():
        policy.logits.copy_(torch.tensor([0.5, -1.0, 0.0, 1.0]).expand(2000, 4))
        generator = torch.Generator().manual_seed(1)
        counts = sum(policy.sample(temperature, generator).sum(0) for _ in range(10))
        torch.testing.assert_close(counts / 20000, policy.probabilities()[0], rtol=0, atol=0.012)


def test_the_gradient_is_that_of_the_relaxed_sample():
    policy = GumbelBits(SIZES).double()
    cotangent = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    z = policy.sample(0.6, torch.Generator().manual_seed(5))
    (found,) = torch.autograd.grad(z, policy.logits, cotangent, create_graph=True)
    noise = torch.empty(3, 4, dtype=torch.float64)
    noise.exponential_(generator=torch.Generator().manual_seed(5)).log_().neg_()
    logits = policy.logits.detach().requires_grad_()
    soft = ((logits + noise) / 0.6).softmax(1)
    (expected,) = torch.autograd.grad(soft, logits, cotangent)
    torch.testing.assert_close(found, expected)
    (fast,) = torch.autograd.grad(
        policy.sample(0.6, torch.Generator().manual_seed(5)), policy.logits, cotangent
    )
    torch.testing.assert_close(fast, expected)


def test_sampling_leaves_the_global_generator_alone():
    state = torch.random.get_rng_state()
    GumbelBits(SIZES).sample(1.0, torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(("budget", "start"), [(2, 2), (3.5, 3), (4, 4), (7.9, 4), (8, 8), (20, 8)])
def test_the_start_is_the_widest_uniform_candidate_within_the_budget(budget, start):
    policy = GumbelBits(SIZES, budget=budget)
    assert [policy.candidates[i] for i in policy.probabilities().argmax(1)] == [start] * 3


def test_bit_cost_is_the_excess_of_the_average():
    policy = GumbelBits(SIZES, budget=4)
    z = torch.nn.functional.one_hot(torch.tensor([3, 0, 2]), 4).float()
    average = average_bits([8, 2, 4], SIZES)
    assert policy.expected_bits(z).item() == pytest.approx(average)
    assert policy.bit_cost(z).item() == pytest.approx(average - 4)
    assert policy.bit_cost(torch.eye(4)[[1, 1, 1]]).item() == 0.0
    probabilities = policy.probabilities()
    bits = probabilities @ torch.tensor([2.0, 3.0, 4.0, 8.0])
    expected = (bits * torch.tensor(SIZES)).sum() / sum(SIZES)
    torch.testing.assert_close(policy.expected_bits(), expected)


def test_costs_weigh_the_excess_but_not_the_average():
    policy = GumbelBits([100, 100], budget=4, costs=(3.0, 1.0))
    wide_first = torch.eye(4)[[3, 1]]
    assert policy.expected_bits(wide_first) == 5.5
    assert policy.bit_cost(wide_first) == 0.75 * 8 + 0.25 * 3 - 4


@pytest.mark.parametrize("costs", [(1.0,), (1.0, 1.0, 1.0), (-1.0, 2.0), (0.0, 0.0)])
def test_costs_are_checked(costs):
    with pytest.raises(ValueError, match="for each of the 2 layers"):
        GumbelBits([100, 100], costs=costs)


def test_the_excess_pushes_the_policy_back_to_its_budget():
    policy = GumbelBits(SIZES, budget=3)
    with torch.no_grad():
        policy.logits[:, 3] = 5.0
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        policy.bit_cost().backward()
        optimizer.step()
    assert policy.expected_bits().item() <= 3.05


@pytest.mark.parametrize("seed", range(5))
def test_the_allocation_of_any_policy_meets_the_budget(seed):
    policy = GumbelBits(SIZES, budget=3.7)
    with torch.no_grad():
        policy.logits.copy_(3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)))
    widths = policy.allocate()
    assert average_bits(widths, SIZES) <= 3.7
    for layer, width in enumerate(widths):
        wider = [bits for bits in policy.candidates if bits > width][:1] or [99]
        raised = [*widths[:layer], *wider, *widths[layer + 1 :]]
        assert average_bits(raised, SIZES) > 3.7, "nothing that fits is left unspent"


def test_what_the_most_probable_widths_leave_is_spent_on_the_most_probable_step():
    policy = GumbelBits([100, 100, 100], candidates=(2, 3, 4), budget=3.4)
    with torch.no_grad():
        policy.logits.copy_(torch.tensor([[5.0, 4.0, 0.0], [5.0, 3.0, 0.0], [0.0, 0.0, 5.0]]))
    # (2, 2, 4) has 2.67 bits; one layer may have 3, and the first minds it less; then the second.
    assert policy.allocate() == [3, 3, 4]
    policy.budget = 3.0
    assert policy.allocate() == [3, 2, 4]


def test_a_budget_that_no_candidate_meets_is_an_error():
    with pytest.raises(BudgetError, match="budget=1 "):
        GumbelBits(SIZES, budget=1)


def test_copies_and_pickles():
    policy = GumbelBits(SIZES, budget=3).double()
    for other in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert torch.equal(other.logits, policy.logits)
        assert other.allocate() == policy.allocate()
    fresh = GumbelBits(SIZES)
    fresh.load_state_dict(policy.state_dict())
    assert list(policy.state_dict()) == ["logits"]


def losses_of(*rows):
    return np.array(rows, dtype=float)


def test_a_policy_that_follows_losses_prefers_what_loses_less():
    policy = GumbelBits([100, 100], candidates=(2, 4), budget=8)
    policy.follow(losses_of([3.0, 1.0], [1.5, 1.0]), (4, 4), temperature=0.5)
    ratios = policy.probabilities()[:, 0] / policy.probabilities()[:, 1]
    torch.testing.assert_close(ratios, torch.tensor([-4.0, -1.0]).exp(), rtol=1e-4, atol=0)
    policy.follow(losses_of([3.0, 1.0], [1.0 + 1e-4, 1.0]), (4, 4))
    assert (policy.probabilities()[:, 1] > 0.99).all()


def test_that_a_wider_layer_loses_more_is_no_reason_to_be_narrow():
    policy = GumbelBits([100, 100], budget=8)
    policy.follow(losses_of([3.0, 2.0, 1.0, 1.1], [1.0, 1.0, 1.0, 1.0]), (8, 8))
    assert (policy.probabilities()[:, 3] > 0.99).all()


def test_the_penalty_of_a_policy_that_follows_losses_is_on_what_exceeds_the_budget():
    policy = GumbelBits([100, 100], candidates=(2, 4, 8), budget=4)
    losses = losses_of([3.0, 2.0, 1.0], [2.2, 2.0, 1.9])
    for penalty, widths in [(0.0, [8, 8]), (0.2, [8, 4]), (1.0, [4, 4])]:
        # Either layer alone at 8 bits has 2 bits too many on average.
        policy.follow(losses, (4, 4), penalty=penalty)
        assert policy.most_probable() == widths
    policy.follow(losses, (2, 4), penalty=0.4)
    assert policy.most_probable() == [8, 4], "from 2 bits, 1 bit too many"


def test_a_policy_that_follows_losses_forgets_where_it_was():
    first, second = GumbelBits(SIZES, warmth=9.0), GumbelBits(SIZES, warmth=0.0)
    for policy in (first, second):
        policy.follow(np.arange(12.0).reshape(3, 4), (4, 4, 4), penalty=1.0, temperature=0.1)
    assert torch.equal(first.logits, second.logits)
