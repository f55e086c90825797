"""Are bits chosen? What the learned widths are worth, from any start, against all choices.

Four parts, each printed as a table. `starts`: where the policy ends without a penalty, whichever
width it starts with, at budgets that bind and that do not, and the widths that are fixed with and
without the default penalty. `constructed`: a network one of whose layers needs
8 bits, while 2 hold the weights of the other exactly. `exhaustive`: the held-out loss at the widths
that were chosen over the least of all choices within the budget, on the network at the end of the
search (`shared`), and with every choice trained anew (`--anew`: 4^L fits a seed). `equal`:
widths of units beside learned, searched and uniform widths of layers, at 8-bit activations: the
bits that they use, sd of the student's target margin less the teacher's at the teacher's recourse
points of test people (sigma) and of people held out of the training (what a choice of policy may
look at), the recourse gap that these are to expect, the validity drop of test people with and
without a bias, and paired differences with 95 % intervals. It fits four times four models a seed
and shape of the layers, and is asked for by name.

    SKCFQ_DATA=../shared/data python examples/benchmarks/bits.py --tables german compas generated
    SKCFQ_DATA=../shared/data python examples/benchmarks/bits.py --parts equal --seeds 5 --passes 40
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback

from skcfq import CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import fetch_adult, fetch_compas, fetch_german_credit, make_credit
from skcfq.estimators import CFQObjective, FixedBits, LearnedBits, Quantizer
from skcfq.metrics import validity_drop
from skcfq.nn import FaithfulModule, LossWeights, QuantizedMLP, SampleTable, TrainingRows
from skcfq.quantization import GumbelBits, average_bits
from skcfq.training import BitSearch

sys.path.insert(0, str(Path(__file__).parents[1] / "paper"))
from _protocol import draw_refused, paired_interval, split

TABLES = {
    "german": fetch_german_credit,
    "compas": fetch_compas,
    "adult": fetch_adult,
    "generated": lambda: make_credit(1200, random_state=0),
}
WIDTHS, BUDGETS = (2, 3, 4, 8), (2.5, 3.0, 4.0, 6.0)
POLICIES = ("uniform", "searched", "learned", "units")
# A policy, and the one that it is compared with.
COMPARED = (
    ("searched", "uniform"),
    ("learned", "uniform"),
    ("units", "uniform"),
    ("units", "searched"),
)
SHAPES = {3: (24, 12), 5: (12, 10, 8, 6)}
# Rows of the training in the parts that need many fits, and of the held-out share among them.
FEW_ROWS, HELD = 700, 0.3


class Started(LearnedBits):
    """Learned bits that start with one width for all layers."""

    def __init__(self, first: int = 4, *, penalty: float = 1.0) -> None:
        super().__init__(penalty=penalty)
        self.first = first

    def start(self, network: Any, budget: float, sample: Any) -> GumbelBits | None:
        policy = super().start(network, budget, sample)
        assert policy is not None
        with torch.no_grad():
            policy.logits[:, WIDTHS.index(self.first)] = 5.0
        return policy


class Policy(Callback):
    """Keeps the policy that a training ends with."""

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.probabilities = net.module_.policy.probabilities().detach()


class HeldOut(Callback):
    """Measures the held-out loss of every choice of widths, once one is fixed."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.losses: dict[tuple[int, ...], float] = {}

    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if self.losses or net.module_.searching:
            return
        network = net.module_.network
        judge = next(one for _, one in net.callbacks_ if hasattr(one, "validation")).validation
        self.chosen = tuple(network.bit_widths.tolist())
        for widths in itertools.product(WIDTHS, repeat=len(self.chosen)):
            network.set_bit_widths(widths)
            self.losses[widths] = judge.figures()["valid_loss"]
        network.set_bit_widths(self.chosen)


def teacher_and_rows(name: str, seed: int, sizes: tuple[int, ...]) -> tuple[Any, Any, Any, Any]:
    """Return the data, a teacher, and some rows that it is trained on."""
    data = TABLES[name]()
    X, y, *_ = split(data, seed)
    rows = np.random.RandomState(seed).permutation(len(X))[:FEW_ROWS]
    X, y = X.iloc[rows], y.iloc[rows]
    return data, TeacherClassifier(sizes, random_state=seed).fit(X, y), X, y


def student(data: Any, teacher: Any, sizes: tuple[int, ...], **options: Any) -> CFQClassifier:
    """Return a student with the faithful loss and widths of layers, and nothing afterwards."""
    objective = CFQObjective.preset("faithful").set_params(finish=None)
    settings = {
        "objective": objective,
        "teacher": FrozenEstimator(teacher),
        "hidden_layer_sizes": sizes,
        "action_set": data.action_set,
        "target": data.favorable,
        "quantizer": Quantizer(8),
        "bit_policy": LearnedBits(),
    }
    return CFQClassifier(**{**settings, **options})


def starts(options: argparse.Namespace) -> pd.DataFrame:
    """Return the policy's end without a penalty, and the widths with one, from several starts."""
    found = []
    for name in options.tables:
        data, teacher, X, y = teacher_and_rows(name, 0, SHAPES[3])
        for budget in (4.0, 8.0):
            for first in WIDTHS:
                kept = Policy()
                bits = Started(first, penalty=0.0)
                shared = {"random_state": 0, "max_iter": options.passes, "memory": options.memory}
                free = student(
                    data, teacher, SHAPES[3], budget=budget, bit_policy=bits, callbacks=[kept],
                    **shared,
                ).fit(X, y)  # fmt: skip
                paid = student(
                    data, teacher, SHAPES[3], budget=budget, bit_policy=Started(first), **shared
                ).fit(X, y)
                found.append(
                    {
                        "table": name,
                        "budget": budget,
                        "start": first,
                        "least pi(8), penalty 0": kept.probabilities[:, -1].min().item(),
                        "widths, penalty 0": free.bit_widths_.tolist(),
                        "average": free.average_bits_,
                        "widths, penalty 1": paid.bit_widths_.tolist(),
                    }
                )
                print(found[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(found)


def constructed(options: argparse.Namespace) -> pd.DataFrame:
    """Return the widths of two networks of two layers of 8 weights, at a budget of 5 bits."""
    fine_first = [[10.0, 0.3], [-10.0, -0.3]] * 2, [[-5.0, 5.0] * 2, [5.0, -5.0] * 2]
    fine_last = (
        [[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0], [0.0, -5.0]],
        [[-10.0, 10.0, -0.3, 0.3], [10.0, -10.0, 0.3, -0.3]],
    )
    found = []
    for name, layers in {"8 bits first": fine_first, "8 bits last": fine_last}.items():
        network = QuantizedMLP(2, (4,), 2, WIDTHS, 32, None, start="mse")
        rows = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        rows = rows * torch.tensor([1.0, 30.0])
        with torch.no_grad():
            for layer, weights in zip(network.layers, layers, strict=True):
                layer.weight.copy_(torch.tensor(weights))
                layer.bias.zero_()
        network.calibrate(rows)
        labels, ones = network.unquantized(rows).argmax(1), torch.ones(len(rows))
        policy = GumbelBits(network.n_weights, WIDTHS, 5.0)
        module = FaithfulModule(
            network, policy, loss=LossWeights(), bit_penalty=1.0, generator=torch.Generator()
        )
        table = SampleTable(TrainingRows(rows, labels, ones))
        BitSearch(LearnedBits(), module, table, (rows, ones), 1).settle()
        found.append({"network": name, "widths": network.bit_widths.tolist()})
    return pd.DataFrame(found)


def exhaustive(options: argparse.Namespace) -> pd.DataFrame:
    """Return losses of what was chosen over the least of all choices."""
    found = []
    for layers, seeds in ((3, options.seeds), (5, max(options.seeds // 5, 1))):
        for name, seed in itertools.product(options.tables, range(seeds)):
            sizes = SHAPES[layers]
            data, teacher, X, y = teacher_and_rows(name, seed, sizes)
            shared = {
                "random_state": seed,
                "max_iter": options.passes,
                "early_stopping": True,
                "validation_fraction": HELD,
                "n_iter_no_change": 10**6,
                "memory": options.memory,
            }

            # Called within its own round of the loop, so its names are bound late but rightly.
            def trained(widths: tuple[int, ...]) -> float:
                bits = FixedBits(widths)
                model = student(data, teacher, sizes, budget=8, bit_policy=bits, **shared)  # noqa: B023
                return model.fit(X, y).history_["valid_loss"].min()  # noqa: B023

            choices = list(itertools.product(WIDTHS, repeat=layers))
            anew = {w: trained(w) for w in choices} if options.anew and layers == 3 else {}
            for budget in BUDGETS:
                held = HeldOut()
                model = student(data, teacher, sizes, budget=budget, callbacks=[held], **shared)
                model.fit(X, y)
                within = [w for w in choices if average_bits(w, model.network_.n_weights) <= budget]
                row = {"layers": layers, "table": name, "seed": seed, "budget": budget}
                row["widths"] = held.chosen
                row["shared"] = held.losses[held.chosen] / min(held.losses[w] for w in within)
                if anew:
                    best = min(anew[w] for w in within)
                    row["anew"] = anew[held.chosen] / best
                    row["own"] = model.history_["valid_loss"].min() / best
                found.append(row)
                print(row, file=sys.stderr, flush=True)
    return pd.DataFrame(found)


def equal(options: argparse.Namespace) -> pd.DataFrame:
    """Return what widths of layers and of units lose, on test people."""
    found = []
    for name, units, seed in itertools.product(options.tables, options.units, range(options.seeds)):
        data = TABLES[name]()
        X, y, X_test, _ = split(data, seed)
        teacher = TeacherClassifier(units, random_state=seed).fit(X, y)
        people = draw_refused(teacher, data.favorable, X_test, seed, options.people)
        solver = RecourseSolver(
            data.action_set, target=data.favorable, margin=0.0, random_state=seed
        )
        advice = solver.solve(teacher, people)
        points = advice.points.iloc[np.flatnonzero(advice.reachable)]
        target = list(teacher.classes_).index(data.favorable)
        wanted = margin_of(teacher, points, target)
        for budget, policy in itertools.product(BUDGETS, POLICIES):
            model = student(
                data, teacher, units, budget=budget, bit_policy=policy, random_state=seed,
                objective=CFQObjective.preset("faithful"), max_iter=options.passes,
                memory=options.memory,
            ).fit(X, y)  # fmt: skip
            error = margin_of(model, points, target) - wanted
            row = {"table": name, "units": "x".join(map(str, units)), "seed": seed}
            row |= {"budget": budget, "policy": policy, "people": len(points)}
            row |= {"widths": model.bit_widths_.round(2).tolist(), "bits": model.average_bits_}
            row |= {"sigma": error.std(), "sigma, held out": model.margin_error_}
            row |= {"bias": model.logit_bias_, "expected gap": model.expected_recourse_gap_}
            row["VD"] = validity_drop(teacher, model, advice)
            row["VD, no bias"] = float(np.mean(error - model.logit_bias_ < 0))
            found.append(row)
            print(row, file=sys.stderr, flush=True)
    return pd.DataFrame(found)


def margin_of(model: Any, X: pd.DataFrame, target: int) -> np.ndarray:
    """Return the target's log odds: of two classes, the margin of its logit."""
    decision = np.asarray(model.decision_function(X))
    return decision if target == 1 else -decision


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean differences between policies, with intervals, over seeds."""
    found = []
    for key, part in rows.groupby(["table", "units", "budget"], sort=False):
        by = part.set_index(["policy", "seed"])
        for policy, other in COMPARED:
            row = dict(zip(("table", "units", "budget"), key, strict=True))
            row |= {"policy": policy, "less": other}
            for column in ("bits", "sigma"):
                row[column] = by.loc[policy, column].mean()
                row[f"{column}, other"] = by.loc[other, column].mean()
            for column in ("sigma", "sigma, held out", "expected gap", "VD"):
                change = (by.loc[policy, column] - by.loc[other, column]).to_numpy(dtype=float)
                row[f"{column}, difference"] = "{:+.4f} [{:+.4f}, {:+.4f}]".format(
                    *paired_interval(change)
                )
            found.append(row)
    return pd.DataFrame(found).round(4)


PARTS = {"starts": starts, "constructed": constructed, "exhaustive": exhaustive, "equal": equal}


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for part in options.parts:
        rows = PARTS[part](options)
        print(f"\n{part}\n{rows.to_string(index=False)}", flush=True)
        if part == "exhaustive":
            worst = rows.groupby(["layers", "budget"])[["shared"]].agg(["mean", "max"])
            print(worst.to_string(), flush=True)
        if part == "equal":
            print(f"\n{options.seeds} splits, {options.passes} passes, all training rows")
            print(paired(rows).to_string(index=False), flush=True)


def units_of_layers(text: str) -> tuple[int, ...]:
    """Read one number of units for each hidden layer."""
    return tuple(map(int, text.split("x")))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS)[:3])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=["german", "generated"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=60, help="over the rows, of a training")
    parser.add_argument("--people", type=int, default=300, help="refused test rows")
    parser.add_argument(
        "--units", nargs="+", type=units_of_layers, default=[(64, 64), (96, 24)], metavar="NxN"
    )
    parser.add_argument("--anew", action="store_true", help="train every choice of three layers")
    parser.add_argument("--memory", help="folder in which teachers' actions are remembered")
    return parser.parse_args()


if __name__ == "__main__":
    main()
