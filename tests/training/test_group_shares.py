"""What groups of different sizes count."""

from __future__ import annotations

import pytest
import torch

from skcfq.training._groups import Groups


@pytest.mark.parametrize(
    ("weights", "shares"),
    [(None, [0.5, 0.5]), ([1.0, 1.0], [0.5, 0.5]), ([1.0, 3.0], [0.25, 0.75])],
)
def test_a_small_group_has_the_share_that_it_is_to_have(weights, shares):
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    codes = torch.tensor([0] + [1] * 9)
    found = Groups(codes, given).balance(torch.arange(10), torch.ones(10))
    assert [found[codes == code].sum().item() / 10 for code in (0, 1)] == pytest.approx(shares)
