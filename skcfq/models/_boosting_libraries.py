"""Read the trees of LightGBM and XGBoost, which are asked for them only where they are there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from skcfq.models._tree_ensembles import Nodes, of_one_score


def lightgbm_nodes(model: Any) -> tuple[Nodes, bool, bool, bool, bool] | None:
    """Return the nodes of a fitted ``LGBMClassifier``, None for anything else."""
    if not _is_of(model, "lightgbm", "LGBMClassifier"):
        return None
    told = model.booster_.dump_model()
    n_scores = int(told["num_tree_per_iteration"])
    trees = []
    for position, tree in enumerate(told["tree_info"]):
        rows: list[list[Any]] = []
        if _walk_lightgbm(tree["tree_structure"], rows) is None:
            return None
        trees.append(_of_rows(rows, position % n_scores, n_scores))
    return Nodes.joined(trees), False, True, False, False


def _walk_lightgbm(node: dict, rows: list[list[Any]]) -> int | None:
    """Write a node and all below it into rows; return its position, None if it cannot be read."""
    here = len(rows)
    if "leaf_value" in node:
        rows.append([-1, -1, 0, 0.0, False, node["leaf_value"]])
        return here
    kind, threshold = node["missing_type"], node["threshold"]
    if node["decision_type"] != "<=" or kind not in ("None", "NaN"):
        return None
    # Where none were seen, gaps are zeros.
    gap_left = node["default_left"] if kind == "NaN" else threshold >= 0
    rows.append([0, 0, node["split_feature"], threshold, gap_left, 0.0])
    for side, name in enumerate(("left_child", "right_child")):
        child = _walk_lightgbm(node[name], rows)
        if child is None:
            return None
        rows[here][side] = child
    return here


def xgboost_nodes(model: Any) -> tuple[Nodes, bool, bool, bool, bool] | None:
    """Return the nodes of a fitted ``XGBClassifier``, None for anything else."""
    if not _is_of(model, "xgboost", "XGBClassifier") or not np.isnan(model.missing):
        return None
    told = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    booster = told["gradient_booster"]
    if booster.get("name") != "gbtree":
        return None
    written, which = booster["model"]["trees"], booster["model"]["tree_info"]
    last = getattr(model, "best_iteration", None) if _stopped_early(model) else None
    n_scores = max(which, default=0) + 1
    if last is not None:
        n_used = int(booster["model"]["iteration_indptr"][last + 1])
        written, which = written[:n_used], which[:n_used]
    trees = []
    for tree, k in zip(written, which, strict=True):
        by_level = any(tree.get("split_type", ())) or tree.get("categories")
        if by_level or int(tree["tree_param"]["size_leaf_vector"]) > 1:
            return None
        left, right = (np.array(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
        leaf = left < 0
        cut = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
        trees.append(
            Nodes(
                np.zeros(1, dtype=np.int64),
                left,
                right,
                np.array(tree["split_indices"], dtype=np.int64),
                cut,
                np.array(tree["default_left"]).astype(bool),
                of_one_score(np.where(leaf, cut, 0.0), k, n_scores),
            )
        )
    return Nodes.joined(trees), False, False, True, True


def _stopped_early(model: Any) -> bool:
    return getattr(model, "early_stopping_rounds", None) is not None


def _of_rows(rows: list[list[Any]], k: int, n_scores: int) -> Nodes:
    left, right, column, threshold, gap_left, amount = map(np.array, zip(*rows, strict=True))
    return Nodes(
        np.zeros(1, dtype=np.int64),
        left.astype(np.int64),
        right.astype(np.int64),
        column.astype(np.int64),
        threshold.astype(np.float64),
        gap_left.astype(bool),
        of_one_score(amount, k, n_scores),
    )


def _is_of(model: Any, package: str, name: str) -> bool:
    """Tell whether a model is of a class of a package, without importing that."""
    return any(
        kind.__name__ == name and kind.__module__.split(".")[0] == package
        for kind in type(model).__mro__
    )
