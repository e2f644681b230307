"""What tells one device from another on a network."""

from typing import Self

from msgspec import Struct

MAX_SEED = 1 << 24
"""MAC addresses are distinct for seeds below."""
OUI = bytes.fromhex("10f512")
"""First three bytes of every MAC address; those of the page's sample."""
SPREAD = 0x9E3779
FIRST = 0x33BBF0
"""The rest of the sample's address, which seed 0 gets."""


class Identity(Struct, frozen=True):
    """What tells this device from another on the network."""

    mac: bytes
    """Six bytes of the station interface."""
    ipv4: str
    ipv6: str
    """Link-local, as the firmware prints it: upper case."""

    @classmethod
    def from_seed(cls, seed: int, ipv4: str) -> Self:
        """Make the addresses of a device; the same seed gives the same."""
        # An odd factor maps all 2**24 seeds to different addresses.
        low = (seed * SPREAD + FIRST) % (1 << 24)
        mac = OUI + low.to_bytes(3)
        # EUI-64: universal bit flipped, ff:fe in the middle. Source: RFC 4291.
        eui = bytes([mac[0] ^ 0x02]) + mac[1:3] + b"\xff\xfe" + mac[3:]
        groups = [int.from_bytes(eui[i : i + 2]) for i in range(0, 8, 2)]
        ipv6 = "FE80::" + ":".join(f"{group:X}" for group in groups)
        return cls(mac, ipv4, ipv6)

    @property
    def mac_text(self) -> str:
        """The MAC address in upper case with colons."""
        return self.mac.hex(":").upper()

    @property
    def hostname(self) -> str:
        """The factory's name with the last two bytes of the MAC address."""
        return f"bitaxe-{self.mac[4:].hex()}"
