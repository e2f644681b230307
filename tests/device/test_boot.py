import re

import pytest
from tests.each import each
from tests.mining import model_of

from softaxe import Device
from softaxe.asic.driver import DriverState
from softaxe.catalog.firmware.rows import LOG_MARK
from softaxe.device.logbook import LogLine
from softaxe.device.protection import Readings


def booted(
    board: str = "601",
    seconds: float = 14.0,
    *,
    release: str | None = None,
    **settings: str | int,
) -> list[LogLine]:
    """Everything a device says from power-on."""
    device = Device(board=board, seed=1, firmware=release, settings=settings)
    lines = []
    for tenth in range(round(seconds * 10)):
        device.step(tenth / 10)
        lines += device.log.take()
    return lines


def plain(lines: list[LogLine]) -> list[str]:
    return [f"{line.tag}: {line.text}" for line in lines]


ORDER = """\
bitaxe: Welcome to the bitaxe - FOSS || GTFO!
bitaxe: I2C initialized successfully
bitaxe: RST pin initialized to low
adc: calibration scheme version is Curve Fitting
adc: Calibration Success
device_config: Device Model: Gamma
device_config: Board Version: 601
device_config: ASIC: 1x BM1370 (128 cores)
system: Initial overheat_mode value: 0
connect: Configuration Access Point enabled
connect: ESP_WIFI_MODE_STA
connect: Wi-Fi Password provided, using WPA2
connect: wifi_init_sta finished.
connect: ESP_WIFI setting hostname to: bitaxe
connect: wifi_init_sta finished.
TPS546: Initializing the core voltage regulator
TPS546: Device ID: 54 49 54 6d 24 41
EMC2101: Initializing EMC2101 (Temperature offset: 0° C)
thermal: EMC2101 configuration: Ideality Factor: 24, Beta Compensation: 00
system: Existing overheat_mode value: 0
display: SSD1306 (128x32)
display: Install panel IO
display: Install panel driver
display: Initialize LVGL
display: Rotation: 0
display: Display init success!
input: Install button driver
power_management: Starting
power_management: ASIC Frequency: 525 MHz, Expected hashrate: 1.07GH/s
http_server: AxeOS version: v2.12.2
http_server: Starting HTTP Server
BAP: Initializing BAP system
BAP: BAP system initialized successfully
connect: Connecting...
power_management: setting new vcore voltage to 1150mV
vcore: Set ASIC voltage = 1.150V
TPS546: Vout changed to 1.15 V
connect: Acquiring IP...
connect: IPv4 Address: 127.0.0.1
connect: Connected to SSID: softaxe
connect: Configuration Access Point disabled
asic_init: Starting ASIC initialization (cold boot mode)
asic_init: Performing full UART initialization
serial: Initializing serial
asic_init: Detecting ASIC chips...
asic: Initializing 1x BM1370
common: Chip 0 detected: CORE_NUM: 0x00 ADDR: 0x00
frequency_transition: Ramping up frequency from 50 MHz to 525 MHz
frequency_transition: Successfully transitioned to 525 MHz
asic_init: Setting max baud rate and clearing buffers
bm1370: Setting max baud of 1000000\x20
serial: Changing UART baud to 1000000
asic_init: ASIC initialized successfully with 1 chip(s) (cold boot mode)
stratum_task: Starting heartbeat thread for primary pool: public-pool.io:21496
stratum_task: Opening connection to pool: public-pool.io:21496
asic_task: ASIC Job Interval: 500.00 ms
asic_task: ASIC Ready!
statistics_task: Starting
"""


def test_a_601_boots_in_the_firmware_s_words_and_order() -> None:
    said = plain(booted(hostname="bitaxe"))
    wanted = ORDER.splitlines()

    at = 0
    for line in wanted:
        assert line in said[at:], f"{line!r} is missing, or too early"
        at = said.index(line, at) + 1


def test_between_those_lines_only_known_ones_come() -> None:
    said = plain(booted(hostname="bitaxe"))
    others = [line for line in said if line not in ORDER.splitlines()]

    known = re.compile(
        r"(pll: Frequency: |bm1370: Setting Frequency to |"
        r"power_management: (Ignoring invalid|AP mode with invalid|PID startup|Temp: |"
        r"Setting fan speed))"
    )
    assert [line for line in others if not known.match(line)] == []


def test_lines_carry_colours_levels_and_milliseconds() -> None:
    lines = booted(seconds=4.0)

    first = lines[0]
    assert first.coloured == (
        "\x1b[0;32mI (300) bitaxe: Welcome to the bitaxe - FOSS || GTFO!\x1b[0m\n"
    )
    warning = next(line for line in lines if line.level == "W")
    assert warning.coloured.startswith("\x1b[0;33mW (")
    assert [line.boot_ms for line in lines] == sorted(line.boot_ms for line in lines)


@pytest.mark.unwatched
@each(
    ("board", "wanted"),
    [
        ("205", "EMC2101: Initializing EMC2101 (Temperature offset: 5° C)"),
        ("303", "EMC2302: Initializing EMC2302 (Temperature offset: 10° C)"),
        ("801", "EMC2103: Initializing EMC2103 (Temperature offset: 0° C)"),
        ("303", "device_config: ASIC: 6x BM1366 (112 cores)"),
        ("102", "asic_task: ASIC Job Interval: 15.04 ms"),
        ("303", "TPS546: Vout changed to 3.60 V"),
        ("205", "vcore: Set ASIC voltage = 1.200V"),
    ],
)
def test_every_board_says_its_own(board: str, wanted: str) -> None:
    assert wanted in plain(booted(board, seconds=20))


def test_a_board_without_a_tps546_does_not_speak_of_it() -> None:
    assert not any("TPS546" in line for line in plain(booted("205")))


def test_an_open_network_and_none_are_told() -> None:
    said = plain(booted(wifipass=""))
    assert "connect: No Wi-Fi password provided, using open network" in said
    text = "No access point found with compatible security (Error 210, retry #0)"
    assert f"connect: {text}" in said
    said = plain(booted(wifissid=""))
    assert "connect: No WiFi SSID provided, skipping connection" in said
    assert "asic_init: Starting ASIC initialization (cold boot mode)" not in said


def test_without_a_display_there_is_nothing_to_install() -> None:
    lines = booted(display="NONE")
    said = plain(lines)
    text = "No display found or panel init failed. Screen not active."
    at = said.index("display: NONE")
    assert said[at + 1] == f"display: {text}"
    assert lines[at + 1].level == "W"
    assert "display: Install panel IO" not in said


def downgraded(board: str, version: str) -> Device:
    """A device whose firmware came later and does not know its board."""
    device = Device(board=board, seed=1)
    device.step(14.0)
    device.flash.factory_version = f"v{version}"
    device.restart(14.0)
    device.step(60.0)
    return device


def test_a_board_that_its_firmware_does_not_know_has_nothing_to_mine_with() -> None:
    device = downgraded("801", "2.10.1")

    lines = plain(device.log.take())
    assert "device_config: Custom Board Version: 801" in lines
    assert device.is_on_network
    assert device.driver.state is DriverState.FAILED
    assert device.readings == Readings(fan_percent=device.readings.fan_percent)
    assert not model_of(device).power.core_voltage_v


def test_it_is_whole_again_with_a_firmware_that_does() -> None:
    device = downgraded("801", "2.12.0")

    device.flash.factory_version = "v2.14.2"
    device.restart(60.0)
    device.step(90.0)

    assert device.driver.state is DriverState.READY
    assert device.readings.power_w > 10


def test_the_oldest_firmware_does_not_boot_on_a_board_it_does_not_know() -> None:
    device = downgraded("801", "2.8.1")

    assert not device.is_on_network
    text = "device_config: Unknown board version 801; the boot stops"
    assert plain(device.log.take())[-1] == text


@pytest.mark.parametrize("release", ["2.14.1", "2.14.2"])
def test_newer_releases_start_two_socket_tasks_and_mark_a_line(release: str) -> None:
    lines = plain(booted(release=release))

    assert "websocket_log: websocket_log_task starting" in lines
    assert "websocket_api: websocket_api_task starting" in lines
    mark = LOG_MARK if release == "2.14.2" else ""
    assert f"bm1370: Setting max baud of 1000000 {mark}" in lines
