"""Seeds that are drawn from one generator; the global ones are never touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

_SEEDS = np.iinfo(np.int32).max


def draw_seed(rng: np.random.RandomState) -> int:
    """Draw a seed for a generator of torch."""
    return int(rng.randint(_SEEDS))


@contextmanager
def seeded_initialization(seed: int) -> Iterator[None]:
    """Seed the initialization of modules, and give torch its global generator back as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def seeded_layers(module: Any, rng: np.random.RandomState) -> AbstractContextManager:
    """Seed what a user's layers draw in training (dropout); the library's own draw nothing."""
    return nullcontext() if module is None else seeded_initialization(draw_seed(rng))
