"""Losses on logits against their definitions."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn import target_margin, weighted_mean
from skcfq.nn._losses import cross_entropy


def logits_of(n=20, k=3):
    return torch.randn(n, k, dtype=torch.float64, generator=torch.Generator().manual_seed(k))


def test_cross_entropy_counts_weights_as_repetitions():
    logits, labels = logits_of(), torch.arange(20) % 3
    counts = torch.arange(20) % 4
    repeated = torch.nn.functional.cross_entropy(
        logits.repeat_interleave(counts, 0), labels.repeat_interleave(counts)
    )
    torch.testing.assert_close(cross_entropy(logits, labels, counts.double()), repeated)
    torch.testing.assert_close(
        cross_entropy(logits, labels), cross_entropy(logits, labels, torch.ones(20).double())
    )


@pytest.mark.parametrize("k", [2, 3, 5])
def test_target_margin_is_its_definition(k):
    logits = logits_of(k=k)
    target = torch.arange(20) % k
    for row, label, margin in zip(logits, target, target_margin(logits, target), strict=True):
        others = [row[j] for j in range(k) if j != label]
        assert margin == row[label] - max(others)
    fixed = target_margin(logits, 1)
    assert torch.equal(fixed, target_margin(logits, torch.ones(20, dtype=torch.int64)))
    assert torch.equal(fixed > 0, logits.argmax(1) == 1)


@pytest.mark.parametrize("k", [2, 4])
def test_target_margin_gradient(k):
    logits = logits_of(k=k).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: target_margin(z, 1), (logits,))


def test_no_weight_and_no_row_give_zero_with_a_graph():
    losses = torch.ones(3, requires_grad=True)
    empty = weighted_mean(losses, torch.zeros(3))
    assert empty.item() == 0.0
    empty.backward()
    assert losses.grad.tolist() == [0.0, 0.0, 0.0]
    assert weighted_mean(torch.ones(0)).item() == 0.0
    assert cross_entropy(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)).item() == 0.0
