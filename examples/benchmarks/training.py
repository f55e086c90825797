"""Cost of training: one update of each kind of network, as ratios taken in one run.

The network is the two-layer one of the paper (64 units a layer) on 104 generated columns, trained
on one thread by the loop that the estimators use. Every row of a batch is refused and has a
recourse point: plain networks see the batch x, those with recourse see x and x + δ. A cached point
is looked up; K online steps are taken on the teacher for every batch, projected by the library and
judged by the teacher. The rounds are interleaved, so that a machine that slows down slows all of
them alike.

    python examples/benchmarks/training.py --rounds 20
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from _clock import least_seconds
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from skcfq import ActionSet, TeacherClassifier
from skcfq.actions import region_of
from skcfq.estimators import CFQObjective, TeacherActions
from skcfq.models import Predictor, as_predictor
from skcfq.nn import (
    FaithfulModule,
    FullPrecisionMLP,
    LossWeights,
    QuantizedMLP,
    SupervisedModule,
    TrainingRows,
)
from skcfq.quantization import GumbelBits
from skcfq.training import LoopSettings, first_inputs_suffice, train
from skcfq.training._module import giving_first_inputs
from skcfq.training._supervision import known_logits
from skcfq.training._teacher_actions import OnlineActions

N_INPUTS, HIDDEN, BATCHES, UPDATES = 104, (64, 64), (64, 256, 1024), 20
# Long steps: every row gets into the target region, so that none drops out of the loss.
STEP_SIZE = 100.0
PAPER = {
    "mixed QAT": "1.00",
    "CFQ, cached": "1.05-1.10",
    "CFQ, K = 1": "1.15",
    "CFQ, K = 2": "1.28",
    "CFQ, K = 3": "1.42",
}
Run = tuple[SupervisedModule | FaithfulModule, TrainingRows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    scene = Scene.generate(UPDATES * max(BATCHES))
    print(f"Processor time of an update, medians of {rounds} interleaved rounds; one thread")
    for n_rows in BATCHES:
        runs = kinds_of_training(scene.head(UPDATES * n_rows))
        print("\n" + report(n_rows, measure(runs, n_rows, rounds)))


def ratios() -> dict[str, float]:
    """Return the seconds of an update over those of scikit-learn's `MLPClassifier`."""
    n_rows = 256
    scene = Scene.generate(UPDATES * n_rows)
    X, y = scene.table.float().numpy(), scene.labels.numpy()
    peer = MLPClassifier(HIDDEN, batch_size=n_rows, random_state=0)
    peer.partial_fit(X, y, classes=[0, 1])
    alone = least_seconds(lambda: peer.partial_fit(X, y), 5)
    runs = kinds_of_training(scene)
    return {
        f"{name} / MLPClassifier": min(seconds_of_epoch(runs[name], n_rows) for _ in range(5))
        / alone
        for name in ("full precision", "mixed QAT", "CFQ, K = 1", "CFQ, faithful, cached")
    }


def measure(runs: dict[str, Run], n_rows: int, rounds: int) -> list[dict[str, float]]:
    """Return the seconds of processor time of an update of each kind, in every round."""
    return [
        {name: seconds_of_epoch(run, n_rows) / UPDATES for name, run in runs.items()}
        for _ in range(rounds)
    ]


class Clock(Callback):
    """Processor time of an epoch."""

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.start_ = time.process_time()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.seconds_ = time.process_time() - self.start_


def seconds_of_epoch(run: Run, batch_size: int) -> float:
    clock = Clock()
    module, rows = run
    settings = LoopSettings(
        name="the benchmark",
        max_epochs=1,
        batch_size=batch_size,
        learning_rate=1e-4,
        weight_decay=0.0,
        callbacks=[clock],
    )
    train(module, rows, settings, generator=torch.Generator().manual_seed(0))
    return clock.seconds_


def report(n_rows: int, seconds: list[dict[str, float]]) -> str:
    """Return medians over the rounds; ratios are taken within each round."""
    lines = [f"| {f'batch {n_rows}':<26} |     ms | x full | x mixed QAT | paper, x QAT |"]
    lines.append(f"| {'-' * 26} | -----: | -----: | ----------: | -----------: |")
    for name in seconds[0]:
        time_ = statistics.median(1e3 * each[name] for each in seconds)
        full = statistics.median(each[name] / each["full precision"] for each in seconds)
        mixed = statistics.median(each[name] / each["mixed QAT"] for each in seconds)
        figures = f"{time_:>6.2f} | {full:>6.2f} | {mixed:>11.2f} | {PAPER.get(name, ''):>12}"
        lines.append(f"| {name:<26} | {figures} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Scene:
    """A table whose every row is refused, and a recourse point for each."""

    table: Tensor
    rows: Tensor
    labels: Tensor
    points: Tensor
    teacher: Predictor

    @classmethod
    def generate(cls, n_rows: int) -> Scene:
        generator = torch.Generator().manual_seed(0)
        table = torch.randn(n_rows, N_INPUTS, generator=generator, dtype=torch.float64)
        labels = (table[:, :8].sum(dim=1) > 0).long()
        model = TeacherClassifier(HIDDEN, max_iter=5, random_state=0)
        teacher = as_predictor(model.fit(table.numpy(), labels.numpy()))
        rows = torch.from_numpy(teacher.space.encode(table.numpy()))
        points = online_actions(teacher, table, 3)(torch.arange(n_rows), torch.ones_like(labels))[0]
        return cls(table, rows.float(), labels, points.float(), teacher)

    def head(self, n_rows: int) -> Scene:
        parts = (self.table, self.rows, self.labels, self.points)
        return Scene(*(part[:n_rows] for part in parts), self.teacher)


def online_actions(teacher: Predictor, table: Tensor, n_steps: int) -> OnlineActions:
    region = region_of(ActionSet().compile(teacher.space), table.numpy())
    actions = TeacherActions(n_steps, step_size=STEP_SIZE, online=True)
    noise = torch.Generator().manual_seed(0)
    return OnlineActions.prepare(actions, teacher, region, noise, torch.float32)


def kinds_of_training(scene: Scene) -> dict[str, Run]:
    """Return modules with what they are trained on."""
    n_rows = len(scene.rows)
    rows = TrainingRows(scene.rows, scene.labels, torch.ones(n_rows))
    everybody, quarter = torch.ones(n_rows, dtype=torch.bool), torch.arange(n_rows) % 4 == 0
    advice = {"points": scene.points, "targets": torch.ones_like(scene.labels)}
    all_advised = replace(rows, **advice, acted=everybody)
    paper = CFQObjective().loss_weights()
    faithful = CFQObjective.preset("faithful").loss_weights()
    kinds = {
        "full precision": (SupervisedModule(FullPrecisionMLP(N_INPUTS, HIDDEN, 2)), rows),
        "uniform QAT": prepared(quantized(scene, LossWeights(), mixed=False), rows),
        "mixed QAT": prepared(quantized(scene, LossWeights()), rows),
        "CFQ, cached": prepared(quantized(scene, paper), all_advised),
        "CFQ, cached, a quarter": prepared(
            quantized(scene, paper), replace(rows, **advice, acted=quarter)
        ),
    }
    for n_steps in (1, 2, 3):
        online = online_actions(scene.teacher, scene.table, n_steps)
        module = quantized(scene, paper, online=online)
        kinds[f"CFQ, K = {n_steps}"] = prepared(module, all_advised)
    # As in the estimator: the teacher's logits at x and x + δ are those of a table.
    known = known_logits(scene.teacher, scene.rows, scene.points)
    told = replace(all_advised, known=known)
    kinds["CFQ, faithful, cached"] = prepared(quantized(scene, faithful), told)
    return kinds


def prepared(module: FaithfulModule, rows: TrainingRows) -> Run:
    """Quantize all samples once where only the network reads them, as the estimators do."""
    return module, rows.mapped(module.network.first_inputs) if module.quantized_samples else rows


def quantized(
    scene: Scene, loss: LossWeights, *, mixed: bool = True, online: OnlineActions | None = None
) -> FaithfulModule:
    network = QuantizedMLP(N_INPUTS, HIDDEN, 2, start="mse")
    network.calibrate(scene.rows)
    network.set_bit_widths(4)
    once = first_inputs_suffice(network, loss)
    return FaithfulModule(
        network,
        GumbelBits(network.n_weights, budget=4) if mixed else None,
        loss=loss,
        bit_penalty=1.0,
        generator=torch.Generator().manual_seed(0),
        teacher=scene.teacher.logits_in(torch.float32) if loss.of_teacher else None,
        online=giving_first_inputs(online, network) if once and online is not None else online,
        blocks=torch.eye(N_INPUTS),
        quantized_samples=once,
        dither=loss.of_teacher,
    )


if __name__ == "__main__":
    main()
