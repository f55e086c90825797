"""Feature mixup: which features of a row are those of another one, and how often."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn import feature_mixup

# Raw features of 1, 3, 2 and 1 encoded columns.
WIDTHS = (1, 3, 2, 1)
COUNT = 20_000


def blocks_of(widths):
    owner = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
    return (owner[None] == torch.arange(len(widths))[:, None]).double()


def drawing(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.rand(tuple(shape), generator=generator, dtype=torch.float64)


def two_rows(blocks, weights=(1.0, 1.0), count=COUNT):
    """Mix a row of zeros and one of ones, so that a sum says where a feature comes from."""
    n_columns = len(WIDTHS) if blocks is None else blocks.shape[1]
    samples = torch.stack([torch.zeros(n_columns), torch.ones(n_columns)]).double()
    given = torch.tensor(weights, dtype=torch.float64)
    return feature_mixup(samples, given, blocks, drawing(), count)


@pytest.mark.parametrize("blocks", [None, blocks_of(WIDTHS)], ids=["columns", "blocks"])
def test_three_of_ten_features_are_those_of_another_row(blocks):
    mixed = two_rows(blocks)
    if blocks is not None:
        first = [list(WIDTHS[:i]) for i in range(len(WIDTHS))]
        mixed = mixed[:, [sum(one) for one in first]]
    # Of features i and j, drawn alike from a row of 0 or 1: they differ where exactly one of them
    # was taken from the other row, and that one is another kind of row than the own in half of
    # all draws.
    share = 0.3
    expected = 2 * share * (1 - share) * 0.5
    for i in range(len(WIDTHS)):
        for j in range(i):
            found = (mixed[:, i] != mixed[:, j]).double().mean().item()
            error = 5 * (expected * (1 - expected) / COUNT) ** 0.5
            assert found == pytest.approx(expected, abs=error)


def test_columns_of_one_feature_go_together():
    for columns in two_rows(blocks_of(WIDTHS)).split(WIDTHS, dim=1):
        assert (columns == columns[:, :1]).all()


def test_every_number_is_that_of_a_row():
    samples = torch.randn(7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mixed = feature_mixup(samples, torch.ones(7).double(), None, drawing(), 500)
    for column in range(4):
        assert set(mixed[:, column].tolist()) <= set(samples[:, column].tolist())


def test_rows_are_drawn_by_weight():
    mixed = two_rows(None, weights=(3.0, 1.0))
    assert mixed.mean().item() == pytest.approx(0.25, abs=0.01)
    assert (two_rows(None, weights=(1.0, 0.0)) == 0).all()


def test_a_weight_of_two_is_two_rows():
    samples = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    repeated = samples.repeat_interleave(weights.long(), dim=0).flip(0)
    once = feature_mixup(samples, weights, None, drawing(), 50)
    twice = feature_mixup(repeated, torch.ones(7).double(), None, drawing(), 50)
    torch.testing.assert_close(once, twice)
