import random
from itertools import pairwise

import pytest
from tests.each import each

from softaxe.board.radio import NETWORKS, AuthMode, Network, Radio
from softaxe.catalog.firmware import firmware

HOME = Network("home", -50, AuthMode.WPA2_PSK, "secret-words")
OPEN = Network("park", -70, AuthMode.OPEN)
SILENT = Network("silent", -60, AuthMode.WPA2_PSK, "secret-words", has_dhcp=False)
WPA = Network("attic", -55, AuthMode.WPA_PSK, "secret-words")
AROUND = (HOME, OPEN, SILENT, WPA, *NETWORKS)
UNSAFE = "No access point found in auth mode threshold (Error 211, retry #%d)"
LOCKED = "No access point found with compatible security (Error 210, retry #%d)"


def radio(
    ssid: str = "home", password: str = "secret-words", version: str = "2.12.2"
) -> tuple[Radio, list[str]]:
    lines: list[str] = []
    made = Radio(
        ssid,
        password,
        networks=AROUND,
        hostname="bitaxe",
        mac=bytes.fromhex("10f51233bbff"),
        ipv4="192.168.1.9",
        rows=firmware(version).rows,
        rng=random.Random(1),
        log=lambda level, tag, text: lines.append(text),
    )
    return made, lines


def run(made: Radio, until: float) -> None:
    while made.next_wake <= until:
        made.step(made.next_wake)


def test_joining_goes_through_its_states() -> None:
    made, lines = radio()
    made.start(0.0)
    seen = [made.status_text]
    for now in (1.5, 2.5, 3.5):
        run(made, now)
        seen.append(made.status_text)

    assert seen == ["Initializing...", "Connecting...", "Acquiring IP...", "Connected!"]
    assert lines[-3:] == [
        "IPv4 Address: 192.168.1.9",
        "Connected to SSID: home",
        "Configuration Access Point disabled",
    ]
    assert not any("secret-words" in line for line in lines)


def test_the_access_point_is_on_until_there_is_an_address() -> None:
    made, _ = radio()
    made.start(0.0)
    run(made, 2.9)
    assert made.is_ap_enabled
    assert made.rssi_dbm == -90

    run(made, 3.1)
    assert not made.is_ap_enabled
    assert -75 < made.rssi_dbm < -25
    assert made.ap_name == "Bitaxe_BB00"


def test_late_and_early_steps_end_as_punctual_ones_do() -> None:
    (punctual, _), (late, _) = radio(), radio()
    punctual.start(0.0)
    late.start(0.0)

    run(punctual, 60.0)
    late.step(0.5)
    assert late.status_text == "Initializing..."
    late.step(60.0)

    assert late.status_text == punctual.status_text == "Connected!"
    assert late.rssi_dbm == punctual.rssi_dbm
    assert late.next_wake == punctual.next_wake


def test_without_a_name_it_stays_an_access_point() -> None:
    made, lines = radio(ssid="")
    made.start(0.0)
    run(made, 1000.0)

    assert made.is_ap_enabled
    assert not made.is_connected
    assert lines == [
        "Configuration Access Point enabled",
        "No WiFi SSID provided, skipping connection",
    ]


def test_the_signal_wanders_but_stays_around_its_mean() -> None:
    made, _ = radio()
    made.start(0.0)
    seen = []
    for minute in range(200):
        run(made, 60.0 * minute)
        seen.append(made.rssi_dbm)

    assert len(set(seen[1:])) > 3
    assert max(seen[1:]) - min(seen[1:]) < 25


def test_a_scan_finds_the_home_network_and_its_neighbours() -> None:
    made, _ = radio()

    networks = made.scan()

    assert "home" in [network.ssid for network in networks]
    assert len(networks) > 3
    levels = [network.rssi_dbm for network in networks]
    assert levels == sorted(levels, reverse=True)


def test_a_scan_takes_longer_where_something_is_tried_meanwhile() -> None:
    made, _ = radio()
    made.start(0.0)
    assert made.scan_s == pytest.approx(3.1)
    run(made, 10.0)
    assert made.scan_s == pytest.approx(2.1)


def test_an_open_network_is_joined_without_a_password() -> None:
    made, lines = radio("park", "")
    made.start(0.0)
    run(made, 10.0)

    modes = {network.ssid: network.authmode for network in made.scan()}
    assert modes["park"] is AuthMode.OPEN
    assert "No Wi-Fi password provided, using open network" in lines
    assert made.is_connected


@each(
    ("ssid", "password", "text"),
    [
        ("home", "wrong-words", "Incorrect password entered (Error 15, retry #%d)"),
        ("nowhere", "secret-words", "No access point found (Error 201, retry #%d)"),
        ("home", "", LOCKED),
        ("attic", "", LOCKED),
        ("park", "secret-words", UNSAFE),
        ("attic", "secret-words", UNSAFE),
        (
            "Vodafone-4C18",
            "guess-guess",
            "Incorrect password entered (Error 15, retry #%d)",
        ),
    ],
)
def test_what_cannot_be_joined_is_told_and_tried_again(
    ssid: str, password: str, text: str
) -> None:
    made, lines = radio(ssid, password)
    made.start(0.0)
    seen = []
    for second in range(60):
        run(made, float(second))
        if made.status_text not in ("Initializing...", "Connecting..."):
            seen.append(made.status_text)

    assert list(dict.fromkeys(seen))[:3] == [text % number for number in range(3)]
    assert made.is_ap_enabled
    assert made.is_given_up
    assert not made.is_connected
    assert made.rssi_dbm == -90
    assert not any(password and password in line for line in lines)


@each(
    "mode", [mode for mode in AuthMode if mode not in (AuthMode.OPEN, AuthMode.WPA_PSK)]
)
def test_a_safe_namesake_is_joined_though_a_weaker_one_is_nearer(
    mode: AuthMode,
) -> None:
    made, _ = radio("attic", "secret-words")
    made.set_networks((WPA, Network("attic", -80, mode, "secret-words")), 0.0)
    made.start(0.0)
    run(made, 10.0)

    assert made.is_connected
    assert made.rssi_dbm < -70


def test_retries_come_five_seconds_after_a_failure() -> None:
    made, _ = radio("nowhere")
    made.start(0.0)
    run(made, 3.7)  # 1.2 s, and 2.5 s of looking for it
    assert made.status_text.startswith("No access point found")
    run(made, 8.6)
    assert made.status_text.startswith("No access point found")
    run(made, 8.8)
    assert made.status_text == "Connecting..."


def test_nothing_is_tried_again_while_a_client_is_on_the_access_point() -> None:
    made, lines = radio("home", "wrong-words")
    made.start(0.0)
    run(made, 5.3)
    refused = "Incorrect password entered (Error 15, retry #0)"
    assert made.status_text == refused

    for second in range(6, 60):
        made.note_client(float(second))
        run(made, float(second))
        wanted = refused if second < 11 else "Config AP connected!"
        assert made.status_text == wanted
    assert lines.count("Config AP connected!") == 1
    assert made.trouble == "Incorrect password entered", "also meanwhile"

    run(made, 59.0 + 30.0)
    assert made.status_text == "Connecting..."
    run(made, 95.0)
    assert made.status_text == "Incorrect password entered (Error 15, retry #1)"


def test_a_client_of_a_joined_device_changes_nothing() -> None:
    made, lines = radio()
    made.start(0.0)
    run(made, 20.0)
    made.note_client(20.0)
    made.set_networks([], 20.0)
    run(made, 60.0)

    assert "Config AP connected!" not in lines


def test_without_an_address_it_gives_up_after_thirty_seconds() -> None:
    made, _ = radio("silent")
    made.start(0.0)
    run(made, 32.0)
    assert made.status_text == "Acquiring IP..."
    run(made, 32.3)
    assert made.status_text == "IP Acquire Timeout"
    assert made.is_ap_enabled


def test_a_network_that_goes_is_missed_and_one_that_comes_is_joined() -> None:
    made, _ = radio()
    made.start(0.0)
    run(made, 20.0)
    made.set_networks([OPEN], 20.0)
    assert made.is_connected  # not noticed yet
    run(made, 26.1)
    assert not made.is_connected
    assert made.status_text == "Beacon timeout (Error 200, retry #0)"
    assert not made.is_ap_enabled  # it stays off
    run(made, 36.0)
    assert made.status_text == "No access point found (Error 201, retry #1)"

    made.set_networks(AROUND, 40.0)
    run(made, 50.0)
    assert made.is_connected
    assert made.status_text == "Connected!"


def test_a_network_back_in_time_is_not_missed() -> None:
    made, lines = radio()
    made.start(0.0)
    run(made, 20.0)
    made.set_networks([], 20.0)
    made.set_networks(AROUND, 23.0)
    run(made, 60.0)

    assert made.is_connected
    assert not any("timeout" in line for line in lines)


def test_the_button_switches_the_access_point() -> None:
    made, lines = radio()
    made.start(0.0)
    run(made, 20.0)
    made.toggle_access_point()
    assert made.is_ap_enabled
    assert made.is_connected
    made.toggle_access_point()
    assert lines[-2:] == [
        "Configuration Access Point enabled",
        "Configuration Access Point disabled",
    ]


@each(
    ("ssid", "password"), [("", ""), ("home", "wrong-words"), ("home", "secret-words")]
)
def test_each_signal_moves_its_own_way_joined_or_not(ssid: str, password: str) -> None:
    made, _ = radio(ssid, password)
    made.start(0.0)
    seen: dict[str, list[int]] = {}
    for minute in range(1, 40):
        run(made, 60.0 * minute)
        for network in made.scan():
            seen.setdefault(network.ssid, []).append(network.rssi_dbm)

    moves = {
        name: [now - before for before, now in pairwise(levels)]
        for name, levels in seen.items()
    }
    assert all(len(set(levels)) > 3 for levels in seen.values())
    assert len({tuple(steps) for steps in moves.values()}) == len(moves)


def test_a_scan_moves_and_has_at_most_twenty_networks() -> None:
    many = [Network(f"net {number}", -40 - number) for number in range(40)]
    made, _ = radio()
    made.start(0.0)
    run(made, 10.0)
    first = made.scan()
    run(made, 60.0)
    assert [seen.rssi_dbm for seen in made.scan()] != [seen.rssi_dbm for seen in first]

    made.set_networks(many, 61.0)
    seen = made.scan()
    assert [each.ssid for each in seen] == [f"net {number}" for number in range(20)]


def test_a_network_that_has_gone_keeps_its_level_until_that_is_noticed() -> None:
    made, _ = radio()
    made.start(0.0)
    run(made, 20.0)
    level_dbm = made.rssi_dbm
    made.set_networks([], 20.0)

    assert made.is_connected
    assert made.rssi_dbm == level_dbm > -90
    run(made, 26.1)
    assert made.rssi_dbm == -90


def test_2_8_is_connected_before_it_has_an_address() -> None:
    made, _ = radio(version="2.8.1")
    made.start(0.0)
    run(made, 2.9)
    assert (made.status_text, made.is_connected) == ("Connected!", False)

    run(made, 4.0)
    assert made.is_connected


def test_2_8_waits_for_an_address_for_ever() -> None:
    made, _ = radio("silent", version="2.8.1")
    made.start(0.0)
    run(made, 200.0)

    assert (made.status_text, made.is_given_up) == ("Connected!", True)


@each(("version", "is_on"), [("2.8.1", True), ("2.9.0", False), ("2.12.2", False)])
def test_an_address_ends_an_access_point_switched_on_by_hand(
    version: str, *, is_on: bool
) -> None:
    made, _ = radio(version=version)
    made.start(0.0)
    run(made, 10.0)
    made.toggle_access_point()
    made.set_networks((), 10.0)
    run(made, 40.0)
    made.set_networks(AROUND, 40.0)
    run(made, 60.0)

    assert made.is_connected
    assert made.is_ap_enabled is is_on


@pytest.mark.parametrize(("version", "is_back"), [("2.12.2", False), ("2.13.0", True)])
def test_the_access_point_comes_back_with_the_loss(
    version: str, *, is_back: bool
) -> None:
    made, lines = radio(version=version)
    made.start(0.0)
    run(made, 10.0)
    made.set_networks((), 10.0)
    run(made, 40.0)
    assert made.is_ap_enabled is made.is_ap_back is is_back

    made.set_networks(AROUND, 40.0)
    run(made, 60.0)

    assert not made.is_ap_enabled
    assert (lines.count("Configuration Access Point enabled") == 2) is is_back
