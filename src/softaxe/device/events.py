"""What a device tells its surroundings.

Requests are imperative: who drives the device (`softaxe.serve`) carries them
out. Facts are past tense: they may be watched or ignored.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field

from softaxe.device.setting_rules import Value


class Link(StrEnum):
    """Which of the device's two pool connections is meant."""

    MAIN = "main"
    PROBE = "probe"
    """The heartbeat's short look at the primary pool."""


LINKS = tuple(Link)
"""Walking through an enumeration is slow, and every step of a device does."""


class CloseReason(StrEnum):
    """Why a pool connection is not, or no longer, there."""

    UNRESOLVED = "unresolved"
    """The host name has no address."""
    UNREACHABLE = "unreachable"
    """The address does not take the connection."""
    UNSPOKEN = "unspoken"
    """It wants what the release does not speak, and is not dialled."""
    INSECURE = "insecure"
    """No TLS came about: its certificate is not trusted, or it speaks none."""
    CLOSED = "closed"
    """The pool closed it, or reading failed."""
    WRITE_FAILED = "write failed"
    """Sending took too long or failed."""


class ConnectPool(Struct, frozen=True):
    """Request: open a connection, plain TCP or TLS.

    The answer is `pool_resolved` before an address is tried, and in the end
    `pool_connected` or `pool_closed`.
    """

    link: Link
    host: str
    port: int
    addresses: Literal["ipv4 only", "ipv6", "ipv4"] = "ipv6"
    """Which of the host's are tried first, or alone."""
    timeout_s: float | None = None
    """Seconds until an address counts as unreachable; None for the usual ones."""
    keepalive: tuple[int, int, int] | None = None
    """TCP's own questions: seconds before the first, between two, and how many."""
    trusted: str | None = None
    """TLS, by the host's name: the certificates, as PEM, that alone are trusted, or
    empty for the known authorities. None is plain text."""
    is_v2: bool = False
    """Stratum v2 is spoken."""


class ClosePool(Struct, frozen=True):
    """Request: close the connection; no answer is expected."""

    link: Link


class SaveSettings(Struct, frozen=True):
    """Request: store these rows in one transaction."""

    rows: Mapping[str, str | int | float | None]
    """Values by NVS key: all that were set, also those that had them already.

    None is stored no longer.
    """
    rows_before: Mapping[str, str | int | float | None] = field(default_factory=dict)
    """What NVS had; with `values_before` what to return to with
    `Device.settings_not_saved` when storing fails."""
    values_before: Mapping[str, Value] = field(default_factory=dict)
    """What was in force, by Python name."""


class SaveFlash(Struct, frozen=True):
    """Request: store the flash's contents table in one transaction."""

    rows: Mapping[str, str | int]
    previous: Mapping[str, str | int] | None
    """What to return to with `Device.flash_not_saved` when storing fails.

    None after a boot: from what is stored the boot loader chooses the same again.
    """
    previous_www: Mapping[str, bytes] | None
    """Files of the www image before."""


class WentDown(Struct, frozen=True):
    """Fact: the device restarts; it answers nothing until `CameUp`."""


class CameUp(Struct, frozen=True):
    """Fact: the device is on the network (again)."""


class Booted(Struct, frozen=True):
    """Fact: the boot loader has started a firmware, perhaps another than before."""


class ShareAccepted(Struct, frozen=True):
    """Fact: the pool accepted a share."""


class ShareRejected(Struct, frozen=True):
    """Fact: the pool rejected a share."""

    reason: str


class BlockFound(Struct, frozen=True):
    """Fact: a nonce was better than the network difficulty."""

    difficulty: float


class Overheated(Struct, frozen=True):
    """Fact: the protection switched the chip off."""

    chip_c: float
    vr_c: float


Event = (
    ConnectPool
    | ClosePool
    | SaveSettings
    | SaveFlash
    | WentDown
    | CameUp
    | Booted
    | ShareAccepted
    | ShareRejected
    | BlockFound
    | Overheated
)
