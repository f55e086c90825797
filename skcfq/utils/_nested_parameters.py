"""Nested keys on parameters that hold an object: a grid may reach into what is still None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class NestedParametersMixin:
    """Create the object behind ``name`` before ``name__key`` is set on it.

    A parameter such as ``action_set=None`` or ``bit_policy="uniform"`` stands for a default
    object. A search over ``action_set__max_changes`` must be able to reach into it.
    """

    def _default_object(self, name: str) -> BaseEstimator | None:
        """Return the object that the present value of a parameter stands for."""
        return None

    def set_params(self, **params: Any) -> Any:
        """Set parameters, those of nested objects by ``name__key``.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : estimator
        """
        plain = {key: value for key, value in params.items() if "__" not in key}
        # A mixin: what stands above it is an estimator.
        super().set_params(**plain)  # type: ignore[misc]  # a mixin of estimators
        for name in {key.partition("__")[0] for key in params if "__" in key}:
            if getattr(self, name, None) is None or isinstance(getattr(self, name), str):
                default = self._default_object(name)
                if default is not None:
                    setattr(self, name, default)
        nested = {key: value for key, value in params.items() if "__" in key}
        return super().set_params(**nested)  # type: ignore[misc]  # as above
