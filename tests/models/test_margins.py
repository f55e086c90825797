"""The margin that a valid point must have: the larger of what is asked and 1e-9 of the scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq.models import rounding_margin, validity_slack
from skcfq.models._margins import RELATIVE_MARGIN


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


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 20.0, 2.0**40])
def test_arrays_and_tensors_ask_for_the_same_margin(scale):
    logits = np.array([[0.0, -scale], [scale, 0.0], [0.0, scale], [-scale, scale / 3]])
    target = torch.tensor([1, 0, 1, 0])
    slack = validity_slack(torch.from_numpy(logits), target).numpy()
    own, other = target.numpy(), 1 - target.numpy()
    rows = np.arange(len(logits))
    np.testing.assert_array_equal(
        slack, logits[rows, own] - logits[rows, other] - rounding_margin(logits)
    )
