"""Feature mixup: how much of a row comes from another one."""

from __future__ import annotations

import torch

from skcfq.nn import feature_mixup


def test_three_features_of_ten_come_from_the_other_row():
    own, other = torch.zeros(10), torch.ones(10)
    evenly = (torch.arange(10) + 0.5) / 10

    def uniform(shape):
        if tuple(shape) == (10,):
            return torch.zeros(10)
        if tuple(shape) == (2, 4):
            # The first row for all four, then the last one.
            return torch.tensor([[0.0], [0.99]]).expand(2, 4)
        return evenly.expand(4, 10).clone()

    mixed = feature_mixup(torch.stack([own, other]), torch.ones(2), None, uniform, 4)
    wanted = torch.where(evenly < 0.3, other, own)
    assert wanted.sum() == 3
    assert torch.equal(mixed, wanted.expand(4, 10))
