"""Read the trees of a fitted classifier: scikit-learn's, LightGBM's and XGBoost's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

from skcfq.models._boosting_libraries import lightgbm_nodes, xgboost_nodes
from skcfq.models._functions import row_head_of
from skcfq.models._heads import named_rows
from skcfq.models._tree_ensembles import Nodes, TreeEnsemble, leaves_of, of_one_score
from skcfq.utils import boosted_nodes

# Rows on which what was read is compared with what the model says.
_EXAMPLES = 48
# Share of the scores by which sums in double and in single precision may be off.
_DOUBLE, _SINGLE = 1e-12, 3e-6

# A single tree, or one with random thresholds.
_SINGLE_TREE = DecisionTreeClassifier.predict_proba
# Nodes, whether scores are shares, a value on a threshold is below it, values are cast to single
# precision, and scores added up in it.
_Read = tuple[Nodes, bool, bool, bool, bool]


def read_trees(model: Any) -> TreeEnsemble | None:
    """Return the trees of a fitted final estimator.

    Parameters
    ----------
    model : estimator
        A single tree, a random forest, extra trees, bagged trees, or boosted trees.

    Returns
    -------
    trees : TreeEnsemble or None
        None for other models, for trees that ask about categories, and for those whose
        probabilities do not follow from sums over leaves.
    """
    found = _nodes_of(model)
    if found is None:
        return None
    nodes, shares, closed, single, rough = found
    parts = leaves_of(nodes)
    if parts is None:
        return None
    offset = np.zeros(parts["values"].shape[1])
    rounding = _SINGLE if rough else _DOUBLE
    trees = TreeEnsemble(
        **parts, offset=offset, shares=shares, closed=closed, single=single, rounding=rounding
    )
    return _checked(trees, model)


def _nodes_of(model: Any) -> _Read | None:
    """Return the nodes of the first kind of model that this one is."""
    readers: tuple[Callable[[Any], _Read | None], ...] = (
        _forest,
        _bag,
        _boosted,
        _boosted_by_histograms,
        lightgbm_nodes,
        xgboost_nodes,
    )
    for read in readers:
        found = read(model)
        if found is not None:
            return found
    return None


def _forest(model: Any) -> _Read | None:
    if getattr(type(model), "predict_proba", None) is _SINGLE_TREE:
        trees = [model]
    elif isinstance(model, (RandomForestClassifier, ExtraTreesClassifier)):
        trees = model.estimators_
    else:
        return None
    if model.n_outputs_ != 1:
        return None
    return Nodes.joined([_shares(tree, len(trees)) for tree in trees]), True, True, True, False


def _bag(model: Any) -> _Read | None:
    if not isinstance(model, BaggingClassifier):
        return None
    trees, n_classes = [], len(model.classes_)
    for tree, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        if getattr(type(tree), "predict_proba", None) is not _SINGLE_TREE:
            return None
        own = _shares(tree, len(model.estimators_))
        values = np.zeros((len(own.left), n_classes))
        values[:, np.asarray(tree.classes_, dtype=np.int64)] = own.values
        inner = np.where(own.left >= 0, own.column, 0)
        column = np.asarray(columns)[inner]
        trees.append(
            Nodes(own.roots, own.left, own.right, column, own.threshold, own.gap_left, values)
        )
    return Nodes.joined(trees), True, True, True, False


def _shares(tree: Any, n_trees: int) -> Nodes:
    """Return a tree whose leaves say with which probability, divided by the number of trees."""
    counts = tree.tree_.value[:, 0, :]
    return _nodes(tree.tree_, counts / counts.sum(axis=1, keepdims=True) / n_trees)


def _nodes(tree: Any, values: np.ndarray) -> Nodes:
    return Nodes(
        np.zeros(1, dtype=np.int64),
        tree.children_left.astype(np.int64),
        tree.children_right.astype(np.int64),
        tree.feature.astype(np.int64),
        tree.threshold.astype(np.float64),
        tree.missing_go_to_left.astype(bool),
        values,
    )


def _boosted(model: Any) -> _Read | None:
    if not isinstance(model, GradientBoostingClassifier):
        return None
    # The exponential loss takes twice the score for the log-odds.
    rate = model.learning_rate * (2 if model.loss == "exponential" else 1)
    trees, n_scores = [], model.estimators_.shape[1]
    for stage in model.estimators_:
        for k, tree in enumerate(stage):
            amount = rate * tree.tree_.value[:, 0, 0]
            trees.append(_nodes(tree.tree_, of_one_score(amount, k, n_scores)))
    return Nodes.joined(trees), False, True, True, False


def _boosted_by_histograms(model: Any) -> _Read | None:
    if not isinstance(model, HistGradientBoostingClassifier):
        return None
    trees = []
    for stage in boosted_nodes(model):
        for k, nodes in enumerate(stage):
            if nodes["is_categorical"].any():
                return None
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                Nodes(
                    np.zeros(1, dtype=np.int64),
                    np.where(leaf, -1, nodes["left"].astype(np.int64)),
                    np.where(leaf, -1, nodes["right"].astype(np.int64)),
                    nodes["feature_idx"].astype(np.int64),
                    nodes["num_threshold"].astype(np.float64),
                    nodes["missing_go_to_left"].astype(bool),
                    of_one_score(nodes["value"], k, len(stage)),
                )
            )
    return Nodes.joined(trees), False, True, False, False


def _checked(trees: TreeEnsemble, model: Any) -> TreeEnsemble | None:
    """Compare the trees with the model itself, which also tells the scores before any tree."""
    Z = _examples(trees, int(model.n_features_in_))
    scores = trees.scores(Z)
    head = row_head_of(model, type(model).__name__, "")
    logits = head(named_rows(Z, model))
    if head.output == "labels" or logits.shape != scores.shape:
        return None
    if trees.shares:
        scores = np.log(np.clip(scores, 1e-12, None))
    # Logits count by their differences alone.
    missing = (logits - logits[:, :1]) - (scores - scores[:, :1])
    offset = np.zeros_like(trees.offset) if trees.shares else np.median(missing, axis=0)
    # Where a share is next to nothing, its logarithm says little.
    clear = np.abs(logits - logits[:, :1]) < 12
    if not (np.abs(missing - offset) <= 10 * trees.rounding + 1e-7)[clear].all():
        return None
    return replace(trees, offset=offset)


def _examples(trees: TreeEnsemble, n_columns: int) -> np.ndarray:
    """Return rows that get to many leaves: values drawn from between the thresholds."""
    rng = np.random.RandomState(0)
    Z = np.zeros((_EXAMPLES, n_columns))
    for c, column in enumerate(trees.columns):
        edges = trees.thresholds[c][np.isfinite(trees.thresholds[c])]
        if len(edges) == 0:
            continue
        ends = np.concatenate([edges[:1] - 1, (edges[1:] + edges[:-1]) / 2, edges[-1:] + 1])
        Z[:, column] = rng.choice(ends, _EXAMPLES)
    return Z
