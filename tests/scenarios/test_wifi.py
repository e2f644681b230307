"""A device without Wi-Fi, with the wrong one, and one that loses it."""

import httpx
import pytest
from tests.each import each
from tests.mining import mining

from softaxe import Device
from softaxe.board.radio import HOME_PASSWORD, HOME_SSID, NETWORKS, Network
from softaxe.device.events import CameUp, WentDown
from softaxe.device.identity import Identity
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.errors import UpdateRefused
from softaxe.testing.run import running


def test_a_new_device_is_set_up_through_its_access_point() -> None:
    simulation = mining(30, wifissid="", wifipass="")
    device = simulation.device
    assert device.is_on_network
    assert device.radio.is_ap_enabled
    assert device.hashrate.current_hs == 0
    assert device.readings.temp_c == -1
    assert device.readings.fan_percent == 70
    assert device.ipv4 == ""
    with pytest.raises(UpdateRefused, match="Not allowed in AP mode"):
        device.check_update_allowed()

    names = [seen.ssid for seen in device.radio.scan()]
    assert HOME_SSID in names
    device.patch([("ssid", HOME_SSID), ("wifiPass", HOME_PASSWORD)], simulation.now)
    device.restart(simulation.now)
    simulation.advance(120)

    assert device.radio.status_text == "Connected!"
    assert not device.radio.is_ap_enabled
    assert device.shares.accepted > 0
    kinds = [type(e) for e in simulation.events if isinstance(e, CameUp | WentDown)]
    assert kinds == [CameUp, WentDown, CameUp]


def test_a_wrong_password_leaves_it_reachable_and_idle() -> None:
    simulation = mining(8, wifipass="not the password")
    device = simulation.device

    assert device.radio.status_text.startswith("Incorrect password entered (Error 15")
    assert device.is_on_network
    assert device.radio.is_ap_enabled
    assert device.shares.accepted == 0
    assert device.driver.state == "off"
    simulation.advance(600)
    assert device.shares.accepted == 0
    assert device.radio.rssi_dbm == -90


def test_a_lost_network_takes_the_device_away_and_gives_it_back() -> None:
    simulation = mining(60)
    device = simulation.device
    accepted = device.shares.accepted
    device.set_networks([], simulation.now)
    simulation.advance(30)

    assert not device.is_on_network
    assert device.ipv4 == device.identity.ipv4 != ""  # never cleared on loss
    assert device.ipv6 == device.identity.ipv6
    assert not device.pools.is_connected
    assert "WiFi disconnected, attempting to reconnect..." in [
        line.text for line in device.log.take()
    ]
    assert device.hashrate.current_hs > 0  # the chip goes on with what it has
    device.set_networks(NETWORKS, simulation.now)
    simulation.advance(90)
    assert device.is_on_network
    assert device.shares.accepted > accepted
    kinds = [type(e) for e in simulation.events if isinstance(e, CameUp | WentDown)]
    assert kinds == [CameUp, WentDown, CameUp]

    device.set_networks([], simulation.now)
    device.restart(simulation.now)
    simulation.advance(30)
    assert device.ipv4 == device.ipv6 == ""


@each("profile", [DOCUMENTED, FIRMWARE])
@each("size", [31, 32])
def test_a_name_of_32_bytes_is_too_long_for_the_firmware(
    size: int, profile: Profile
) -> None:
    ssid = "Zoë's network".ljust(size - 1, "x")
    device = Device(
        networks=[Network(ssid, -50.0, password=HOME_PASSWORD)],
        settings={"wifissid": ssid},
        profile=profile,
    )
    device.step(30.0)

    assert device.radio.is_connected is (size == 31 or profile is DOCUMENTED)
    if not device.radio.is_connected:
        assert device.radio.status_text.startswith("No access point found (Error 201")


def test_no_two_devices_share_an_address_or_a_name() -> None:
    devices = [Identity.from_seed(seed, "10.0.0.1") for seed in range(20_000)]

    assert len({device.mac for device in devices}) == 20_000
    assert len({device.ipv6 for device in devices}) == 20_000
    assert len({device.hostname for device in devices}) == 20_000
    assert Identity.from_seed(77, "10.0.0.1") == devices[77]
    assert Device(seed=3).settings.hostname == devices[3].hostname


def test_seed_0_has_the_sample_s_mac_address() -> None:
    assert Identity.from_seed(0, "10.0.0.1").mac_text == "10:F5:12:33:BB:F0"


def test_whoever_asks_an_access_point_keeps_it_from_trying_again() -> None:
    with running(speed=0, settings={"wifiPass": "wrong-words"}) as device:
        refused = device.info()["wifiStatus"]
        seen = []
        for _ in range(20):
            device.clock.advance(2)
            httpx.get(device.url + "/api/system/asic", timeout=5)
            seen.append(device.info()["wifiStatus"])

        assert refused.startswith("Incorrect password entered (Error 15, retry #")
        assert set(seen[5:]) == {"Config AP connected!"}
