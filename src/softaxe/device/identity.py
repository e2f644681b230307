"""What tells one device from another on a network."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

OUI = bytes.fromhex("10f512")
"""First three bytes of every MAC address; those of the page's sample."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells this device from another on the network."""

    mac: bytes
    """Six bytes of the station interface."""
    ipv4: str
    ipv6: str
    """Link-local, as the firmware prints it: upper case."""

    @classmethod
    def from_seed(cls, seed: int, ipv4: str) -> Self:
        """Make the addresses of a device; the same seed gives the same."""
        mac = OUI + sha256(f"mac {seed}".encode()).digest()[:3]
        # EUI-64: universal bit flipped, ff:fe in the middle. Source: RFC 4291.
        eui = bytes([mac[0] ^ 0x02]) + mac[1:3] + b"\xff\xfe" + mac[3:]
        groups = [int.from_bytes(eui[i : i + 2]) for i in range(0, 8, 2)]
        ipv6 = "FE80::" + ":".join(f"{group:X}" for group in groups)
        return cls(mac, ipv4, ipv6)

    @property
    def mac_text(self) -> str:
        """The MAC address in upper case with colons."""
        return self.mac.hex(":").upper()
