import random

from softaxe.board.radio import AuthMode, Radio


def radio(
    ssid: str = "home", password: str = "secret-words"
) -> tuple[Radio, list[str]]:
    lines: list[str] = []
    made = Radio(
        ssid,
        password,
        hostname="bitaxe",
        mac=bytes.fromhex("10f51233bbff"),
        ipv4="192.168.1.9",
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


def test_an_open_network_is_shown_as_such() -> None:
    made, lines = radio(password="")
    made.start(0.0)

    modes = {network.ssid: network.authmode for network in made.scan()}
    assert modes["home"] is AuthMode.OPEN
    assert "No Wi-Fi password provided, using open network" in lines
