"""Noise of the teacher's actions is that of Eq. 28, in encoded units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from skcfq import ActionSet, TeacherClassifier
from skcfq.actions import region_of
from skcfq.actions._box import Box
from skcfq.estimators import TeacherActions
from skcfq.models import as_predictor
from skcfq.training._teacher_actions import OnlineActions

N = 2000


@pytest.fixture(scope="module")
def scene():
    """Columns of very different scales, and where one step of size 2 ends without noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3)) * [1.0, 50.0, 0.02]
    y = X @ [1.0, 0.02, -50.0] + rng.normal(size=N) > 0
    model = TeacherClassifier((), max_iter=10, batch_size=200, random_state=0).fit(X, y)
    slopes = model.network_.layers[0].weight.detach().numpy()
    refused = 1.0 - model.predict_proba(X)[:, [1]]
    points = model.encoder_.transform(X) + 2.0 * refused * (slopes[1] - slopes[0])
    return X, as_predictor(model), points


def drawn(how, scene, sigma, rules):
    """Return the points of all people, cached or as two batches of the training bring them."""
    X, teacher, _ = scene
    actions = TeacherActions(1, step_size=2.0, noise=sigma, online=how != "cached")
    if how == "cached":
        return actions.points(teacher, rules, X, np.ones(N, dtype=np.int64), seed=3)[0].numpy()
    region, generator = region_of(rules.compile(teacher.space), X), torch.Generator().manual_seed(3)
    online = OnlineActions(actions, teacher, region, generator)
    if how == "online, quick":
        online = OnlineActions.prepare(actions, teacher, region, generator, torch.float32)
        assert isinstance(online.region, Box)
    target = torch.ones(N // 2, dtype=torch.int64)
    return torch.cat([online(rows, target)[0] for rows in torch.arange(N).split(N // 2)]).numpy()


every_way = pytest.mark.parametrize("how", ["cached", "online", "online, quick"])


@every_way
@pytest.mark.parametrize("sigma", [0.01, 0.3])
def test_noise_is_normal_with_the_given_deviation(how, sigma, scene):
    rules = ActionSet(bounds=dict.fromkeys(range(3), (-1e4, 1e4)))
    noise = drawn(how, scene, sigma, rules) - scene[2]
    # Four standard errors; people and columns have draws of their own.
    assert noise.std(axis=0) == pytest.approx(np.full(3, sigma), rel=4 / np.sqrt(2 * N))
    assert np.abs(noise.mean(axis=0)).max() < 4 * sigma / np.sqrt(N)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 4 / np.sqrt(N)
    assert kstest(noise.ravel() / sigma, "norm").pvalue > 1e-3


@every_way
def test_noisy_points_are_projected_again(how, scene):
    """One column stays, one may only rise: as many end where they were as the normal law says."""
    X, teacher, points = scene
    origin = teacher.space.encode(X)
    rules = ActionSet(immutable=[0], increasing=[1], bounds=dict.fromkeys((1, 2), (-1e4, 1e4)))
    found = drawn(how, scene, 0.5, rules)
    change = found - origin.astype(found.dtype)
    back = norm.cdf(-(points - origin)[:, 1] / 0.5)
    error = np.sqrt((back * (1 - back)).sum()) / N
    assert (change[:, 0] == 0).all()
    assert change[:, 1].min() == 0
    assert np.mean(change[:, 1] == 0) == pytest.approx(back.mean(), abs=4 * error)
    assert (change[:, 2] != 0).all()


@pytest.mark.parametrize("how", ["online", "online, quick"])
def test_every_batch_has_noise_of_its_own(how, scene):
    rules = ActionSet(bounds=dict.fromkeys(range(3), (-1e4, 1e4)))
    first, second = np.split(drawn(how, scene, 0.3, rules) - scene[2], 2)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(first.size)
