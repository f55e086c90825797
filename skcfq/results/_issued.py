"""Advice that was given: what people were told, as it was written down, without any model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.results._advice import Advice
from skcfq.results._document import cost_record
from skcfq.results._document_changes import changes_frame, read_changes, result_changes
from skcfq.results._document_reading import failure, number_of, read_document
from skcfq.results._document_tables import read_tables
from skcfq.utils import strict_json

if TYPE_CHECKING:
    from skcfq.actions import ActionSet
    from skcfq.results._result import RecourseResult


@dataclass(frozen=True, eq=False, repr=False)
class IssuedAdvice(Advice):
    """What n people were told, and what was known about each when they were.

    Made by :meth:`of` from a result, or by :meth:`read` from what
    :meth:`skcfq.RecourseResult.to_json` wrote; the two are equal.

    Attributes
    ----------
    people : Index of length n
        The index labels of ``X``; positions, for an array.
    X : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows that were asked about.
    points : DataFrame or ndarray of shape (n, n_raw_columns)
        The raw rows after the action; a row for which nothing was found is unchanged.
    target : ndarray of shape (n,)
        The label that each person wants.
    status : ndarray of shape (n,), str
        As in :class:`skcfq.RecourseResult`.
    valid : ndarray of shape (n,), bool
        The model gave the target at ``points``, with the required margin.
    cost, lower_bound, margin : ndarray of shape (n,)
        As in :class:`skcfq.RecourseResult`.
    changes : DataFrame
        One row for each change: ``row`` (a position), ``feature``, ``kind`` (``"change"`` or
        ``"implied"``), ``from``, ``to``, ``change``, ``cost_share``, ``percentile_from``,
        ``percentile_to`` and ``is_number``.
    alternatives : tuple of IssuedAdvice
        Further actions of the same people, as in :class:`skcfq.RecourseResult`.
    units : dict of name to str, or None
    protocol, method : str
    cost_definition : dict
        ``norm``, ``mix`` and ``features`` with their weights, as in
        :meth:`skcfq.RecourseResult.to_dict`.
    provenance : dict or None
        Parameters of the solver, seed, versions, and what the model was.
    action_set : ActionSet or None
        The rules; None where there were none, or a file could not hold them.
    space_fingerprint : str
        Fingerprint of the feature space.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skcfq import ActionSet, RecourseSolver
    >>> from skcfq.results import IssuedAdvice
    >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 1, 2, 0]})
    >>> model = LogisticRegression().fit(X, ["refuse", "refuse", "grant", "grant"])
    >>> rules = ActionSet(steps={"income": 1}, immutable=["debt"])
    >>> result = RecourseSolver(rules, target="grant").solve(model, X, background=X)
    >>> advice = IssuedAdvice.read(result.to_json())
    >>> advice
    IssuedAdvice(4 people: 2 denied, 2 with advice; LogisticRegression, exact)
    >>> advice.points["income"].tolist(), advice.action_set
    ([25.0, 26.0, 30.0, 40.0], ActionSet(immutable=['debt'], steps={'income': 1}))
    """

    people: pd.Index
    X: Any
    points: Any
    target: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    cost: np.ndarray
    lower_bound: np.ndarray
    margin: np.ndarray
    changes: pd.DataFrame
    alternatives: tuple[IssuedAdvice, ...]
    units: Mapping | None
    protocol: str
    method: str
    cost_definition: Mapping[str, Any]
    provenance: Mapping[str, Any] | None
    action_set: ActionSet | None
    space_fingerprint: str

    def __repr__(self) -> str:
        denied, told = int(self.denied.sum()), int(self.reachable.sum())
        model = (self.provenance or {}).get("model", {}).get("name", "a model")
        return (
            f"IssuedAdvice({len(self)} people: {denied} denied, {told} with advice; {model}, "
            f"{self.method})"
        )

    @classmethod
    def of(cls, result: RecourseResult) -> IssuedAdvice:
        """Return the advice of a result, which it shares all arrays with.

        Parameters
        ----------
        result : RecourseResult

        Returns
        -------
        advice : IssuedAdvice

        Raises
        ------
        TypeError
            `result` is none.
        """
        if not hasattr(result, "cost_function") or not hasattr(result, "points"):
            raise TypeError(
                f"result is of type {type(result).__name__}: give what RecourseSolver.solve "
                "returns."
            )
        provenance = strict_json(result.provenance)
        is_frame = isinstance(result.X, pd.DataFrame)
        common = {
            "people": result.X.index if is_frame else pd.RangeIndex(len(result)),
            "X": result.X,
            "units": None if result.units is None else dict(result.units),
            "method": result.method,
            "cost_definition": cost_record(result),
            "provenance": provenance,
            "action_set": _action_set(provenance),
            "space_fingerprint": result.space_fingerprint,
        }
        names = ("points", "target", "status", "valid", "cost", "lower_bound", "margin", "protocol")
        answers = [
            cls(
                **common,
                **{name: getattr(answer, name) for name in names},
                changes=result_changes(answer),
                alternatives=(),
            )
            for answer in (result, *result.alternatives)
        ]
        return replace(answers[0], alternatives=tuple(answers[1:]))

    @classmethod
    def read(cls, source: Any) -> IssuedAdvice:
        """Read what :meth:`skcfq.RecourseResult.to_json` or ``to_dict`` wrote.

        Parameters
        ----------
        source : path, str or dict
            A file, the JSON text itself (which begins with a brace), or the document as a dict.

        Returns
        -------
        advice : IssuedAdvice
            Tables have the columns, dtypes and values that they had. Of documents of version 1,
            which did not tell them, dtypes are what pandas makes of the values, and alternatives
            that were not found are ``"not_found"``. Dates and other values that JSON has no word
            for come back as text, sparse columns as dense ones.

        Raises
        ------
        AdviceFileError
            The file is damaged, of another kind, nested too deep or of a later version; its
            digest is not that of its content; or what it says of somebody contradicts itself.

        Notes
        -----
        The digest tells damage and changes by mistake. It is no signature: who can write a
        document can write its digest.
        """
        document = read_document(source)
        try:
            return cls._of_document(document)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise failure("the document", error) from error

    @classmethod
    def _of_document(cls, document: Mapping[str, Any]) -> IssuedAdvice:
        X, points, target = read_tables(dict(document))
        people = document["people"]
        common = {
            "people": X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(people)),
            "X": X,
            "target": target,
            "protocol": document["protocol"],
            "method": document["method"],
            "cost_definition": document["cost"],
            "provenance": document["provenance"],
            "action_set": _action_set(document["provenance"]),
            "space_fingerprint": document["feature_space"],
        }
        advice = []
        for k, table in enumerate(points):
            answers = [_of_rank(person, k) for person in people]
            changes, units = read_changes(answers, X, table, document)
            advice.append(
                cls(
                    **common,
                    points=table,
                    **_arrays(answers),
                    changes=changes,
                    units=units,
                    alternatives=(),
                )
            )
        return replace(advice[0], alternatives=tuple(advice[1:]))

    def to_frame(self, *, details: bool = False, units: Mapping | None = None) -> pd.DataFrame:
        """Tell who was to change what, in raw units.

        Parameters
        ----------
        details : bool, default=False
            Whether there are the further columns.
        units : dict of name to str, default=None
            Units of raw columns; None takes those of the advice. Giving it asks for details.

        Returns
        -------
        frame : DataFrame
            As :meth:`skcfq.RecourseResult.to_frame`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import RecourseSolver
        >>> from skcfq.results import IssuedAdvice
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
        >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
        >>> result = RecourseSolver().solve(model, X, background=X)
        >>> advice = IssuedAdvice.read(result.to_dict())
        >>> advice.to_frame().equals(result.to_frame())
        True
        """
        return changes_frame(self, details, units)


def _action_set(provenance: Mapping[str, Any] | None) -> ActionSet | None:
    """Return the rules that a provenance holds; None where they are only told as text."""
    rules = (provenance or {}).get("action_set")
    if not isinstance(rules, Mapping) or "schema" not in rules:
        return None
    from skcfq.actions import ActionSet

    return ActionSet.from_dict(dict(rules))


_NOTHING = {"status": "not_found", "valid": False, "lower_bound": 0.0}
_NOTHING |= {"cost": None, "margin": None, "changes": []}


def _of_rank(person: dict[str, Any], k: int) -> dict[str, Any]:
    """Return the answer of one rank; who needs none has the same in all."""
    others = person.get("alternatives")
    if k == 0 or others is None:
        return person
    # Version 1 leaves out what was not found.
    return others[k - 1] if k <= len(others) else _NOTHING


def _arrays(answers: list[dict[str, Any]]) -> dict[str, Any]:
    infinite = {"infeasible": np.inf}
    return {
        "status": np.array([one["status"] for one in answers], dtype=np.str_),
        "valid": np.array([one["valid"] for one in answers], dtype=bool),
        "cost": np.array([number_of(one["cost"]) for one in answers], dtype=np.float64),
        "margin": np.array([number_of(one["margin"]) for one in answers], dtype=np.float64),
        "lower_bound": np.array(
            [number_of(one["lower_bound"], infinite.get(one["status"], np.nan)) for one in answers],
            dtype=np.float64,
        ),
    }
