"""What each kind of chip wants between reset and its first work, as a table.

One row per chip: register writes, and the steps that need to know the chain or take
time. A chip joins by a row here and one in `frames.WIRES`. Source: ESP-Miner bm13xx.c.
"""

from enum import Enum, auto

from msgspec import Struct

from softaxe.asic.frames import Register


class Step(Enum):
    """A step that is more than fixed writes."""

    VERSION_MASK = auto()
    ENUMERATE = auto()
    """Ask for the chips and wait for their answers."""
    INACTIVE = auto()
    ADDRESSES = auto()
    """Give every detected chip its address."""
    TICKET_MASK = auto()
    RAMP = auto()
    HASH_COUNTING = auto()
    FASTEST_BAUD = auto()
    """Switch the baud rate in the middle of the startup."""
    LAST_IO_STRENGTH = auto()
    """Drive the end of the chain harder."""


class Write(Struct, frozen=True):
    """Write one register of one chip, or of all."""

    register: Register
    value: int
    address: int | None = None


class PerChip(Struct, frozen=True):
    """Write registers chip after chip."""

    writes: tuple[tuple[Register, int], ...]
    pause_s: float = 0.0
    """After each chip."""


class Pause(Struct, frozen=True):
    """Wait."""

    seconds: float


StartupStep = Step | Write | PerChip | Pause

_BM1397: tuple[StartupStep, ...] = (
    Step.ENUMERATE,
    Pause(0.02),
    Step.INACTIVE,
    Step.ADDRESSES,
    Write(Register.CLOCK_ORDER_0, 0x00000000),
    Write(Register.CLOCK_ORDER_1, 0x00000000),
    Write(Register.ORDERED_CLOCK, 0x00000001),
    Write(Register.CORE_CONTROL, 0x80008074),
    Step.TICKET_MASK,
    Write(Register.PLL3, 0xC0700111),
    Write(Register.FAST_UART, 0x0600000F),
    Write(Register.MISC_CONTROL, 0x00007A31),
    Step.RAMP,
)
_BM1366: tuple[StartupStep, ...] = (
    *[Step.VERSION_MASK] * 3,
    Step.ENUMERATE,
    Write(Register.SOFT_RESET, 0x00070000),
    Write(Register.MISC_CONTROL, 0xFF0FC100),
    Step.INACTIVE,
    Step.ADDRESSES,
    Write(Register.CORE_CONTROL, 0x80008540),
    Write(Register.CORE_CONTROL, 0x80008020),
    Step.TICKET_MASK,
    Write(Register.ANALOG_MUX, 0x00000003),
    Write(Register.IO_STRENGTH, 0x02111111),
    Write(Register.UNNAMED_2C, 0x007C0003, address=0),
    PerChip(
        (
            (Register.SOFT_RESET, 0x000701F0),
            (Register.MISC_CONTROL, 0xF000C100),
            (Register.CORE_CONTROL, 0x80008540),
            (Register.CORE_CONTROL, 0x80008020),
            (Register.CORE_CONTROL, 0x800082AA),
        )
    ),
    Step.RAMP,
    Step.HASH_COUNTING,
    Step.VERSION_MASK,
)
_BM1368: tuple[StartupStep, ...] = (
    *[Step.VERSION_MASK] * 4,
    Step.ENUMERATE,
    Step.INACTIVE,
    Write(Register.SOFT_RESET, 0x00070000),
    Write(Register.MISC_CONTROL, 0xFF0FC100),
    Write(Register.CORE_CONTROL, 0x80008B00),
    Write(Register.CORE_CONTROL, 0x80008018),
    Write(Register.TICKET_MASK, 0x000000FF),
    Write(Register.ANALOG_MUX, 0x00000003),
    Write(Register.IO_STRENGTH, 0x02111111),
    Step.ADDRESSES,
    PerChip(
        (
            (Register.SOFT_RESET, 0x000701F0),
            (Register.MISC_CONTROL, 0xF000C100),
            (Register.CORE_CONTROL, 0x80008B00),
            (Register.CORE_CONTROL, 0x80008018),
            (Register.CORE_CONTROL, 0x800082AA),
        ),
        pause_s=0.5,
    ),
    Step.TICKET_MASK,
    Step.RAMP,
    Step.HASH_COUNTING,
    Step.VERSION_MASK,
)
_BM1370: tuple[StartupStep, ...] = (
    *[Step.VERSION_MASK] * 3,
    Step.ENUMERATE,
    Step.VERSION_MASK,
    Write(Register.SOFT_RESET, 0x00070000),
    Write(Register.MISC_CONTROL, 0xF000C100),
    Step.INACTIVE,
    Step.ADDRESSES,
    Write(Register.CORE_CONTROL, 0x80008B00),
    Write(Register.CORE_CONTROL, 0x8000800C),
    Step.TICKET_MASK,
    Write(Register.IO_STRENGTH, 0x00011111),
    PerChip(
        (
            (Register.SOFT_RESET, 0x000701F0),
            (Register.MISC_CONTROL, 0xF000C100),
            (Register.CORE_CONTROL, 0x80008B00),
            (Register.CORE_CONTROL, 0x8000800C),
            (Register.CORE_CONTROL, 0x800082AA),
        )
    ),
    Write(Register.MISC_B9, 0x00004480),
    Write(Register.ANALOG_MUX, 0x00000002),
    Write(Register.MISC_B9, 0x00004480),
    Write(Register.CORE_CONTROL, 0x80008DEE),
    Step.RAMP,
    Step.HASH_COUNTING,
)

_BM1373: tuple[StartupStep, ...] = (
    Step.ENUMERATE,
    Step.INACTIVE,
    Pause(0.01),
    Step.ADDRESSES,
    Pause(0.01),
    Write(Register.CORE_CONTROL, 0x80008D04),
    Step.TICKET_MASK,
    Write(Register.IO_STRENGTH, 0x00011111),
    Step.LAST_IO_STRENGTH,
    Write(Register.PLL3, 0x5AA55AA5),
    Pause(0.01),
    Write(Register.AUTO_WORK, 0x00000000),
    Step.FASTEST_BAUD,
    Pause(0.01),
    Write(Register.SOFT_RESET, 0xF00701F0),
    Pause(0.02),
    Write(Register.MISC_CONTROL, 0xFF00C100),
    Write(Register.MISC_CONTROL_ADD, 0x00000000),
    Write(Register.CORE_CONTROL, 0x80008B00),
    Pause(0.01),
    Write(Register.CORE_CONTROL, 0x8000805A),
    Pause(0.01),
    Write(Register.CORE_CONTROL, 0x800082AA),
    Pause(0.01),
    Write(Register.ANALOG_MUX, 0x00000002),
    Step.RAMP,
    Step.HASH_COUNTING,
    Step.VERSION_MASK,
)

STARTUP: dict[str, tuple[StartupStep, ...]] = {
    "BM1397": _BM1397,
    "BM1366": _BM1366,
    "BM1368": _BM1368,
    "BM1370": _BM1370,
    "BM1372/BM1373": _BM1373,
}
"""By chip name; the switch to the fast baud rate follows, unless it is
among the steps."""
