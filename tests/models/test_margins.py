"""The margin that a valid point must have: the larger of what is asked and 1e-9 of the scale."""

from __future__ import annotations

import pytest
import torch

from skcfq.models import RELATIVE_MARGIN, validity_slack


@pytest.mark.parametrize(
    ("reached", "margin", "required"),
    [
        (2.0, 0.5, 0.5),
        (2.0, 0.0, 2 * RELATIVE_MARGIN),
        # The scale of the logits counts as 1 at least: a binary score vanishes at the boundary.
        (0.125, 0.0, RELATIVE_MARGIN),
        (0.0, 0.0, RELATIVE_MARGIN),
        # Of large logits, a billionth is more than what was asked.
        (2.0**40, 0.5, 2.0**40 * RELATIVE_MARGIN),
        (2.0**40, 2.0**20, 2.0**20),
        (2.0, RELATIVE_MARGIN / 2, 2 * RELATIVE_MARGIN),
    ],
)
def test_required_margin(reached, margin, required):
    logits = torch.tensor([[0.0, reached]], dtype=torch.float64)
    assert validity_slack(logits, torch.tensor([1]), margin).item() == reached - required
    logits = torch.tensor([[reached, 0.0]], dtype=torch.float64)
    assert validity_slack(logits, torch.tensor([1]), margin).item() == -reached - required


def test_the_scale_is_that_of_each_row():
    logits = torch.tensor([[-1e6, -1e6 + 3.0], [0.0, 3.0]], dtype=torch.float64)
    slack = validity_slack(logits, torch.tensor([1, 1]))
    assert slack.tolist() == [3.0 - 1e6 * RELATIVE_MARGIN, 3.0 - 3.0 * RELATIVE_MARGIN]
