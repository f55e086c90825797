"""The device that networks are trained on; inference is on the CPU, in float64."""

from __future__ import annotations

import torch

_REMEDY = 'Give "cpu", "cuda", "cuda:0" (or another index) or "auto".'


def training_device(name: str) -> torch.device:
    """Return the device that a ``device`` parameter names.

    Parameters
    ----------
    name : str
        ``"auto"`` takes a CUDA device where there is one.

    Raises
    ------
    ValueError
        There is no such device, or networks are not trained on its kind.

    Examples
    --------
    >>> training_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is no device. {_REMEDY}") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device={name!r} is not supported. {_REMEDY}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={name!r} is not there: torch sees {torch.cuda.device_count()} CUDA devices. "
            'Give device="auto" or device="cpu".'
        )
    return device


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator on a device: the given one on the CPU, else one of the same seed."""
    if device.type == "cpu":
        return generator
    return torch.Generator(device).manual_seed(generator.initial_seed())
