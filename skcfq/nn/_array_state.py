"""Networks that are pickled as settings and numpy arrays, so that skops can write them too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

import torch
from torch import nn


class ArrayState(ABC):
    """Mixin of a module whose constructor arguments and tensors are its whole state."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""

    def __getstate__(self) -> dict[str, Any]:
        """Return settings, arrays and modes; no tensor."""
        module = cast(nn.Module, self)
        arrays = {name: one.detach().cpu().numpy() for name, one in module.state_dict().items()}
        return {
            "settings": self._settings(),
            "arrays": {name: array.copy() for name, array in arrays.items()},
            "training": module.training,
            "requires_grad": any(one.requires_grad for one in module.parameters()),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the module anew, and leave torch's global generator as it was."""
        module = cast(nn.Module, self)
        with torch.random.fork_rng(devices=[]):
            self.__init__(**state["settings"])  # type: ignore[misc]  # a fresh build
        tensors = {name: torch.from_numpy(array) for name, array in state["arrays"].items()}
        module.to(next(one.dtype for one in tensors.values() if one.is_floating_point()))
        module.load_state_dict(tensors)
        module.train(state["training"]).requires_grad_(state["requires_grad"])
