"""Validity drop and recourse gap against the bit budget (cf. the paper's budget curves, D.3).

SKCFQ_DATA=../shared/data python examples/paper/budgets.py --data compas --seeds 3
SKCFQ_DATA=../shared/data python examples/paper/budgets.py --plot build/budgets.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from _protocol import DATASETS, draw_refused, mean_and_sd, measure, split
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skcfq import CFQClassifier, RecourseSolver, TeacherClassifier
from skcfq.estimators import Quantizer, with_logit_bias
from skcfq.metrics import validity_drop

BUDGETS = [2, 2.5, 3, 4, 6, 8]
# The bias at the end holds the drop of the cheapest advice. How near the network is to its teacher
# shows in the bias that this takes, and in the drop of advice with a margin in the network without.
MARGIN = 0.1
UNBIASED = f"VD, margin {MARGIN:g}, no bias"
COLUMNS = ["average bits", "accuracy - teacher", "VD", "|CRG|", "CRG", "bias", UNBIASED]


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(options.out).to_dict("records") if options.out.exists() else []
    for name in options.data:
        data = DATASETS[name]()
        for seed in range(options.seeds):
            done = {row["budget"] for row in rows if (row["data"], row["seed"]) == (name, seed)}
            missing = [budget for budget in options.budgets if budget not in done]
            if not missing:
                continue
            X, y, X_test, y_test = split(data, seed)
            teacher = TeacherClassifier(max_iter=30, random_state=seed).fit(X, y)
            solver = RecourseSolver(data.action_set, target=data.favorable, random_state=seed)
            people = draw_refused(teacher, data.favorable, X_test, seed, options.people)
            safer = clone(solver).set_params(margin=MARGIN).solve(teacher, people)
            for budget in missing:
                model = CFQClassifier(
                    budget,
                    teacher=FrozenEstimator(teacher),
                    action_set=data.action_set,
                    target=data.favorable,
                    objective=options.objective,
                    bit_policy=options.bit_policy,
                    quantizer=Quantizer(activation_bits=options.activation_bits or None),
                    # The teacher's recourse is the same at every budget.
                    memory=str(options.out.with_suffix(".cache")),
                    random_state=seed,
                ).fit(X, y)
                assert model.average_bits_ <= budget
                figures = measure(teacher, model, people, X_test, y_test, solver)
                figures["bias"] = model.logit_bias_
                unbiased = with_logit_bias(model, data.favorable, -model.logit_bias_)
                figures[UNBIASED] = validity_drop(teacher, unbiased, safer)
                widths = " ".join(map(str, model.bit_widths_))
                rows.append(
                    {"data": name, "seed": seed, "budget": budget, **figures, "widths": widths}
                )
                pd.DataFrame(rows).to_csv(options.out, index=False)
                print(name, seed, budget, widths, f"VD {figures['VD']:.3f}", flush=True)
    table = pd.DataFrame(rows)
    print(
        f"\nobjective {options.objective}, widths {options.bit_policy}, "
        f"activations {options.activation_bits or 'as weights'}, "
        f"inputs {Quantizer().input_bits}, gradient search at margin 0, "
        f"up to {options.people} refused test rows, {options.seeds} seeds"
    )
    print(mean_and_sd(table, ["data", "budget"], COLUMNS).to_string())
    if options.plot:
        draw(table, options.plot)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", nargs="+", choices=DATASETS, default=["adult", "compas", "german"]
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS)
    parser.add_argument("--objective", choices=["faithful", "paper"], default="faithful")
    parser.add_argument("--activation-bits", type=int, default=8, help="0: those of the weights")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="generated table, one seed")
    parser.add_argument("--bit-policy", default="units")
    parser.add_argument("--plot", type=Path, help="draw the curves into this file")
    parser.add_argument("--out", type=Path, default=Path("build/budgets.csv"))
    options = parser.parse_args()
    if options.quick:
        options.data, options.seeds, options.people = ["generated"], 1, 100
        options.out = options.out.with_stem(options.out.stem + "_quick")
        options.out.unlink(missing_ok=True)
    return options


def draw(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    columns = ["VD", UNBIASED, "|CRG|"]
    figure, axes = plt.subplots(1, len(columns), figsize=(11, 3), layout="constrained")
    for axis, column in zip(axes, columns, strict=True):
        for name, part in table.groupby("data", sort=False):
            curve = part.groupby("budget")[column].agg(["mean", "std"])
            axis.errorbar(curve.index, curve["mean"], curve["std"], marker="o", label=name)
        axis.set(xlabel="budget (bits per weight)", ylabel=column)
    axes[0].legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
