"""In what a pool is to be spoken to, and whether a release can.

What asks for encryption is never spoken to in plain text: user and password would go
out in the clear.
"""

from enum import IntEnum

from softaxe.catalog.firmware.rows import Rows

POOL_UNREACHABLE = "SV2: Pool unreachable"
"""`poolConnectionInfo` of a Stratum v2 pool that cannot be dialled."""
NEEDS_TLS = "it asks for TLS, which firmware has from 2.13 on"
NEEDS_V2 = "it asks for Stratum v2, which firmware has from 2.14 on"
_PLAIN = frozenset({"", "stratum+tcp", "stratum1+tcp", "stratum", "tcp"})


class Tls(IntEnum):
    """What `stratumTLS` may be, of firmware that has it."""

    OFF = 0
    AUTHORITIES = 1
    """Those that the firmware brings are trusted."""
    CERTIFICATE = 2
    """What `stratumCert` holds is trusted, and nothing else."""
    NEVER = 3
    """Can be set, and is no way to connect."""


def _scheme_of(url: str) -> str:
    """Return what stands before `://` of a pool's URL, in lower case."""
    return url.partition("://")[0].lower() if "://" in url else ""


def wants_tls(url: str) -> bool:
    """Tell whether a URL asks for TLS, as `stratum+ssl://` and `stratum+tls://` do."""
    scheme = _scheme_of(url)
    return not wants_v2(url) and ("ssl" in scheme or "tls" in scheme)


def wants_v2(url: str) -> bool:
    """Tell whether a URL asks for Stratum v2, as `stratum2+tcp://` does."""
    return "2" in _scheme_of(url)


def refused(url: str, rows: Rows) -> str:
    """Tell why a release cannot do what a URL asks for; empty when it can."""
    if wants_v2(url):
        return "" if rows.has_stratum_v2 else NEEDS_V2
    if wants_tls(url):
        return "" if rows.has_tls else NEEDS_TLS
    scheme = _scheme_of(url)
    return "" if scheme in _PLAIN else f"no pool is spoken to in {scheme}"


def speaks_v2(url: str, protocol: str, rows: Rows) -> bool:
    """Tell whether a release speaks Stratum v2 to a pool.

    Args:
        url: Asks for it with some schemes; empty where schemes are not understood.
        protocol: As in `stratumProtocol`: `SV1` or `SV2`.
        rows: Of the release.
    """
    return rows.has_stratum_v2 and (protocol == "SV2" or wants_v2(url))


def authority_in(url: str) -> str:
    """Return the authority's key that pools put behind a URL of Stratum v2."""
    return url.partition("://")[2].partition("/")[2] if wants_v2(url) else ""


def tls_mode(url: str, tls: int, rows: Rows) -> Tls:
    """Return how a release encrypts a connection.

    Args:
        url: Asks for it with some schemes; empty where schemes are not understood.
        tls: As in `stratumTLS`.
        rows: Of the release.
    """
    mode = Tls(min(tls, Tls.NEVER)) if rows.has_tls else Tls.OFF
    return Tls.AUTHORITIES if mode is Tls.OFF and wants_tls(url) else mode
