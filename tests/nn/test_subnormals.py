"""Numbers next to zero count as zero in a training, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from skcfq.nn._subnormals import subnormals_as_zero

TINY = 1e-40


def are_zero():
    return bool(torch.tensor(TINY) * 1 == 0)


@pytest.fixture(autouse=True)
def as_it_was():
    before = are_zero()
    yield
    torch.set_flush_denormal(before)


@pytest.mark.parametrize("before", [False, True])
def test_it_is_as_before_afterwards(before):
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    torch.set_flush_denormal(before)
    with subnormals_as_zero():
        assert are_zero()
        with subnormals_as_zero():
            pass
        assert are_zero()
    assert are_zero() == before


def test_after_an_error_too():
    with pytest.raises(KeyboardInterrupt), subnormals_as_zero():
        raise KeyboardInterrupt
    assert not are_zero()
