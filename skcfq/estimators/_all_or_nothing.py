"""A fit that does not end leaves the estimator as it was before."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from skcfq.utils import HeldInterrupts

_Fit = TypeVar("_Fit", bound=Callable[..., Any])


def all_or_nothing(fit: _Fit) -> _Fit:
    """Give an estimator back the attributes that it had, where its ``fit`` raises.

    What half a fit has set (classes, an encoder, a teacher) would pass for a fitted model, or
    belong to another network than the one of the previous fit.

    Parameters
    ----------
    fit : function
        Sets attributes anew, and changes none in place.

    Returns
    -------
    fit : function
    """

    @wraps(fit)
    def whole(self: Any, *given: Any, **named: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *given, **named)
        except BaseException:
            with HeldInterrupts():
                vars(self).clear()
                vars(self).update(before)
            raise

    return cast(_Fit, whole)
