"""Where a student is compared with its teacher once the training is over."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from skcfq.nn import LossWeights
from skcfq.training import DistillationSet
from skcfq.training._supervision import Supervision

ROWS = torch.tensor([[0.0, 1.0], [4.0, 3.0], [8.0, 0.0]], dtype=torch.float64)
# Nobody acts in the last row.
ACTED = torch.tensor([True, True, False])
STEP = torch.tensor([[2.0, 0.0], [0.0, 4.0], [0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("distillation", ROWS),
        ("margins", (ROWS + STEP)[ACTED]),
        ("path", (ROWS + STEP / 2)[ACTED]),
    ],
)
def test_each_term_has_its_own_points(term, wanted):
    everybody = torch.ones(3, dtype=torch.float64)
    told = Supervision(ROWS + STEP, torch.ones(3, dtype=torch.int64), ACTED, ACTED, everybody)
    loss = LossWeights(**{"task": 0.0, "validity": 0.0, term: 1.0})
    teacher = SimpleNamespace(logits=lambda rows: 3 * rows)
    source = DistillationSet(ROWS, everybody, told, loss, teacher, None, torch.Generator())
    found = source.draw(100)
    assert sorted(found.rows.tolist()) == sorted(wanted.tolist())
