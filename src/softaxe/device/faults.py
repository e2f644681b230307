"""What is wrong with a device, ordered by whoever tests with it.

A fault breaks the metal or the firmware's luck, never a reading: what the device shows
and does about it comes from the same physics and the same protection as ever.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from softaxe.asic.chip import Defects
from softaxe.catalog import Board

BLOCKED_FLOW = 0.08
"""Share of its air that a covered fan still moves; an estimate."""


class Sensor(StrEnum):
    """What can stick."""

    CHIP = "chip"
    CHIP2 = "chip2"
    REGULATOR = "vr"


class Instrument(StrEnum):
    """What may be there no more, or answer no more."""

    CHIP = "chip"
    CHIP2 = "chip2"
    REGULATOR = "vr"
    POWER = "power"
    """The TPS546 or INA260, whichever measures power."""
    FAN = "fan"
    """What counts the fans' pulses."""


PARTS: Mapping[str, Callable[[Board, Any], bool]] = {
    "chip": lambda board, number: number <= board.asic_count,
    "domain": lambda board, number: number <= board.chip.hash_domains,
    "fan": lambda board, number: number <= board.fan_count,
    "sensor": lambda board, name: (
        (name != Sensor.CHIP2 or board.sensor_count > 1)
        and (name != Sensor.REGULATOR or board.has_tps546)
    ),
}
"""Whether a board has the part, by what an effect calls it and its number from 1 or its
name."""


def has_part(board: Board, part: str, which: float | str) -> bool:
    """True when a board has the chip, domain, fan or sensor that is to break.

    Args:
        board: Of the device.
        part: What an effect calls it; what names no part is there.
        which: Its number, from 1, or a sensor's name.
    """
    return part not in PARTS or PARTS[part](board, which)


class UpdateFault(StrEnum):
    """How a firmware update goes wrong."""

    REFUSED = "refused"
    """Flash cannot be written."""
    ROLLED_BACK = "rolled back"
    """The new image does not come up, so the old one runs again."""


class DeviceFaults(Struct, frozen=True):
    """Everything that is wrong at present."""

    ambient_c: float | None = None
    """The air, instead of what it would be."""
    dead_fans: frozenset[int] = frozenset()
    """Numbers, from 1."""
    blocked_fans: frozenset[int] = frozenset()
    dead_tachometers: frozenset[int] = frozenset()
    """Fans that turn and tell nothing of it."""
    is_fan_controller_dead: bool = False
    """What turns the fans answers no more."""
    first_dead_chip: int | None = None
    """From 1; those behind it on the chain are out of reach."""
    weak_chips_v: Mapping[int, float] = field(default_factory=dict)
    """Volts more that a chip needs, by number from 1."""
    dead_domains: frozenset[tuple[int, int]] = frozenset()
    """Chips and their domains that find nothing, both from 1."""
    counter_jumps: frozenset[tuple[int, int, float]] = frozenset()
    """Chips, their domains, and by how many hashes per second a poll is too high."""
    unstable: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """Errors and loss as shares of the hash rate, by number of the chip from 1."""
    has_no_plug: bool = False
    """The barrel plug is out; noticed at boot, by boards that sense it."""
    has_regulator_fault: bool = False
    sag_v: float = 0.0
    """What the supply is short of."""
    stuck_c: Mapping[Sensor, float] = field(default_factory=dict)
    absent: frozenset[Instrument] = frozenset()
    has_no_wifi: bool = False
    reboot_period_s: float | None = None
    heap_leak_bytes_per_s: float = 0.0
    update: UpdateFault | None = None
    is_www_erased: bool = False
    """Half of the page's partition is erased: no file system any more."""
    www_version: str | None = None
    """What the page in its partition says it is, instead of what it is."""

    def defects(self, chip: int) -> Defects:
        """What is wrong with a chip, by its number from 1."""
        dead = frozenset(domain - 1 for one, domain in self.dead_domains if one == chip)
        errors, loss = self.unstable.get(chip, (0.0, 0.0))
        return Defects(dead, errors=errors, loss=loss)


NO_FAULTS = DeviceFaults()
