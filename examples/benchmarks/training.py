"""Cost of training: one update of each kind of network, as ratios taken in one run.

The network is the two-layer one of the paper (64 units a layer) on generated rows, batch 256, one
thread. The rounds are interleaved, so that a machine that slows down slows all of them alike.

    python examples/benchmarks/training.py --rounds 20
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skcfq.nn import FaithfulModule, FullPrecisionMLP, LossWeights, QuantizedMLP, SupervisedModule
from skcfq.quantization import GumbelBits

N_INPUTS, HIDDEN, BATCH, UPDATES = 104, (64, 64), 256, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    updates = kinds_of_update(generator)
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(rounds):
        for name, update in updates.items():
            start = time.process_time()
            for _ in range(UPDATES):
                update()
            seconds[name].append((time.process_time() - start) / UPDATES)
    mixed = statistics.median(seconds["mixed QAT"])
    full = statistics.median(seconds["full precision"])
    print(f"{'update':<28}{'ms':>8}{'x full':>9}{'x mixed':>9}   (medians of {rounds} rounds)")
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"{name:<28}{1e3 * middle:>8.2f}{middle / full:>9.2f}{middle / mixed:>9.2f}")


def kinds_of_update(generator: torch.Generator) -> dict[str, Callable[[], None]]:
    rows = torch.randn(BATCH, N_INPUTS, generator=generator)
    labels = torch.randint(2, (BATCH,), generator=generator)
    weights = torch.ones(BATCH)
    batch = (rows, labels, weights)
    acted = torch.ones(BATCH, dtype=torch.bool)
    recourse = (rows + 0.1, torch.ones_like(labels), acted)
    return {
        "full precision": update_of(SupervisedModule(FullPrecisionMLP(N_INPUTS, HIDDEN, 2)), batch),
        "uniform QAT": update_of(quantized(rows, mixed=False, generator=generator), batch),
        "mixed QAT": update_of(quantized(rows, mixed=True, generator=generator), batch),
        "CFQ, all rows refused": update_of(
            quantized(rows, mixed=True, generator=generator), batch + recourse
        ),
    }


def quantized(rows: Tensor, *, mixed: bool, generator: torch.Generator) -> FaithfulModule:
    network = QuantizedMLP(N_INPUTS, HIDDEN, 2, start="mse")
    network.calibrate(rows)
    network.set_bit_widths(4)
    policy = GumbelBits(network.n_weights, budget=4) if mixed else None
    return FaithfulModule(
        network,
        policy,
        loss=LossWeights(validity=1.0),
        bit_penalty=1.0,
        generator=generator,
    )


def update_of(
    module: SupervisedModule | FaithfulModule, batch: tuple[Tensor, ...]
) -> Callable[[], None]:
    optimizer = torch.optim.Adam(nn.ModuleList([module]).parameters(), lr=1e-4, fused=True)

    def update() -> None:
        optimizer.zero_grad()
        module.loss_terms(*batch)["loss"].backward()
        optimizer.step()

    update()
    return update


if __name__ == "__main__":
    main()
