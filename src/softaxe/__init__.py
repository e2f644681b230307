"""A complete Bitaxe in software: real wires, modelled metal."""

from typing import TYPE_CHECKING, Any

from softaxe.device.device import Device
from softaxe.simulation import Simulation
from softaxe.stratum.pool import Pool

if TYPE_CHECKING:
    from softaxe.testing.run import running

__version__ = "0.1.0"

__all__ = ["Device", "Pool", "Simulation", "__version__", "running"]


def __getattr__(name: str) -> Any:
    # Brings the whole shell with it, so it is imported by those who use it.
    if name == "running":
        from softaxe.testing.run import running  # noqa: PLC0415

        return running
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
