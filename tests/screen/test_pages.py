from itertools import pairwise

import pytest
from tests.each import each
from tests.mining import mining, model_of, shown

from softaxe import Simulation
from softaxe.device.display import Mark, Page
from softaxe.screen.pages import Picture, content_of, duration
from softaxe.units import with_suffix


def at_page(simulation: Simulation, page: Page) -> tuple[str, ...]:
    while simulation.device.display.turn(simulation.now).page is not page:
        simulation.advance(0.5)
    simulation.advance(1.0)
    return shown(simulation.device)


def test_pages_follow_each_other_and_last_a_tick_longer() -> None:
    simulation = mining(4.5)
    device = simulation.device
    seen: list[tuple[Page, float]] = []
    for tenth in range(900):
        page = device.display.turn(simulation.now + tenth / 10).page
        if not seen or seen[-1][0] is not page:
            seen.append((page, tenth / 10))

    names = [page.name for page, _ in seen]
    assert names[:7] == ["BITAXE", "OSMU", "URLS", "STATS", "MINING", "WIFI", "URLS"]
    starts = [at for _, at in seen]
    assert starts[2] - starts[1] == pytest.approx(3.5)
    steps = [after - before for before, after in pairwise(starts[2:])]
    assert steps == pytest.approx([10.5] * len(steps))


def test_the_pages_tell_what_the_api_tells() -> None:
    simulation = mining(60)
    device = simulation.device

    host, address = device.pools.current.url, device.ipv4
    shown = at_page(simulation, Page.URLS)
    assert shown == ("Stratum Host:", host, "IP Address:", address)
    rate, power, best, temp = at_page(simulation, Page.STATS)
    assert rate == f"Gh/s: {device.hashrate.current_hs / 1e9:.2f}"
    assert power.startswith("J/Th: 1")
    assert best == (
        f"Best: {with_suffix(device.best_session_difficulty)}/"
        f"{with_suffix(device.best_difficulty)}"
    )
    assert temp == f"Temp: {device.readings.temp_c:.1f}°C"
    assert device.block is not None
    shown = at_page(simulation, Page.MINING)
    assert shown[0] == f"Block: {device.block.height}"
    assert shown[1] == f"Difficulty: {with_suffix(device.block.network_difficulty)}"
    shown = at_page(simulation, Page.WIFI)
    assert shown[1] == f"RSSI: {device.radio.rssi_dbm} dBm"
    assert shown[2] in ("Signal: Excellent", "Signal: Good", "Signal: Fair")
    assert shown[3] == f"Uptime: {duration(int(device.uptime_s))}"


def test_before_the_first_values_there_are_dashes() -> None:
    simulation = mining(5.0)
    device = simulation.device
    device.press_button(simulation.now)
    for _ in range(2):
        device.press_button(device.now + 0.1)

    assert device.display.turn(device.now).page is Page.STATS
    assert shown(device)[0] == "Gh/s: --"
    assert shown(device)[3] == "Temp: --"


def test_a_press_turns_the_page_and_ends_the_hi() -> None:
    simulation = mining(40)
    device = simulation.device
    page = device.display.turn(device.now).page
    device.identify(device.now)
    assert content_of(device, device.now).is_saying_hi

    device.press_button(device.now)
    assert not content_of(device, device.now).is_saying_hi
    assert device.display.turn(device.now).page is page
    device.press_button(device.now)
    assert device.display.turn(device.now).page is not page


def test_a_new_page_slides_in_from_the_right() -> None:
    simulation = mining(40)
    device = simulation.device
    device.press_button(device.now)

    sliding = content_of(device, device.now + 0.1)
    assert sliding.pushed_aside is not None
    assert 0 < sliding.slide < 1
    assert content_of(device, device.now + 0.5).pushed_aside is None


def test_without_a_network_name_it_asks_to_be_set_up() -> None:
    content = content_of(device := mining(6, wifissid="").device, device.now)

    assert content.picture is Picture.QR
    assert content.qr_text == f"WIFI:S:{device.radio.ap_name};;"
    assert content.lines[1:] == ("Setup Wi-Fi:", device.radio.ap_name)


def test_the_joined_network_is_told_for_a_second() -> None:
    simulation = mining(4.0)
    assert shown(simulation.device)[:2] == ("Wi-Fi: softaxe", "Connected!")
    simulation.advance(1.0)
    assert shown(simulation.device) == ("Gamma", "601")


def test_joining_and_failing_to_join_are_told() -> None:
    device = mining(2.0).device
    assert shown(device)[:2] == ("Wi-Fi: softaxe", "Connecting...")
    device = mining(6.5, wifipass="wrong-words").device
    assert shown(device)[1] == "Incorrect password entered (Error 15, retry #0)"


def test_what_is_urgent_goes_first() -> None:
    simulation = mining(30, overheat_mode=1)
    device = simulation.device
    assert shown(device)[0] == "DEVICE OVERHEAT!"
    assert shown(device)[2:] == ("IP Address:", "127.0.0.1")

    model_of(device).chips.set_working(0, device.now)
    device.restart(device.now)
    simulation.advance(30)
    assert shown(device) == ("ASIC STATUS:", "Chip count 0")
    device.driver.failure = "ASIC 2 not found"
    assert shown(device) == ("ASIC STATUS:", "ASIC 2 not found")
    device.driver.failure = "Chip count 0"

    device.show_update("www.bin", "Working (7%)")
    assert shown(device) == ("Firmware update", "www.bin", "Working (7%)")
    simulation.advance(11)
    assert shown(device) == ("ASIC STATUS:", "Chip count 0")


def test_a_found_block_pins_its_page() -> None:
    simulation = mining(40)
    device = simulation.device
    device.mining.shows_block = True
    for _ in range(5):
        simulation.advance(7)
        assert shown(device)[2].endswith("!!! BLOCK FOUND !!!")


def test_the_corner_tells_of_shares_and_work_for_a_tick() -> None:
    device = mining(40).device
    now = device.now
    device.display.note(Mark.ACCEPTED, now)
    assert content_of(device, now).corner.endswith("↑")
    device.display.note(Mark.WORK, now)
    assert content_of(device, now).corner.endswith("↕")
    device.display.note(Mark.REJECTED, now)
    assert content_of(device, now).corner == "x↕"
    assert content_of(device, now + 0.6).corner == ""


def test_durations_leave_out_what_is_zero_in_front() -> None:
    assert duration(0) == "0s"
    assert duration(61) == "1m 1s"
    assert duration(93_784) == "1d 2h 3m 4s"


@each(
    ("version", "panel", "names"),
    [
        ("2.8.1", "SSD1306 (128x32)", "URLS STATS URLS STATS"),
        ("2.10.1", "SSD1309 (128x64)", "URLS STATS WIFI URLS"),
        ("2.11.0", "SSD1306 (128x32)", "URLS STATS MINING WIFI"),
    ],
)
def test_old_releases_have_fewer_pages(version: str, panel: str, names: str) -> None:
    simulation = mining(4.5, firmware=version, display=panel)
    seen: list[str] = []
    for half in range(200):
        page = simulation.device.display.turn(simulation.now + half / 2).page
        if not seen or seen[-1] != page.name:
            seen.append(page.name)

    assert " ".join(seen[2:6]) == names


@pytest.mark.parametrize(
    ("version", "marks", "unit"), [("2.8.1", "", " C"), ("2.12.2", "x↕", "°C")]
)
def test_words_and_marks_are_those_of_the_release(
    version: str, marks: str, unit: str
) -> None:
    simulation = mining(40, firmware=version)
    device = simulation.device
    *_, temperature = at_page(simulation, Page.STATS)
    for mark in Mark:
        device.display.note(mark, device.now)

    assert content_of(device, device.now).corner == marks
    assert temperature.endswith(unit)


def test_2_9_marks_accepted_shares_only() -> None:
    device = mining(40, firmware="2.9.0").device
    for mark in Mark:
        device.display.note(mark, device.now)

    assert content_of(device, device.now).corner == "↑"


def test_the_newest_tell_both_temperatures_and_a_pause() -> None:
    simulation = mining(60, board="801", firmware="2.14.2")
    device = simulation.device

    *_, temperature = at_page(simulation, Page.STATS)
    read = device.readings
    device.set_paused(True, device.now)

    assert temperature == f"Temp: {read.temp_c:.1f}°C/{read.temp2_c:.1f}°C"
    assert content_of(device, device.now).corner == "▐▐"
