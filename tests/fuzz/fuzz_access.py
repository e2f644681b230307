"""Who may speak to a device, by address, Origin and Host."""

from softaxe.api.access import inet_addr, is_allowed
from softaxe.device.profile import DOCUMENTED, FIRMWARE

CORPUS = [
    b"192.168.1.7\0http://192.168.1.9/\0bitaxe.local:80",
    b"::ffff:127.0.0.1\0http://localhost:3000\0[::1]:8080",
    b"10.0.0.1\0http://0x0a000001\0010.1",
    b"8.8.8.8\0https://evil.example\0127.0.0.1:80",
]
RUNS = 1000


def one_input(data: bytes) -> None:
    client, origin, host, *_ = [*data.decode("latin-1").split("\0"), "", "", ""]
    for profile in (DOCUMENTED, FIRMWARE):
        for is_ap_enabled in (False, True):
            is_allowed(
                client,
                origin or None,
                host or None,
                profile=profile,
                hostname="bitaxe",
                is_ap_enabled=is_ap_enabled,
            )
    inet_addr(origin)
    assert not is_allowed(
        "8.8.8.8",
        origin,
        host,
        profile=DOCUMENTED,
        hostname="bitaxe",
        is_ap_enabled=False,
    )
