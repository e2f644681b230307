"""What a pool is to be spoken to in, and whether softaxe can.

It knows Stratum v1 over plain TCP alone. A pool that is configured for more is not
dialled: user and password would go to it in the clear.
"""

POOL_UNREACHABLE = "SV2: Pool unreachable"
"""`poolConnectionInfo` of a Stratum v2 pool that cannot be dialled."""


def unspoken(*, url: str = "", tls: int = 0, protocol: str = "SV1") -> str:
    """Name what softaxe would have to speak to a pool and does not; empty for nothing.

    Args:
        url: A host, or with a scheme: `stratum+ssl://`, `stratum+tls://` and the like
            mean TLS, one with a 2 Stratum v2.
        tls: As in `stratumTLS`; 0 is none.
        protocol: As in `stratumProtocol`: `SV1` or `SV2`.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if protocol == "SV2" or "2" in scheme:
        return "Stratum v2"
    if tls or "ssl" in scheme or "tls" in scheme:
        return "TLS"
    return ""
