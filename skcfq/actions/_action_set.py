"""The rules that say what a person may change, stated on raw columns (Appendix A.2)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from skcfq.actions._compiled import CompiledActions, compile_actions
from skcfq.actions._validate import broken_rules
from skcfq.actions.files import from_data, read_action_file, to_data, write_action_file
from skcfq.encoding import FeatureSpace
from skcfq.utils import KnownParameters

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["ActionSet"]


class ActionSet(KnownParameters):
    r"""What a person may change, in which direction, how far, and how many features at once.

    Rules name the raw columns of the X that is given to the object which holds the action set,
    by column name or by position. A declared one-hot group is named by its group name. Rules on
    one column intersect. Whatever the rules say, a person may always stay: someone outside the
    bounds, off the grid or in an unrecognized category keeps the own value as one option.

    An action set holds parameters only. :meth:`compile` derives the frozen form that solvers
    and metrics use; every rule is checked there, against the columns that exist. ``set_params``
    changes the object itself, for everybody who holds it: for another variant of a shared one,
    such as that of a dataset, begin with ``sklearn.base.clone(action_set)``.

    Parameters
    ----------
    actionable : sequence of names, default=None
        The only features that may change: all others are immutable. None says nothing, so that
        everything may change but for what `immutable` names.

    immutable : sequence of names, default=()
        Features that never change. Columns that the encoder drops are immutable too.

    increasing, decreasing : sequence of names, default=()
        Features that may only grow, or only shrink, in raw units. A category needs an order
        (`ordinal`) first.

    bounds : dict of name to (low, high) or "observed", default=None
        Absolute limits in raw units; None leaves a side open as far as this rule goes.
        ``"observed"`` is the range of the background population. An ordered category takes a
        pair of levels. A numeric column with no bounds of any kind keeps to the observed range.

    relative_bounds : dict of name to (low, high), default=None
        Offsets from the person's own value, in raw units: ``(-10, 20)`` allows ten less to
        twenty more. For an ordered category, offsets in ranks. Alone they take the place of the
        observed range, which people may then leave: give ``bounds={name: "observed"}`` too to keep
        them in it.

    quantile_bounds : dict of name to (low, high), default=None
        Limits as weighted quantiles of the background population, such as ``(0.01, 0.99)``.

    steps : dict of name to float, default=None
        The value after a change is a multiple of the step. A stepped column with an open side
        ends at the observed extreme on that side. A column of whole numbers has step 1 unless
        another one is given: one that is stored as such, or has no other values in at least 20
        rows of the background. One that has exactly two values in at least 20 rows moves between
        these, unless bounds lead beyond them. A step of 0 frees a column.

    ordinal : dict of name to list of levels, default=None
        For a numeric column, its discrete domain in rising order. For a category, its levels
        from low to high: `increasing` and `decreasing` then apply, and a move costs the
        difference of ranks. All categories are listed; the missing one has no rank. A column that
        is an ordered ``pandas.Categorical`` brings its order.

    transitions : dict of name to dict of level to list of levels, default=None
        Allowed moves between categories. A level that is not listed may only stay.

    one_hot : dict of group name to list of names, default=None
        Raw columns that are a one-hot group already; they change together, as one feature whose
        levels are the column names. Where the background has rows in which all of them are 0, as
        with ``pandas.get_dummies(drop_first=True)``, that is the level ``"none"``.

    min_change, max_change : dict of name to float, default=None
        A change is at least, or at most, so large: in raw units, or in ranks of an ordered
        category.

    constraints : sequence of str, default=()
        Rules across features, such as ``"words_unique <= words"``, ``"change(savings) +
        change(income) <= 500"`` or ``"if job == 'student' then hours <= 20"``. Conditions are
        joined by ``and``; ``in``, ``not in``, ``!=``, ``changes(name)`` and ``stays(name)`` are
        known too; names that are no plain word stand in backquotes.

    implied : dict of name to dict of cause to amount, default=None
        Columns that people cannot change but that follow: ``{"age": {"education": 2}}`` adds two
        years per rank. The amount is per raw unit of a number, per rank of an ordered category,
        or ``{level: position}`` (the difference counts) or ``{from: {to: amount}}``. Implied
        changes may move an immutable column, cost nothing and do not count in `max_changes`.

    max_changes : int or None, default=None
        How many features one person may change at most; a one-hot group counts once.

    cost : {"l1", "l2", "mixed"}, default="l1"
        Norm of the weighted action (Eq. 4): the sum over features, the root of the sum of squares,
        or a mixture of both.

    cost_weights : {"std", "mad", "uniform"} or dict of name to float, default="std"
        What a unit of change weighs (Appendix A.5): one over the spread of the feature; one over
        its median absolute deviation; or 1, on encoded columns. Features that a dict leaves out
        keep one over their spread.

    cost_mix : float, default=0.5
        Share of l1 in the mixed norm, in [0, 1].

    Notes
    -----
    With :math:`x_j` the person's own value, the values after a change of feature :math:`j` are
    :math:`(\text{grid} \cap [\min(\ell, x_j), \max(h, x_j)] \cap \text{direction}) \cup
    \{x_j\}`. This is the template of Eq. 5 with two amendments: sparsity counts features, not
    encoded columns, and :math:`\delta = 0` is always admissible. A gap in a numeric column is
    treated as the value that the encoder fills in, and staying leaves the gap alone. Nobody can
    move into the category "missing", unless a transition names it.

    What an action costs belongs to the rules: whoever has the action set counts with this cost.
    That is every estimator, solver, scorer and transformer that is given it, and the model file.
    The ``cost`` and ``cost_weights`` of a :class:`~skcfq.RecourseSolver` take its place there.

    A level that is absent from the background is passed over when the rule lists every category
    that is present (a small training fold may lack a rare level); otherwise it is an error,
    because it is then most likely a misspelling.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcfq.actions import ActionSet, region_of
    >>> from skcfq.encoding import FeatureSpace
    >>> X = pd.DataFrame({"age": [25, 40, 61], "hours": [20, 40, 38], "savings": [0, 500, 90]})
    >>> action_set = ActionSet(immutable=["age"], bounds={"hours": (10, 60)},
    ...                        increasing=["savings"], steps={"savings": 100}, max_changes=2)
    >>> actions = action_set.compile(FeatureSpace.from_frame(X))
    >>> actions.feature_names
    ('hours', 'savings')
    >>> region = region_of(actions, X)
    >>> region.lower
    tensor([[ 10.,   0.],
            [ 10., 500.],
            [ 10.,  90.]], dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        actionable: Iterable[Hashable] | None = None,
        immutable: Iterable[Hashable] = (),
        increasing: Iterable[Hashable] = (),
        decreasing: Iterable[Hashable] = (),
        bounds: Mapping[Any, Any] | None = None,
        relative_bounds: Mapping[Any, Any] | None = None,
        quantile_bounds: Mapping[Any, Any] | None = None,
        steps: Mapping[Any, float] | None = None,
        ordinal: Mapping[Any, Iterable] | None = None,
        transitions: Mapping[Any, Mapping] | None = None,
        one_hot: Mapping[Any, Iterable] | None = None,
        min_change: Mapping[Any, float] | None = None,
        max_change: Mapping[Any, float] | None = None,
        constraints: Iterable[str] = (),
        implied: Mapping[Any, Mapping] | None = None,
        max_changes: int | None = None,
        cost: str = "l1",
        cost_weights: Any = "std",
        cost_mix: float = 0.5,
    ) -> None:
        self.actionable = actionable
        self.immutable = immutable
        self.increasing = increasing
        self.decreasing = decreasing
        self.bounds = bounds
        self.relative_bounds = relative_bounds
        self.quantile_bounds = quantile_bounds
        self.steps = steps
        self.ordinal = ordinal
        self.transitions = transitions
        self.one_hot = one_hot
        self.min_change = min_change
        self.max_change = max_change
        self.constraints = constraints
        self.implied = implied
        self.max_changes = max_changes
        self.cost = cost
        self.cost_weights = cost_weights
        self.cost_mix = cost_mix

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelled rule that is silently stored would free a feature that was meant to be held.
        # Leading underscores stay open: scikit-learn keeps its own bookkeeping there.
        if not name.startswith("_") and name not in self._get_param_names():
            near = difflib.get_close_matches(name, self._get_param_names(), n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise AttributeError(
                f"ActionSet has no parameter {name!r}. {hint}It holds parameters only: "
                f"{', '.join(self._get_param_names())}."
            )
        super().__setattr__(name, value)

    def compile(self, space: FeatureSpace) -> CompiledActions:
        """Translate the rules through `space` into encoded units.

        Parameters
        ----------
        space : FeatureSpace
            The map between raw and encoded columns, with the background statistics that
            observed and quantile bounds are taken from.

        Returns
        -------
        actions : CompiledActions
            Frozen; ``skcfq.actions.region_of(actions, X)`` is what the people in the rows of X
            may do.

        Raises
        ------
        ActionSetError
            If a rule names an unknown column, contradicts another rule, or makes no sense for
            the kind of the column.

        Examples
        --------
        >>> import numpy as np
        >>> from skcfq.actions import ActionSet
        >>> from skcfq.encoding import FeatureSpace
        >>> space = FeatureSpace.from_frame(np.array([[0.0, 1.0], [2.0, 3.0]]))
        >>> ActionSet(immutable=[0]).compile(space).feature_names
        (1,)
        """
        _check_space(space)
        return compile_actions(self.get_params(deep=False), space)

    def validate(self, X: Any, space: FeatureSpace | None = None) -> pd.DataFrame:
        """Return which rows break which rule as they stand.

        The rules bind changes. Who breaks one already may stay, and may change other features;
        this table is for a look at the data, or at the rules, before anybody is given advice.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, p)
            Raw rows.
        space : FeatureSpace, default=None
            Where the categories and the observed range come from; best that of the model. None
            reads them from X itself, so that no row is outside of them; numbers that stand for
            categories are then numbers, unless they are text.

        Returns
        -------
        broken : DataFrame
            One line per broken rule of a row, in the order of X: ``row`` (index label, or position
            in an array), ``rule`` (parameter of the action set, or ``"category"`` for one that the
            space does not know), ``columns`` (tuple of names), ``value`` (of the column; a tuple
            for several) and ``message``. Empty if no rule is broken.

        Raises
        ------
        ActionSetError
            If a rule does not fit the columns of X.

        Notes
        -----
        Looked at are `bounds`, `quantile_bounds`, `steps`, `ordinal`, `one_hot` and `constraints`
        as they are stated, for immutable columns too; columns that the encoder drops are not. The
        other parameters speak of changes only. A gap breaks no rule.

        Examples
        --------
        >>> import pandas as pd
        >>> from skcfq.actions import ActionSet
        >>> X = pd.DataFrame({"hours": [40, 75], "spent": [10, 90], "income": [50, 80]})
        >>> rules = ActionSet(bounds={"hours": (10, 60)}, constraints=["spent <= income"])
        >>> for broken in rules.validate(X).itertuples():
        ...     print(broken.row, broken.rule, broken.columns, broken.message, sep="; ")
        1; bounds; ('hours',); hours is 75, above the upper bound 60
        1; constraints; ('spent', 'income'); spent is 90, income is 80: 'spent <= income' is broken
        """
        if space is not None:
            _check_space(space)
        return broken_rules(self.get_params(deep=False), X, space)

    def to_dict(self) -> dict[str, Any]:
        """Return the action set as JSON values, as in a file.

        Returns
        -------
        data : dict
            Text, numbers, booleans, lists and dicts with text keys; None and what is not finite
            as text. Parameters without content are left out.

        Raises
        ------
        ActionSetError
            If rules contradict each other, or a name or level cannot be written.

        Examples
        --------
        >>> from skcfq.actions import ActionSet
        >>> ActionSet(immutable=["age"], bounds={"savings": (0, None)}).to_dict()
        {'schema': 'skcfq/action-set', 'version': 1, 'immutable': ['age'],
         'bounds': {'savings': {'low': 0}}}
        """
        return to_data(self.get_params(deep=False))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ActionSet:
        """Rebuild an action set from :meth:`to_dict`.

        Parameters
        ----------
        data : dict

        Returns
        -------
        action_set : ActionSet
            Pairs of limits are tuples, all other sequences lists.

        Raises
        ------
        ActionSetError
            Names everything that is wrong, one line each.

        Examples
        --------
        >>> from skcfq.actions import ActionSet
        >>> ActionSet.from_dict(ActionSet(steps={"savings": 100}).to_dict())
        ActionSet(steps={'savings': 100})
        """
        return cls(**from_data(data))

    def to_file(self, path: str | os.PathLike) -> None:
        """Write the action set to a file for people to review.

        Parameters
        ----------
        path : str or path
            Ends in ``.toml`` or ``.json``. A file that is there is replaced.

        Raises
        ------
        ActionSetError
            If rules contradict each other, or a name or level cannot be written.
        ActionSetFileError
            If the extension is another one.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from skcfq.actions import ActionSet
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rules.toml"
        >>> ActionSet(immutable=["age"], bounds={"savings": (0, None)}).to_file(path)
        >>> print(path.read_text())
        # begin skcfq/action-set
        schema = "skcfq/action-set"
        version = 1
        <BLANKLINE>
        immutable = ["age"]
        <BLANKLINE>
        [bounds]
        savings = { low = 0 }
        <BLANKLINE>
        # end skcfq/action-set
        <BLANKLINE>
        """
        write_action_file(self.get_params(deep=False), path)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> ActionSet:
        """Read an action set from a TOML or JSON file.

        Parameters
        ----------
        path : str or path
            Ends in ``.toml`` or ``.json``.

        Returns
        -------
        action_set : ActionSet
            Pairs of limits are tuples, all other sequences lists.

        Raises
        ------
        ActionSetFileError
            If the file cannot be read, or holds unknown keys, values of a wrong type or rules
            that contradict each other. Names everything that is wrong, with its line and column.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from skcfq.actions import ActionSet
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rules.toml"
        >>> ActionSet(immutable=["age"], max_changes=2).to_file(path)
        >>> ActionSet.from_file(path)
        ActionSet(immutable=['age'], max_changes=2)
        """
        return cls(**read_action_file(path))


def _check_space(space: Any) -> None:
    if not isinstance(space, FeatureSpace):
        raise TypeError(
            f"space is of type {type(space).__name__}; give a FeatureSpace, such as "
            "`feature_space_` of a classifier or a TableEncoder, or FeatureSpace.from_encoder."
        )
