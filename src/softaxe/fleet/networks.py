"""Reads the Wi-Fi networks in range from a TOML file.

    [[network]]
    ssid = "HomeNET"
    password = "correct horse"
    rssi_dbm = -52

`authmode` is one of those below; it is wpa2 with a password and open without one.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softaxe.board.radio import AuthMode, Network
from softaxe.errors import SettingError

AUTHMODES = {
    "open": AuthMode.OPEN,
    "wpa": AuthMode.WPA_PSK,
    "wpa2": AuthMode.WPA2_PSK,
    "wpa/wpa2": AuthMode.WPA_WPA2_PSK,
    "wpa3": AuthMode.WPA3_PSK,
    "wpa2/wpa3": AuthMode.WPA2_WPA3_PSK,
}
KEYS = ("ssid", "password", "rssi_dbm", "authmode", "dhcp")
SSID_BYTES = 32
PASSWORD_BYTES = range(8, 64)
RSSI_DBM = range(-100, -9)
MOST_NETWORKS = 100
MAX_FILE_BYTES = 1 << 20


def read_networks(path: Path) -> tuple[Network, ...]:
    """Read a file of networks.

    Raises:
        SettingError: It cannot be read, or a value is not allowed; says which.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingError(f"{path}: over {MAX_FILE_BYTES} bytes")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path}: {error}") from error
    except RecursionError as error:
        raise SettingError(f"{path}: nested too deeply") from error
    tables = data.get("network", [])
    if set(data) - {"network"} or not isinstance(tables, list):
        raise SettingError(f"{path}: holds more than [[network]] tables")
    if len(tables) > MOST_NETWORKS:
        raise SettingError(f"{path}: {len(tables)} networks, at most {MOST_NETWORKS}")
    return tuple(
        _network(table, f"{path}: network {number}")
        for number, table in enumerate(tables, 1)
    )


def _network(table: Mapping[str, Any], where: str) -> Network:
    for key in table:
        if key not in KEYS:
            raise SettingError(f"{where}: {key} is none of {', '.join(KEYS)}")
    ssid, password = table.get("ssid", ""), table.get("password", "")
    if not isinstance(ssid, str) or not 0 < len(ssid.encode()) <= SSID_BYTES:
        raise SettingError(f"{where}: ssid: {ssid!r} is no name of 1 to 32 bytes")
    if not isinstance(password, str) or (
        password and len(password.encode()) not in PASSWORD_BYTES
    ):
        raise SettingError(f"{where}: password: not 8 to 63 bytes")
    usual = "wpa2" if password else "open"
    authmode = table.get("authmode", usual)
    if authmode not in AUTHMODES:
        known = ", ".join(AUTHMODES)
        raise SettingError(f"{where}: authmode: {authmode!r} is none of {known}")
    if authmode == "open" and password:
        raise SettingError(f"{where}: authmode: open networks have no password")
    rssi_dbm = table.get("rssi_dbm")
    if rssi_dbm is not None and rssi_dbm not in RSSI_DBM:
        raise SettingError(f"{where}: rssi_dbm: {rssi_dbm!r} is outside -100..-10")
    has_dhcp = table.get("dhcp", True)
    if not isinstance(has_dhcp, bool):
        raise SettingError(f"{where}: dhcp: {has_dhcp!r} is neither true nor false")
    return Network(ssid, rssi_dbm, AUTHMODES[authmode], password, has_dhcp)
