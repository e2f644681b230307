"""A complete Bitaxe in software: real wires, modelled metal."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softaxe.client.axeos import AsyncAxeOS, AxeOS
    from softaxe.device.device import Device
    from softaxe.simulation import Simulation
    from softaxe.stratum.pool import Pool
    from softaxe.testing.run import running

__version__ = "0.1.0"

__all__ = [
    "AsyncAxeOS",
    "AxeOS",
    "Device",
    "Pool",
    "Simulation",
    "__version__",
    "running",
]

_HOMES = {
    "AsyncAxeOS": "softaxe.client.axeos",
    "AxeOS": "softaxe.client.axeos",
    "Device": "softaxe.device.device",
    "Pool": "softaxe.stratum.pool",
    "Simulation": "softaxe.simulation",
    "running": "softaxe.testing.run",
}
"""Imported by those who use them: every pytest run loads the plugin, and so this."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
