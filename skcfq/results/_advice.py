"""What advice is, whoever holds it: the result of a solver, or a document that was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skcfq.results._gaps import gaps
from skcfq.results._letters import letters_of


class Advice:
    """What follows from a status, a cost and a bound for each of n people."""

    X: Any
    points: Any
    target: np.ndarray
    status: np.ndarray
    valid: np.ndarray
    cost: np.ndarray
    lower_bound: np.ndarray
    margin: np.ndarray

    def __len__(self) -> int:
        return len(self.status)

    @property
    def gap(self) -> np.ndarray:
        """Share of its cost by which each action may be too dear, shape (n,); NaN without one."""
        return gaps(self.status, self.cost, self.lower_bound)

    @property
    def denied(self) -> np.ndarray:
        """Rows that the model does not give the target, shape (n,), bool."""
        return self.status != "already_favorable"

    @property
    def reachable(self) -> np.ndarray:
        """Denied rows for which a valid action was found, shape (n,), bool."""
        return self.denied & self.valid

    def letters(
        self,
        template: Any = None,
        language: str = "en",
        *,
        format: str | None = None,
        labels: Mapping | None = None,
        units: Mapping | None = None,
        valid_until: Any = None,
        translations: Mapping | None = None,
        include_granted: bool = False,
        allow_thin_margin: bool = False,
    ) -> pd.Series:
        r"""Write one notice a person in plain words: what was decided, and what would change it.

        Parameters
        ----------
        template : path or str, default=None
            A jinja2 template: a file, or a text with braces; None takes the one for `format`.
        language : str, default="en"
            ``"en"``, ``"de"``, or another one that `translations` gives in full.
        format : {"text", "html"}, default=None
            None is ``"html"`` where `template` is such a file. In HTML all text is escaped.
        labels : dict, default=None
            Texts for names of columns, levels and decisions. ``(name, level)`` is the level of one
            column. Decisions that are no texts need one each.
        units : dict of name to str, default=None
            Units of raw columns; None takes those of the advice.
        valid_until : date or str, default=None
            Until when the advice is promised to hold; ``"2026-12-31"`` is written as a day. None
            says that no date was promised.
        translations : dict of key to str, default=None
            Sentences in place of those of the language.
        include_granted : bool, default=False
            Whether people who need no advice get a letter too.
        allow_thin_margin : bool, default=False
            Whether advice that ends on the boundary may be written.

        Returns
        -------
        letters : Series of str
            With the index labels of those who get a letter.

        Raises
        ------
        OptionalDependencyError
            jinja2 is not installed.
        ValueError
            The advice has no margin; or a parameter is none, which the message names.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skcfq import ActionSet, RecourseSolver
        >>> X = pd.DataFrame({"income": [10.0, 20, 30, 40], "debt": [3.0, 1, 2, 0]})
        >>> model = LogisticRegression().fit(X, ["refused", "refused", "granted", "granted"])
        >>> rules = ActionSet(steps={"income": 1}, immutable=["debt"])
        >>> result = RecourseSolver(rules, target="granted").solve(model, X, background=X)
        >>> print(*result.letters(units={"income": "EUR"}).loc[0].splitlines()[2:7:2], sep="\n")
        We have looked at your application. The outcome is “refused”, not “granted”.
        The outcome would be “granted” if this changed:
        - income: from 10 to 25 EUR
        """
        return letters_of(
            self,
            template,
            language=language,
            format=format,
            labels=labels,
            units=units,
            valid_until=valid_until,
            translations=translations,
            include_granted=include_granted,
            allow_thin_margin=allow_thin_margin,
        )
