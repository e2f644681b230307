"""What is wrong with a device, ordered by whoever tests with it.

A fault breaks the metal or the firmware's luck, never a reading: what the device shows
and does about it comes from the same physics and the same protection as ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

BLOCKED_FLOW = 0.08
"""Share of its air that a covered fan still moves; an estimate."""


class Sensor(StrEnum):
    """What can stick."""

    CHIP = "chip"
    CHIP2 = "chip2"
    REGULATOR = "vr"


class UpdateFault(StrEnum):
    """How a firmware update goes wrong."""

    REFUSED = "refused"
    """Flash cannot be written."""
    ROLLED_BACK = "rolled back"
    """The new image does not come up, so the old one runs again."""


@dataclass(frozen=True, slots=True)
class DeviceFaults:
    """Everything that is wrong at present."""

    ambient_c: float | None = None
    """The air, instead of what it would be."""
    dead_fans: frozenset[int] = frozenset()
    """Numbers, from 1."""
    blocked_fans: frozenset[int] = frozenset()
    first_dead_chip: int | None = None
    """From 1; those behind it on the chain are out of reach."""
    weak_chips_v: Mapping[int, float] = field(default_factory=dict)
    """Volts more that a chip needs, by number from 1."""
    has_no_plug: bool = False
    """The barrel plug is out; noticed at boot, by boards that sense it."""
    has_regulator_fault: bool = False
    sag_v: float = 0.0
    """What the supply is short of."""
    stuck_c: Mapping[Sensor, float] = field(default_factory=dict)
    has_no_wifi: bool = False
    reboot_period_s: float | None = None
    heap_leak_bytes_per_s: float = 0.0
    update: UpdateFault | None = None
    is_block_next: bool = False
    """The built-in pool lets the next share be one: it counts as so much better."""


NO_FAULTS = DeviceFaults()
