"""An audit in a model card of skops: its figures, and nobody's data."""

from __future__ import annotations

import re
import sys

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import TableEncoder
from skcfq.audit import audit_recourse
from skcfq.datasets import make_credit
from skcfq.exceptions import OptionalDependencyError


@pytest.fixture(scope="module")
def audited():
    """Return a report whose people have names that nothing else has, and its deployed model."""
    credit = make_credit(200, random_state=0)
    models = [
        make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500)).fit(
            credit.data, credit.target
        )
        for c in (0.01, 1.0)
    ]
    report = audit_recourse(
        *models,
        credit.data.assign(customer=[f"Somebody{i}" for i in range(200)]),
        credit.target,
        action_set=credit.action_set,
        target=credit.favorable,
        sensitive_features=["sex", "housing"],
        person="customer",
    )
    return report, models[1]


def test_it_has_the_figures_and_nobody(audited):
    pytest.importorskip("skops")
    report, model = audited
    card = report.to_model_card(model)
    text = card.render()
    assert len(report.lost) > 3 and "Somebody" not in text and "→ granted" not in text
    drop, limit = report.figures.loc["validity_drop"], report.limits["limit"].iloc[0]
    row = next(line for line in text.splitlines() if "does not honor" in line and "|" in line)
    value, low, high = re.findall(r"[\d.]+(?=\xa0%)", row)
    for told, own in ((value, "value"), (low, "lower"), (high, "upper")):
        assert float(told) == pytest.approx(100 * drop[own], abs=0.051)
    people = text.split("People to come", 2)[2]
    assert f"{100 * limit:.1f}\xa0%" in people
    assert report.to_dict()["digest"] in text
    titles = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert titles.index("The two models") < titles.index("What could not be judged")


def test_it_is_added_to_a_card_that_is_there(audited, tmp_path):
    card_module = pytest.importorskip("skops.card")
    report, model = audited
    card = card_module.Card(model)
    card.add(**{"Intended use": "Loans."})
    assert report.to_model_card(card) is card
    card.save(tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.index("# Intended use") < text.index("# Recourse audit") and "Loans." in text


def test_what_no_card_can_be_made_of(audited, monkeypatch):
    pytest.importorskip("skops")
    for model in ("model.onnx", LogisticRegression, None):
        with pytest.raises(ValueError, match="a card is of an estimator"):
            audited[0].to_model_card(model)
    monkeypatch.setitem(sys.modules, "skops.card", None)
    with pytest.raises(OptionalDependencyError, match="pip install skops"):
        audited[0].to_model_card(audited[1])
