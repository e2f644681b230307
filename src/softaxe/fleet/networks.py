"""Reads the Wi-Fi networks in range from a TOML file.

[[network]]
ssid = "HomeNET"
password = "correct horse"
rssi_dbm = -52
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct, field

from softaxe.board.radio import AuthMode, Network
from softaxe.description import about, read, shown
from softaxe.errors import SettingError, read_as
from softaxe.fleet.groups import read_toml

AUTHMODES = {
    "open": AuthMode.OPEN,
    "wpa": AuthMode.WPA_PSK,
    "wpa2": AuthMode.WPA2_PSK,
    "wpa/wpa2": AuthMode.WPA_WPA2_PSK,
    "wpa3": AuthMode.WPA3_PSK,
    "wpa2/wpa3": AuthMode.WPA2_WPA3_PSK,
}
SSID_BYTES = 32
PASSWORD_BYTES = range(8, 64)
MOST_NETWORKS = 100


def _ssid_of(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.encode()) <= SSID_BYTES:
        raise SettingError(f"{shown(value)} is no name of 1 to {SSID_BYTES} bytes")
    return value


def _password_of(value: object) -> str:
    size = len(value.encode()) if isinstance(value, str) else -1
    if size != 0 and size not in PASSWORD_BYTES:
        raise SettingError("not 8 to 63 bytes")
    return str(value)


class WifiNetwork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Wi-Fi network in range."""

    ssid: Annotated[str, about("Its name.", length=(1, SSID_BYTES), read=_ssid_of)]
    password: Annotated[
        str, about("8 to 63 bytes; none when open.", read=_password_of)
    ] = ""
    rssi_dbm: Annotated[
        Annotated[int, about(within=(-100, -10), unit="dBm")] | None,
        about("Signal; by distance and chance when left out."),
    ] = None
    authmode: Annotated[
        Literal["open", "wpa", "wpa2", "wpa/wpa2", "wpa3", "wpa2/wpa3"] | None,
        about(
            "wpa2 with a password and open without one when left out; a device that "
            "has a password stored joins neither wpa nor open."
        ),
    ] = None
    has_dhcp: Annotated[bool, about("Whether it gives devices an address.")] = field(
        default=True, name="dhcp"
    )

    def __post_init__(self) -> None:
        if self.authmode == "open" and self.password:
            raise SettingError("authmode: open networks have no password")


class NetworksFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Wi-Fi networks in range."""

    network: Annotated[tuple[WifiNetwork, ...], about(length=(0, MOST_NETWORKS))] = ()


def read_networks(path: Path) -> tuple[Network, ...]:
    """Read a file of networks.

    Raises:
        SettingError: It cannot be read, or a value is not allowed; says which.
    """
    data = read_toml(path)
    file: NetworksFile = read_as(str(path), lambda v: read(NetworksFile, v), data)
    return tuple(_network(one) for one in file.network)


def _network(one: WifiNetwork) -> Network:
    authmode = one.authmode or ("wpa2" if one.password else "open")
    mode = AUTHMODES[authmode]
    return Network(one.ssid, one.rssi_dbm, mode, one.password, one.has_dhcp)
