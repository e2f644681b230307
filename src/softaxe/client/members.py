"""What stands inside of answers: arrays and objects, with the members as JSON has them.

A member that a firmware version does not have is None.
"""

from msgspec import Struct


class Rejection(Struct, frozen=True):
    """Why shares were rejected."""

    message: str | None = None
    count: int | None = None


class CoinbaseOutput(Struct, frozen=True):
    """Whom a block pays."""

    value: float | None = None
    """In satoshis."""
    address: str | None = None


class Partition(Struct, frozen=True, kw_only=True):
    """A partition for applications; of an empty one only what it is."""

    label: str | None = None
    isCurrent: bool | None = None
    isFactory: bool | None = None
    version: str | None = None
    compileDate: str | None = None
    compileTime: str | None = None
    usagePercent: float | None = None


class Chip(Struct, frozen=True, kw_only=True):
    """Counters of a chip."""

    total: float | None = None
    """In GH/s."""
    domains: list[float] | None = None
    """In GH/s."""
    errorCount: float | None = None


class HashrateMonitor(Struct, frozen=True):
    """Counters of every chip."""

    asics: list[Chip] = []


class Pool(Struct, frozen=True, kw_only=True):
    """A pool to mine at: a slot of 2.15 and later, or the primary or fallback one."""

    id: int
    """Of the slot; before 2.15, 0 is the primary pool and 1 the fallback."""
    stratumProtocol: str | None = None
    """`SV1` or `SV2`."""
    stratumURL: str | None = None
    stratumPort: int | None = None
    stratumUser: str | None = None
    stratumPassword: str | None = None
    """Asterisks, where it is told of at all."""
    stratumSuggestedDifficulty: float | None = None
    stratumExtranonceSubscribe: bool | None = None
    stratumTLS: int | None = None
    """0 none, 1 with known authorities, 2 with `stratumCert`."""
    stratumCert: str | None = None
    stratumDecodeCoinbase: bool | None = None
    stratumV2ChannelType: str | None = None
    stratumV2AuthorityPubkey: str | None = None
    stratumV2RequireAuth: bool | None = None
