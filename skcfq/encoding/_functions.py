"""Increasing or decreasing functions of one number, with their inverses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from skcfq.exceptions import FeatureSpaceError


@dataclass(frozen=True)
class Affine:
    """``x → scale · x + offset``, with a scale other than 0."""

    scale: float
    offset: float
    name: ClassVar[str] = "affine"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the function, elementwise."""
        return self.scale * x + self.offset

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo the function, elementwise."""
        return (z - self.offset) / self.scale

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters."""
        return {"name": self.name, "scale": self.scale, "offset": self.offset}


@dataclass(frozen=True)
class Named:
    """One of numpy's elementary monotone functions, by name."""

    name: str

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the function, elementwise."""
        return ELEMENTARY[self.name][0](x)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo the function, elementwise."""
        return ELEMENTARY[self.name][1](z)

    def to_dict(self) -> dict[str, Any]:
        """Return the name."""
        return {"name": self.name}


@dataclass(frozen=True)
class Power:
    """The Yeo-Johnson or Box-Cox transform with parameter ``lambda_``."""

    method: str
    lambda_: float
    name: ClassVar[str] = "power"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the function, elementwise."""
        if self.method == "box-cox":
            return _special().boxcox(x, self.lambda_)
        positive = _special().boxcox1p(np.maximum(x, 0), self.lambda_)
        return np.where(x >= 0, positive, -_special().boxcox1p(np.maximum(-x, 0), 2 - self.lambda_))

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo the function, elementwise."""
        if self.method == "box-cox":
            return _special().inv_boxcox(z, self.lambda_)
        positive = _special().inv_boxcox1p(np.maximum(z, 0), self.lambda_)
        negative = -_special().inv_boxcox1p(np.maximum(-z, 0), 2 - self.lambda_)
        return np.where(z >= 0, positive, negative)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters."""
        return {"name": self.name, "method": self.method, "lambda": self.lambda_}


@dataclass(frozen=True, eq=False)
class Quantile:
    """The empirical distribution function of a fitted ``QuantileTransformer`` column.

    ``quantiles`` (k,) are raw values, ``references`` (k,) their levels in [0, 1]; ``normal`` adds
    the inverse of the normal distribution function.
    """

    quantiles: np.ndarray
    references: np.ndarray
    normal: bool
    name: ClassVar[str] = "quantile"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the function, elementwise."""
        upward = np.interp(x, self.quantiles, self.references)
        downward = -np.interp(-x, -self.quantiles[::-1], -self.references[::-1])
        level = 0.5 * (upward + downward)
        # Ties in the quantiles would average the ends away from 0 and 1.
        if self.normal:
            low, high = x - 1e-7 < self.quantiles[0], x + 1e-7 > self.quantiles[-1]
        else:
            low, high = x == self.quantiles[0], x == self.quantiles[-1]
        level = np.where(high, 1.0, level)
        level = np.where(low, 0.0, level)
        level = np.where(np.isnan(x), np.nan, level)
        if not self.normal:
            return level
        lowest = float(_special().ndtri(1e-7 - np.spacing(1)))
        return np.clip(_special().ndtri(level), lowest, -lowest)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Undo the function, elementwise; beyond the table, return its end."""
        level = _special().ndtr(z) if self.normal else z
        return np.where(np.isnan(z), np.nan, np.interp(level, self.references, self.quantiles))

    def to_dict(self) -> dict[str, Any]:
        """Return the table."""
        return {
            "name": self.name,
            "quantiles": [float(v) for v in self.quantiles],
            "references": [float(v) for v in self.references],
            "normal": self.normal,
        }


@dataclass(frozen=True, eq=False)
class UserFunction:
    """The pair of functions of a ``FunctionTransformer``; cannot be written to a file."""

    function: Callable[..., Any]
    inverse_function: Callable[..., Any]
    arguments: dict[str, Any]
    inverse_arguments: dict[str, Any]
    increasing: bool = True
    name: ClassVar[str] = "user"

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the function to a table of one column."""
        out = self.function(x.reshape(-1, 1), **self.arguments)
        return np.asarray(out, dtype=np.float64).reshape(x.shape)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Apply the inverse function to a table of one column."""
        out = self.inverse_function(z.reshape(-1, 1), **self.inverse_arguments)
        return np.asarray(out, dtype=np.float64).reshape(z.shape)


Function = Affine | Named | Power | Quantile | UserFunction

ELEMENTARY: dict[str, tuple[Callable, Callable]] = {
    "log1p": (np.log1p, np.expm1),
    "expm1": (np.expm1, np.log1p),
    "log": (np.log, np.exp),
    "exp": (np.exp, np.log),
    "log2": (np.log2, np.exp2),
    "exp2": (np.exp2, np.log2),
    "log10": (np.log10, lambda z: np.power(10.0, z)),
    "sqrt": (np.sqrt, np.square),
    "square": (np.square, np.sqrt),
    "cbrt": (np.cbrt, lambda z: np.power(z, 3)),
    "arcsinh": (np.arcsinh, np.sinh),
    "sinh": (np.sinh, np.arcsinh),
}


def elementary(function: Any) -> Named | None:
    """Return the serializable form of a numpy function, or None if it has none."""
    for name, (forward, _) in ELEMENTARY.items():
        if function is forward:
            return Named(name)
    return None


def append(chain: tuple[Function, ...], function: Function) -> tuple[Function, ...]:
    """Return a chain of functions with one more at its end; neighboring affine ones merge."""
    if isinstance(function, Affine):
        if chain and isinstance(chain[-1], Affine):
            first = chain[-1]
            function = Affine(
                function.scale * first.scale, function.scale * first.offset + function.offset
            )
            chain = chain[:-1]
        if function.scale == 1.0 and function.offset == 0.0:
            return chain
    return (*chain, function)


def forward(chain: tuple[Function, ...], x: np.ndarray) -> np.ndarray:
    """Apply a chain of functions to float64 values."""
    with np.errstate(all="ignore"):
        for function in chain:
            x = function.forward(x)
    return x


def inverse(chain: tuple[Function, ...], z: np.ndarray) -> np.ndarray:
    """Undo a chain of functions."""
    with np.errstate(all="ignore"):
        for function in reversed(chain):
            z = function.inverse(z)
    return z


def increasing(chain: tuple[Function, ...]) -> bool:
    """Tell whether a chain of monotone functions grows."""
    falling = [f for f in chain if not _grows(f)]
    return len(falling) % 2 == 0


def read_user_function(transformer: Any, values: np.ndarray) -> Function:
    """Read a ``FunctionTransformer`` as a monotone function of one column, checked on values.

    Parameters
    ----------
    transformer : FunctionTransformer
        With a ``func`` that is not None.
    values : float64 ndarray of shape (n,)
        What the function gets; gaps are left out.

    Raises
    ------
    FeatureSpaceError
        There is no inverse, or on these values the pair is not monotone and inverse.
    """
    arguments = dict(transformer.kw_args or {})
    function: Function | None = None if arguments else elementary(transformer.func)
    if function is None:
        if transformer.inverse_func is None:
            raise FeatureSpaceError(
                "its function has no inverse. Give inverse_func=, or use one of numpy's "
                f"{', '.join(sorted(ELEMENTARY))}."
            )
        function = UserFunction(
            transformer.func,
            transformer.inverse_func,
            arguments,
            dict(transformer.inv_kw_args or {}),
        )
    x = np.unique(values[~np.isnan(values)])
    try:
        z = forward((function,), x)
        back = inverse((function,), z)
    except Exception as error:  # a user's own function, which may raise anything
        raise FeatureSpaceError(
            f"its function fails on a single column ({error}). Use an elementwise function."
        ) from error
    if not np.all(np.isfinite(z)):
        raise FeatureSpaceError("its function is not finite on all values of the column.")
    steps = np.diff(z)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise FeatureSpaceError("its function is neither increasing nor decreasing.")
    if not np.allclose(back, x, rtol=1e-6, atol=1e-9):
        raise FeatureSpaceError("inverse_func does not undo func on the values of the column.")
    if isinstance(function, UserFunction):
        function = replace(function, increasing=bool(np.all(steps > 0)))
    return function


def _grows(function: Function) -> bool:
    if isinstance(function, Affine):
        return function.scale > 0
    return function.increasing if isinstance(function, UserFunction) else True


def function_from_dict(data: dict[str, Any]) -> Function:
    """Rebuild a function from its ``to_dict``."""
    name = data["name"]
    if name == Affine.name:
        return Affine(data["scale"], data["offset"])
    if name == Power.name:
        return Power(data["method"], data["lambda"])
    if name == Quantile.name:
        return Quantile(
            np.asarray(data["quantiles"]), np.asarray(data["references"]), data["normal"]
        )
    if name not in ELEMENTARY:
        raise FeatureSpaceError(f"name={name!r} is no known function; known: {sorted(ELEMENTARY)}.")
    return Named(name)


def _special() -> Any:
    """Import SciPy on first use: most models are served without it."""
    from scipy import special

    return special
