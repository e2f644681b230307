from pathlib import Path

import pytest
from tests.each import each

from softaxe.board.radio import AuthMode, Network
from softaxe.errors import SettingError
from softaxe.fleet.networks import read_networks


def write(folder: Path, text: str) -> Path:
    path = folder / "networks.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_networks_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [[network]]
        ssid = "HomeNET"
        password = "correct horse"
        rssi_dbm = -52

        [[network]]
        ssid = "Café"

        [[network]]
        ssid = "Other"
        authmode = "wpa3"
        dhcp = false
        """,
    )

    assert read_networks(path) == (
        Network("HomeNET", -52, AuthMode.WPA2_PSK, "correct horse"),
        Network("Café", None, AuthMode.OPEN),
        Network("Other", None, AuthMode.WPA3_PSK, has_dhcp=False),
    )


@each(
    ("text", "reason"),
    [
        ("[[network]]\n", "network 1: ssid: '' is no name of 1 to 32 bytes"),
        ("[[network]]\nssid = 5\n", "ssid: 5 is no name"),
        (
            '[[network]]\nssid = "a"\npassword = "short"\n',
            "password: not 8 to 63 bytes",
        ),
        (
            '[[network]]\nssid = "a"\nrssi_dbm = 20\n',
            r"rssi_dbm: 20 is no whole number of -100\.\.-10 dBm",
        ),
        ('[[network]]\nssid = "a"\nauthmode = "wep"\n', "'wep' is none of open, wpa,"),
        ('[[network]]\nssid = "a"\nchannel = 5\n', "channel is none of ssid,"),
        ('[[network]]\nssid = "a"\ndhcp = 1\n', "dhcp: 1 is neither true nor false"),
        ("[other]\n", "other is none of network"),
        ("[[network", "networks.toml: "),
    ],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        read_networks(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml"):
        read_networks(tmp_path / "none.toml")
