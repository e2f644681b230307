"""A complete Bitaxe in software: real wires, modelled metal."""

from softaxe.device.device import Device
from softaxe.simulation import Simulation
from softaxe.stratum.pool import Pool

__version__ = "0.1.0"

__all__ = ["Device", "Pool", "Simulation", "__version__"]
