import doctest
from dataclasses import replace

import pytest
from tests.each import each

from softaxe import Device, Pool, Simulation
from softaxe.catalog.firmware.rows import LOG_MARK
from softaxe.device import device as module
from softaxe.device.events import (
    CameUp,
    ClosePool,
    Link,
    SaveFlash,
    SaveSettings,
    WentDown,
)
from softaxe.device.faults import NO_FAULTS, DeviceFaults, UpdateFault
from softaxe.errors import SettingError, UpdateRefused
from softaxe.flash.image import AppImage, release_image
from softaxe.flash.partitions import Flash
from softaxe.json_values import JsonValue
from softaxe.units import Level


def on_network(seed: int = 0) -> Device:
    device = Device(seed=seed)
    device.step(4.0)
    device.events()
    return device


def image(version: str) -> AppImage:
    return AppImage(version, "esp-miner", "v5.5.1", "", "", 4096, "ab" * 32)


@pytest.mark.unwatched
def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(module).failed == 0


def test_what_the_page_asks_otherwise_is_told_in_the_log() -> None:
    device = on_network()
    device.log.take()

    device.patch([("frequency", 512.5), ("wifiPass", "short")], 5.0)

    texts = [line.plain for line in device.log.take() if line.level is Level.WARNING]
    assert [text.partition(" MHz")[0] for text in texts] == [
        "W (5000) http_server: wifiPass: 5 bytes is outside 8..63 bytes, or empty, "
        "says the API page",
        "W (5000) http_server: frequency: 512.5",
    ]


def test_a_patch_is_seen_at_once_and_asked_to_be_saved() -> None:
    device = on_network()

    device.patch([("temptarget", 65), ("hostname", "rig")], 5.0)

    assert device.settings.target_temperature_c == 65
    (request,) = device.events()
    assert isinstance(request, SaveSettings)
    assert request.rows == {"temptarget": 65, "hostname": "rig"}


def test_a_refused_patch_changes_nothing() -> None:
    device = on_network()
    before = device.settings

    with pytest.raises(SettingError):
        device.patch([("hostname", "rig"), ("temptarget", 200)], 5.0)

    assert device.settings is before
    assert device.events() == []


def test_a_value_that_is_in_force_already_is_saved_too() -> None:
    device = on_network()

    device.patch([("stratumURL", "my.pool"), ("temptarget", 60)], 5.0)

    (request,) = device.events()
    assert isinstance(request, SaveSettings)
    assert request.rows == {"stratumurl": "my.pool", "temptarget": 60}


def test_a_change_of_nothing_is_not_saved() -> None:
    device = on_network()

    device.patch([("nonsense", 60)], 5.0)

    assert device.events() == []


def test_a_change_that_could_not_be_stored_is_taken_back() -> None:
    device = on_network()
    device.patch([("hostname", "rig")], 5.0)
    (request,) = device.events()
    assert isinstance(request, SaveSettings)

    device.settings_not_saved(request)

    assert device.settings.hostname == device.identity.hostname


def test_taking_back_a_change_leaves_later_ones_alone() -> None:
    device = on_network()
    device.patch([("hostname", "rig")], 5.0)
    (first,) = device.events()
    device.patch([("temptarget", 65)], 6.0)
    (second,) = device.events()
    assert isinstance(first, SaveSettings)
    assert isinstance(second, SaveSettings)

    device.settings_not_saved(first)
    assert device.settings.target_temperature_c == 65
    device.settings_not_saved(second)

    assert device.settings.hostname == device.identity.hostname
    assert device.settings.target_temperature_c == 60


def test_a_restart_goes_away_and_comes_back_new() -> None:
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    device = simulation.device
    simulation.advance(120)
    best = device.best_difficulty
    assert device.shares.accepted > 0

    device.restart(simulation.now)
    simulation.advance(0.9)
    assert device.is_on_network
    simulation.advance(0.2)
    assert not device.is_on_network
    assert device.uptime_s == 0
    assert device.shares.accepted == 0
    assert device.best_session_difficulty == 0
    assert device.best_difficulty >= best > 0
    assert device.reset_reason == "Software reset via esp_restart"
    simulation.advance(3.6)
    assert device.is_on_network
    simulation.advance(60)
    assert device.shares.accepted > 0

    facts = [e for e in simulation.events if isinstance(e, WentDown | CameUp)]
    assert facts == [CameUp(), WentDown(), CameUp()]


def test_a_restart_closes_the_pool_connections() -> None:
    device = on_network()
    device.restart(5.0)

    device.step(6.0)

    events = device.events()
    assert ClosePool(Link.MAIN) in events
    assert ClosePool(Link.PROBE) in events


def test_identify_is_a_toggle_of_thirty_seconds() -> None:
    device = on_network()

    assert device.identify(5.0) is True
    assert device.identify(6.0) is False
    assert device.identify(7.0) is True
    device.step(37.1)
    assert device.identify(38.0) is True


def test_without_a_display_identify_never_ends_by_itself() -> None:
    device = Device(board="601", seed=1, settings={"display": "NONE"})
    device.patch([("display", "SSD1306 (128x32)")], 4.0)  # from the next start on

    device.identify(50.0)
    device.step(300.0)

    assert device.identify(301.0) is False


def test_a_display_that_is_still_there_ends_identify() -> None:
    device = on_network()
    device.patch([("display", "NONE")], 4.0)  # from the next start on

    device.identify(5.0)
    device.step(36.0)

    assert device.identify(37.0) is True


def test_firmware_runs_from_the_next_slot_after_the_restart() -> None:
    device = on_network()

    device.write_firmware(image("v2.13.0"), 5.0)
    device.restart(5.0)
    device.step(5.5)
    assert device.version == "v2.12.2"
    device.step(10.0)

    assert device.version == "v2.13.0"
    assert device.running_partition == "ota_0"
    assert device.axeos_version == "v2.12.2"  # the page is another partition


def test_an_image_that_could_not_be_stored_is_taken_back() -> None:
    device = on_network()
    device.write_firmware(image("v2.13.0"), 5.0)
    (request,) = device.events()
    assert isinstance(request, SaveFlash)

    device.flash_not_saved(request)
    device.step(60.0)
    assert WentDown() not in device.events()
    device.restart(60.0)
    device.step(120.0)

    assert device.version == "v2.12.2"
    assert device.running_partition == "factory"


def test_a_restart_stands_though_an_image_could_not_be_stored_meanwhile() -> None:
    device = on_network()
    device.write_firmware(image("v2.13.0"), 5.0)
    device.events()
    device.restart(5.0)
    device.write_www("0" * 64, {}, 5.1)
    (request,) = device.events()
    assert isinstance(request, SaveFlash)

    device.flash_not_saved(request)
    device.step(60.0)

    assert WentDown() in device.events()
    assert device.version == "v2.13.0"
    assert device.www is None


def test_what_the_boot_loader_chose_stands_though_it_could_not_be_stored() -> None:
    device = on_network()
    device.write_firmware(image("v2.13.0"), 5.0)
    device.restart(5.0)
    (stored,) = device.events()
    assert isinstance(stored, SaveFlash)
    device.step(10.0)
    (chosen,) = [e for e in device.events() if isinstance(e, SaveFlash)]

    device.flash_not_saved(chosen)
    device.step(60.0)

    assert device.version == "v2.13.0"
    again = Device(flash=Flash.from_rows(stored.rows))
    assert again.version == "v2.13.0"


def test_images_are_refused_before_there_is_a_network() -> None:
    device = Device()
    device.step(2.0)

    with pytest.raises(UpdateRefused, match="Not allowed in AP mode"):
        device.check_update_allowed()


def test_no_image_is_taken_that_would_be_installed_and_not_answered_for() -> None:
    device = on_network()
    device.check_update_allowed()

    device.restart(5.0)

    with pytest.raises(UpdateRefused, match="about to restart"):
        device.check_update_allowed()


def test_the_page_s_version_comes_from_its_image() -> None:
    device = on_network()

    device.write_www("ab" * 32, {"/version.txt": b"v2.13.1"}, 5.0)
    assert device.axeos_version == "v2.13.1"
    device.write_www("ab" * 32, {"/index.html": b""}, 6.0)
    assert device.axeos_version == "unknown"
    device.write_www("ab" * 32, None, 7.0)
    assert device.axeos_version == ""
    assert device.is_www_broken


def updated(device: Device, version: str) -> Device:
    """The device after the restart into a release."""
    firmware = replace(release_image(version), sha256="ab" * 32)
    device.write_firmware(firmware, device.now)
    return restarted(device)


def restarted(device: Device) -> Device:
    device.restart(device.now)
    device.step(device.now + 5)
    return device


def test_an_update_makes_the_device_speak_as_that_release_and_back() -> None:
    device = Device(firmware="2.9.0")
    spoken = [device.firmware.version]

    for version in ("2.12.2", "2.14.2", "2.15.0", "2.9.0"):
        spoken.append(updated(device, version).firmware.version)

    assert spoken == ["2.9.0", "2.12.2", "2.14.2", "2.15.0", "2.9.0"]
    assert device.idf_version == "v5.4.1"


def test_a_version_that_nobody_knows_speaks_as_the_nearest_and_says_so() -> None:
    device = on_network()
    device.log.take()

    updated(device, "v2.15.7-mine")

    assert (device.version, device.firmware.version) == ("v2.15.7-mine", "2.15.0")
    said = [line.text for line in device.log.take() if line.level is Level.WARNING]
    assert "v2.15.7-mine is unknown here; it speaks as v2.15.0" in said


def test_firmware_by_usb_is_kept_and_empties_the_slots() -> None:
    device = Device()
    updated(device, "2.13.2")
    rows = device.flash.to_rows()

    same = Device(firmware="2.12.2", flash=Flash.from_rows(rows))
    other = Device(firmware="2.14.2", flash=Flash.from_rows(rows))

    assert same.version == "v2.13.2"
    assert same.events() == []
    assert other.version == other.axeos_version == "v2.14.2"
    (saved,) = [event for event in other.events() if isinstance(event, SaveFlash)]
    assert Device(flash=Flash.from_rows(saved.rows)).version == "v2.14.2"


def test_firmware_by_usb_helps_a_board_on_which_another_stops() -> None:
    device = Device(board="302", firmware="2.15.0")
    updated(device, "2.8.1")
    rows = device.flash.to_rows()

    left = Device(board="302", flash=Flash.from_rows(rows))
    helped = Device(board="302", firmware="2.15.0", flash=Flash.from_rows(rows))

    assert (left.version, helped.version) == ("v2.8.1", "v2.15.0")


PAGE = {"/version.txt": b"v2.13.1 " + b"x" * 80 + b"\nmore"}


@each(
    ("version", "shipped", "at_once", "after", "without"),
    [
        ("2.8.1", "", "", "", ""),
        ("2.9.0", "v2.9.0", "v2.13.1 " + "x" * 23, "v2.13.1 " + "x" * 23, "unknown"),
        ("2.13.2", "v2.13.2", "v2.13.2", "v2.13.1 " + "x" * 55, "Unknown"),
        ("2.15.0", "Unified", "Unified", "v2.13.1 " + "x" * 55, "Unknown"),
    ],
)
def test_where_the_page_s_version_comes_from(
    version: str, shipped: str, at_once: str, after: str, without: str
) -> None:
    device = Device(firmware=version)

    seen = [device.axeos_version]
    device.write_www("ab" * 32, PAGE, device.now)
    seen += [device.axeos_version, restarted(device).axeos_version]
    device.write_www("ab" * 32, {"/index.html": b""}, device.now)
    seen.append(restarted(device).axeos_version)

    assert seen == [shipped, at_once, after, without]


def test_a_page_inside_the_firmware_gives_way_to_another_until_it_changes() -> None:
    device = Device(firmware="2.15.0")
    shown = [device.shows_own_page]

    device.write_www("ab" * 32, PAGE, device.now)
    shown.append(device.shows_own_page)
    shown.append(restarted(device).shows_own_page)
    shown.append(updated(device, "2.15.0").shows_own_page)
    assert not device.settings.use_custom_www
    device.patch([("useCustomWWW", 1)], device.now)
    shown += [device.shows_own_page, restarted(device).shows_own_page]

    assert shown == [True, True, False, True, True, False]


def test_a_build_that_came_by_cable_shows_its_own_page_and_says_so() -> None:
    before = Device(firmware="2.15.0")
    before.write_www("ab" * 32, PAGE, before.now)
    stored = {**before.settings.to_nvs(), "last_fw_fp": "v2.15.0 Jan  1 2026 01:02:03"}
    device = Device(flash=before.flash, www=PAGE, settings=stored)

    device.step(5.0)

    assert device.shows_own_page
    assert not device.settings.use_custom_www
    build = "v2.15.0 Aug 20 2026 00:00:00"
    assert any(
        line.text == f"Firmware build changed (v2.15.0 Jan  1 2026 01:02:03 -> {build})"
        f". Resetting custom WWW to default (false).{LOG_MARK}"
        for line in device.log.take()
    )


@pytest.mark.parametrize("version", ["2.14.2", "2.15.0"])
def test_a_page_that_is_no_file_system_leads_to_recovery_or_to_the_own(
    version: str,
) -> None:
    device = Device(firmware=version)

    device.write_www("ab" * 32, None, device.now)
    restarted(device)

    assert device.is_www_broken
    assert device.is_in_recovery is (version == "2.14.2")
    assert device.shows_own_page is (version == "2.15.0")
    assert device.axeos_version == ("" if version == "2.14.2" else "Unified")


def test_back_from_a_release_that_has_its_page_inside_there_is_none() -> None:
    device = updated(Device(firmware="2.15.0"), "2.14.2")

    assert device.is_in_recovery
    assert not updated(Device(firmware="2.14.2"), "2.15.0").is_in_recovery


def test_another_slot_can_be_booted_and_shows_its_own_page() -> None:
    device = updated(Device(firmware="2.14.2"), "2.15.0")
    device.write_www("ab" * 32, PAGE, device.now)
    restarted(device)

    for label, text in {
        "nvs": "Partition not found",
        "ota_1": "No valid firmware found on partition",
    }.items():
        with pytest.raises(UpdateRefused, match=text):
            device.boot_from(label, device.now)
    assert device.settings.use_custom_www
    device.boot_from("factory", device.now)

    assert not device.settings.use_custom_www
    assert [slot.is_current for slot in device.partitions] == [False, True, False]
    assert restarted(device).version == "v2.14.2"
    assert [slot.is_current for slot in device.partitions] == [True, False, False]


def test_a_flash_that_cannot_be_written_boots_as_before() -> None:
    device = updated(Device(), "2.15.0")
    device.set_faults(DeviceFaults(update=UpdateFault.REFUSED), device.now)

    with pytest.raises(UpdateRefused, match="Failed to set boot partition"):
        device.boot_from("factory", device.now)

    assert restarted(device).version == "v2.15.0"


def test_a_page_of_another_version_says_so_where_it_is_shown() -> None:
    device, new = on_network(), Device(firmware="2.15.0")
    wrong = DeviceFaults(www_version="v2.8.1")

    for one in (device, new):
        one.set_faults(wrong, one.now)

    assert (device.version, device.axeos_version) == ("v2.12.2", "v2.8.1")
    assert new.axeos_version == "Unified"
    device.set_faults(NO_FAULTS, device.now)
    assert device.axeos_version == "v2.12.2"


def test_uptime_counts_from_system_init() -> None:
    device = Device(now=100.0)
    device.step(100.5)
    assert device.uptime_s == 0
    device.step(161.0)

    assert device.uptime_s == pytest.approx(60.0)
    assert device.boot_ms == 61_000


def test_an_update_that_fails_at_boot_leads_back_to_the_old_firmware() -> None:
    simulation = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    device = simulation.device
    simulation.advance(20)
    device.set_faults(DeviceFaults(update=UpdateFault.ROLLED_BACK), simulation.now)
    device.write_firmware(image("v9.9.9"), simulation.now)
    device.restart(simulation.now)
    device.set_faults(NO_FAULTS, simulation.now)
    simulation.advance(60)

    assert device.version == "v2.12.2"
    assert device.running_partition == "factory"
    assert device.reset_reason == "Software reset via esp_restart"
    assert device.shares.accepted > 0
    device.write_firmware(image("v9.9.9"), simulation.now)
    device.restart(simulation.now)
    simulation.advance(30)
    assert (device.version, device.running_partition) == ("v9.9.9", "ota_0")


def test_stored_settings_that_the_api_page_has_something_against_are_logged() -> None:
    devices = [
        Device(seed=1, settings=settings)
        for settings in ({}, {"asicfrequency_f": 512.5})
    ]
    for device in devices:
        device.step(20.0)
    plain, changed = (
        [line.text for line in device.log.take() if line.level is Level.WARNING]
        for device in devices
    )
    assert not any("API page" in text for text in plain)
    assert any(text.startswith("frequency: 512.5 MHz") for text in changed)


def brought(device: Device, version: str) -> None:
    """Put a release onto a device, and let it restart into it."""
    device.write_firmware(image(version), device.now)
    device.restart(device.now)
    device.step(device.now + 10)
    assert device.firmware.tag == version


def test_settings_go_over_updates_and_back_as_nvs_has_them() -> None:
    device = Device(seed=1, firmware="2.9.0")
    device.step(5.0)
    device.patch([("fanspeed", 40), ("frequency", 490)], device.now)

    brought(device, "v2.12.2")
    assert device.settings.frequency_mhz == 490
    assert device.settings.fan_manual_percent == 40
    device.patch([("frequency", 500.5), ("stratumURL", "a.b")], device.now)
    brought(device, "v2.15.0")
    assert device.settings.pools[0].url == device.settings.stratum_url == "a.b"
    device.patch([("stratumURL", "c.d")], device.now)
    assert device.settings.pools[0].url == "c.d"
    brought(device, "v2.9.0")
    assert device.settings.frequency_mhz == 500
    assert device.settings.stratum_url == "a.b", "its own key, which stayed as it was"
    device.patch([("frequency", 525), ("stratumURL", "e.f")], device.now)
    brought(device, "v2.15.0")
    assert device.settings.stratum_url == "c.d", "slots are made once"
    assert device.settings.frequency_mhz == 500.5, "nor does the older key count"


def test_what_was_made_of_an_older_key_is_saved_when_that_changes() -> None:
    device = Device(seed=1, firmware="2.15.0")
    brought(device, "v2.9.0")
    device.events()

    device.patch([("frequency", 525), ("stratumUser", "me")], device.now)

    (request,) = [e for e in device.events() if isinstance(e, SaveSettings)]
    assert request.rows["asicfrequency"] == 525
    assert request.rows["asicfrequency_f"] == "525.000000"
    assert "public-pool.io" in str(request.rows["pool_1"])
    again = Device(
        seed=1,
        firmware="2.15.0",
        settings={key: value for key, value in request.rows.items() if value},
    )
    assert again.settings.stratum_user != "me"


def test_slots_follow_the_run_s_own_pool_from_run_to_run() -> None:
    def powered_on(port: int, settings: dict[str, str | int | float]) -> Device:
        presets: dict[str, str | int] = {
            "stratumurl": "127.0.0.1",
            "stratumport": port,
            "fbstratumurl": "127.0.0.1",
            "fbstratumport": port + 1,
        }
        return Device(seed=1, firmware="2.15.0", settings=settings, presets=presets)

    device = powered_on(4000, {})
    device.step(5.0)
    device.events()
    device.patch([("stratumUser", "me")], device.now)
    (request,) = device.events()
    assert isinstance(request, SaveSettings)
    stored = {key: value for key, value in request.rows.items() if value is not None}

    again = powered_on(5000, stored)

    assert (again.settings.stratum_port, again.settings.stratum_user) == (5000, "me")
    assert again.settings.fallback_stratum_port == 5001


def test_a_change_of_slots_that_could_not_be_stored_is_taken_back() -> None:
    device = Device(seed=1, firmware="2.15.0")
    device.step(5.0)
    before, nvs = device.settings, dict(device.nvs)
    device.events()
    device.patch([("stratumURL", "a.b"), ("temptarget", 50)], device.now)
    (request,) = [e for e in device.events() if isinstance(e, SaveSettings)]

    device.settings_not_saved(request)

    assert device.settings == before
    assert device.nvs == nvs
    assert device.pools.primary.url == before.stratum_url


def test_slots_are_dialled_as_they_are_now_but_not_if_they_could_not_be_stored() -> (
    None
):
    device = Device(seed=1, firmware="2.15.0")
    before = device.pools.current.url
    device.events()
    pool: JsonValue = {
        "id": 0,
        "stratumURL": "new.example",
        "stratumPort": 3333,
        "stratumUser": "u",
        "stratumDecodeCoinbase": False,
    }
    device.patch([("pools", [pool])], 0.0)
    assert device.pools.current.url == "new.example"
    assert not device.pools.current.decodes_coinbase

    (request,) = (e for e in device.events() if isinstance(e, SaveSettings))
    device.settings_not_saved(request)
    assert device.pools.current.url == before

    old = Device(seed=1, firmware="2.14.2")
    old.patch([("stratumURL", "new.example")], 0.0)
    assert old.pools.current.url == before, "read at boot"
