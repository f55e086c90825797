"""Training-free CF-PTQ on Adult, German Credit and COMPAS (Tables 13, 14, 15 and 16).

Every row of a table has the same teacher, the same refused test people, the same solver and the
same rule for activation widths: those of the weights before them, or 8. Differences are paired:
each method less mixed-precision PTQ on the same seed, with a 95 % interval (Student's t over
seeds). Both allocations are printed, because Eq. 24 often chooses the same widths from both
sensitivities. Time is that of the process in ``fit``, relative to uniform PTQ at 4 bits.

    SKCFQ_DATA=../shared/data python examples/paper/ptq.py            # all of it
    SKCFQ_DATA=../shared/data python examples/paper/ptq.py --quick    # a minute
    SKCFQ_DATA=../shared/data python examples/paper/ptq.py --why      # scales and sensitivities
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skcfq import CFQClassifier, PTQClassifier, RecourseSolver, TeacherClassifier
from skcfq.datasets import fetch_adult, fetch_compas, fetch_german_credit
from skcfq.estimators import Quantizer
from skcfq.metrics import counterfactual_recourse_gap, direction_similarity, validity_drop
from skcfq.models import as_predictor

MIXED = "X, factual (mixed PTQ)"
STANDARD = "PTQ INT4"
METHODS: dict[str, dict[str, Any]] = {
    "PTQ INT8": {"budget": 8, "calibration": "factual", "allocation": "uniform"},
    STANDARD: {"calibration": "factual", "allocation": "uniform"},
    MIXED: {"calibration": "factual", "allocation": "factual"},
    "U, factual (CF-PTQ cal.)": {"allocation": "factual"},
    "X, counterfactual": {"calibration": "factual"},
    "U, counterfactual (CF-PTQ)": {},
    "U, uniform, rounding": {
        "allocation": "uniform",
        "adaptive_rounding": True,
        "bias_correction": True,
    },
    "U*, margin, rounding": {
        "allocation": "margin",
        "calibrator": "reconstruction",
        "adaptive_rounding": True,
        "bias_correction": True,
        "teacher_actions": RecourseSolver(),
    },
}
PAPER = {
    "adult": {
        "PTQ INT8": (0.071, 0.083),
        "PTQ INT4": (0.176, 0.246),
        MIXED: (0.121, 0.162),
        "U, factual (CF-PTQ cal.)": (0.089, 0.118),
        "X, counterfactual": (0.096, 0.130),
        "U, counterfactual (CF-PTQ)": (0.074, 0.101),
        "CFQ-QAT": (0.061, 0.071),
    },
    "german": {
        MIXED: (0.154, 0.211),
        "U, factual (CF-PTQ cal.)": (0.119, 0.164),
        "U, counterfactual (CF-PTQ)": (0.101, 0.142),
    },
    "compas": {
        MIXED: (0.138, 0.184),
        "U, factual (CF-PTQ cal.)": (0.105, 0.147),
        "U, counterfactual (CF-PTQ)": (0.092, 0.129),
    },
}
FETCH = {"adult": fetch_adult, "german": fetch_german_credit, "compas": fetch_compas}
# German has 300 test rows: ten splits. COMPAS has 6,172 rows after the usual filter.
TEST_ROWS = {"german": 300, "compas": 1852}


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    for name in options.data:
        n_seeds = options.seeds or (1 if options.quick else 10 if name == "german" else 5)
        data = FETCH[name]()
        if options.why:
            print(f"\n{name}: what U and the sensitivities change, 4 bits, first seed")
            print(causes(name, data).to_string(), flush=True)
            continue
        rows = [row for seed in range(n_seeds) for row in run_seed(name, data, seed, options)]
        report(name, pd.DataFrame(rows), n_seeds, options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(FETCH), default=list(FETCH))
    parser.add_argument("--seeds", type=int, default=None)
    parser.add_argument("--people", type=int, default=300, help="refused test rows a seed")
    parser.add_argument("--margins", nargs="+", type=float, default=[0.0, 0.5])
    parser.add_argument(
        "--activations", nargs="+", default=["weights", "8"], help="widths; 'weights' follows them"
    )
    parser.add_argument("--rule", choices=["greedy", "exact"], default="greedy")
    parser.add_argument("--no-qat", action="store_true", help="leave CFQ-QAT out")
    parser.add_argument("--quick", action="store_true", help="one seed, 60 people, no CFQ-QAT")
    parser.add_argument(
        "--why", action="store_true", help="only what the scales and the sensitivities are"
    )
    options = parser.parse_args()
    if options.quick:
        options.people, options.no_qat = 60, True
    return options


def split(name: str, data: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if name == "adult":
        return data.train_indices, data.test_indices
    rows = np.arange(len(data.target))
    train, test = train_test_split(
        rows, test_size=TEST_ROWS[name], random_state=seed, stratify=data.target
    )
    return train, test


def run_seed(name: str, data: Any, seed: int, options: argparse.Namespace) -> list[dict]:
    train, test = split(name, data, seed)
    X, y = data.data.iloc[train], data.target.iloc[train]
    X_test, y_test = data.data.iloc[test], data.target.iloc[test]
    teacher = TeacherClassifier(max_iter=30, random_state=seed).fit(X, y)
    shared = {
        "teacher": FrozenEstimator(teacher),
        "action_set": data.action_set,
        "target": data.favorable,
        "random_state": seed,
    }
    models: dict[tuple[str, str], Any] = {}
    for width in options.activations:
        shared["quantizer"] = Quantizer(None if width == "weights" else int(width))
        for method, settings in METHODS.items():
            own = {**shared, "allocation_rule": options.rule, **settings}
            models[width, method] = PTQClassifier(**own)
        if not options.no_qat:
            models[width, "CFQ-QAT"] = CFQClassifier(4, objective="paper", **shared)
    denied = np.flatnonzero(teacher.predict(X_test) != data.favorable)
    drawn = np.sort(np.random.RandomState(seed).permutation(denied)[: options.people])
    people = X_test.iloc[drawn]
    rows: list[dict] = []
    measured: dict[tuple[str, float], dict[str, float]] = {}
    for (width, method), model in models.items():
        start = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - start
        common = {
            "seed": seed,
            "activations": width,
            "method": method,
            "seconds": seconds,
            "accuracy": model.score(X_test, y_test),
            "accepted": float(np.mean(model.predict(X_test) == data.favorable)),
            "widths": tuple(model.bit_widths_.tolist()),
            "bits": model.average_bits_,
        }
        # Two cells of Table 15 are often one model: it is solved once.
        same = as_predictor(model).fingerprint
        for margin in options.margins:
            if (same, margin) not in measured:
                measured[same, margin] = measure(teacher, model, people, margin)
            rows.append({**common, "margin": margin, **measured[same, margin]})
    return rows


def measure(teacher: Any, model: Any, people: pd.DataFrame, margin: float) -> dict[str, float]:
    action_set, target = model.action_set, model.target
    solver = RecourseSolver(action_set, target=target, margin=margin, random_state=0)
    reference, deployed = solver.compare(teacher, model, people)
    return {
        "VD": validity_drop(teacher, model, reference),
        "|CRG|": counterfactual_recourse_gap(reference, deployed),
        "CRG": counterfactual_recourse_gap(reference, deployed, kind="signed"),
        "DirSim": direction_similarity(reference, deployed),
    }


def causes(name: str, data: Any) -> pd.DataFrame:
    """Compare scales that are set on U with those on X, and sensitivities at both."""
    train, _ = split(name, data, 0)
    X, y = data.data.iloc[train], data.target.iloc[train]
    teacher = TeacherClassifier(max_iter=30, random_state=0).fit(X, y)
    own = {"target": data.favorable, "action_set": data.action_set, "random_state": 0}
    own |= {"teacher": FrozenEstimator(teacher), "allocation": "uniform"}
    on_x = PTQClassifier(calibration="factual", **own).fit(X, y)
    on_u = PTQClassifier(**own).fit(X, y)
    signals = {
        where: PTQClassifier(**{**own, "allocation": where}).fit(X, y).sensitivities_
        for where in ("factual", "counterfactual")
    }
    scales = [model.integer_network_ for model in (on_x, on_u)]
    sizes = np.array([layer.n_weights for layer in scales[0].layers])
    table = pd.DataFrame({"share of the weights": sizes / sizes.sum()})
    for where, found in signals.items():
        table[f"share of the {where} sensitivity"] = found / found.sum()
    steps = [np.array([layer.step for layer in one.layers]) for one in scales]
    table["change of the weight step"] = steps[1] / steps[0] - 1
    widths = on_x.bit_widths_
    clips = [
        [
            layer.clips[layer.candidates.index(bits)].item()
            for layer, bits in zip(model.network_.quantized_layers[:-1], widths, strict=False)
        ]
        for model in (on_x, on_u)
    ]
    table["change of the clip"] = [*(np.divide(clips[1], clips[0]) - 1), np.nan]
    table["change of the input step"] = np.nan
    table.loc[0, "change of the input step"] = scales[1].input_step / scales[0].input_step - 1
    table["recourse points"] = on_u.n_recourse_points_
    return table.rename_axis("layer").round(4).T


def report(name: str, rows: pd.DataFrame, n_seeds: int, options: argparse.Namespace) -> None:
    for (activations, margin), part in rows.groupby(["activations", "margin"], sort=False):
        wide = "as wide as the weights" if activations == "weights" else f"{activations} bits"
        print(
            f"\n{name}: {n_seeds} seeds, up to {options.people} refused test rows a seed, budget "
            f"4, activations {wide}, inputs {Quantizer().input_bits} bits, {options.rule} "
            f"allocation, gradient search, margin {margin:g}"
        )
        figures = ["accuracy", "accepted", "VD", "|CRG|", "CRG", "DirSim", "bits", "seconds"]
        by_method = part.groupby("method", sort=False)[figures]
        table = by_method.mean()
        spread = by_method.std()
        table["sd VD"], table["sd |CRG|"] = spread["VD"], spread["|CRG|"]
        table["time"] = table["seconds"] / table.loc[STANDARD, "seconds"]
        table["paper VD"], table["paper CRG"] = zip(
            *(PAPER[name].get(method, (np.nan, np.nan)) for method in table.index), strict=True
        )
        print(table.drop(columns="seconds").round(3).to_string())
        print(paired(part).to_string())
    chosen = rows.drop_duplicates(["seed", "activations", "method"])
    print(f"\n{name}: widths a seed")
    widths = chosen.pivot(index=["activations", "method"], columns="seed", values="widths")
    print(widths.to_string(), flush=True)


def paired(part: pd.DataFrame) -> pd.DataFrame:
    """Return the differences from mixed-precision PTQ, with 95 % intervals."""
    lines = {}
    base = part[part["method"] == MIXED].set_index("seed")
    for method, own in part.groupby("method", sort=False):
        if method == MIXED:
            continue
        line = {}
        for figure in ("VD", "|CRG|", "DirSim"):
            gap = (own.set_index("seed")[figure] - base[figure]).dropna()
            half = np.nan
            if len(gap) > 1:
                half = stats.t.ppf(0.975, len(gap) - 1) * gap.std() / np.sqrt(len(gap))
            line[f"Δ {figure}"] = f"{gap.mean():+.3f} ± {half:.3f}"
            line[f"lower {figure}"] = f"{int((gap < 0).sum())} of {len(gap)}"
        lines[method] = line
    return pd.DataFrame(lines).T


if __name__ == "__main__":
    main()
