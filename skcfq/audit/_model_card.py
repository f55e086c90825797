"""An audit in a scikit-learn model card, by skops: figures and limits, and nobody's data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from skcfq.audit._blocks import Items, Section, Table, Text
from skcfq.audit._rendering import markdown
from skcfq.audit._sections import sections_of
from skcfq.audit._verdict import title_of, verdict
from skcfq.exceptions import OptionalDependencyError

# A card is published: who lost what is not in it, and rules and versions are in the audit.
_TOLD = ("models", "figures", "groups", "limits", "gaps", "remedies", "notes")
_HEADING = "Recourse audit"
_FEW = 12


def model_card(report: Any, model: Any) -> Any:
    """Write :meth:`AuditReport.to_model_card`.

    Parameters
    ----------
    report : AuditReport
    model : estimator or skops.card.Card

    Raises
    ------
    OptionalDependencyError
        skops is not installed.
    ValueError
        No card can be made of the model.
    """
    try:
        from skops.card import Card
    except ImportError as error:
        raise OptionalDependencyError(
            "to_model_card needs the package skops: pip install skops. to_markdown needs none."
        ) from error
    card = model if isinstance(model, Card) else _card_of(Card, model)
    card.add(**{_HEADING: _text([title_of(report)]) + "\n\n" + _list(verdict(report))})
    for section in sections_of(report, 0):
        if section.name in _TOLD:
            _add(card, section)
    digest = report.to_dict()["digest"]
    said = f"The audit is a JSON document with the digest {digest}; `skcfq verify` checks it."
    return card.add(**{f"{_HEADING}/How to check it": said})


def _card_of(card: Any, model: Any) -> Any:
    if isinstance(model, type) or not hasattr(model, "get_params"):
        raise ValueError(
            f"model={type(model).__name__}: a card is of an estimator of scikit-learn; give one, "
            "or a skops.card.Card."
        )
    return card(model)


def _add(card: Any, section: Section) -> None:
    place = f"{_HEADING}/{section.title}"
    said = [_text([one.text]) for one in section.blocks if isinstance(one, Text)]
    said += [_list(one.items) for one in section.blocks if isinstance(one, Items)]
    card.add(**{place: "\n\n".join(said)})
    for block in section.blocks:
        if isinstance(block, Table):
            rows = [[markdown(str(cell)) for cell in row] for row in block.rows]
            table = pd.DataFrame(rows, columns=[markdown(name) for name in block.columns])
            card.add_table(folded=len(rows) > _FEW, **{f"{place}/{block.caption}": table})


def _text(sentences: list[str]) -> str:
    return " ".join(map(markdown, sentences))


def _list(sentences: list[str]) -> str:
    return "\n".join(f"- {markdown(one)}" for one in sentences)
