import pytest
from tests.each import each
from tests.mining import mining, shown

from softaxe.device.device import Device
from softaxe.screen.pages import content_of


@pytest.mark.unwatched
@each(
    ("minutes", "after_s", "is_dark"),
    [(-1, 1e6, False), (0, 0, True), (5, 299, False), (5, 301, True)],
)
def test_the_timeout_darkens_the_pages(
    minutes: int, after_s: float, is_dark: bool
) -> None:
    device = mining(40, displayTimeout=minutes).device
    since = device.display.active_at

    assert content_of(device, since + after_s).is_dark is is_dark
    device.display.press(since + after_s)
    shown = content_of(device, since + after_s + 1)
    assert shown.is_dark is (minutes == 0)


def test_a_lost_network_is_told_whenever_its_words_change() -> None:
    simulation = mining(40)
    device = simulation.device
    device.set_networks([], simulation.now)
    seen: list[str] = []
    for _ in range(60):
        simulation.advance(0.25)
        network, state, *_ = shown(device)
        if network == "Wi-Fi: softaxe":
            seen.append(state)

    assert list(dict.fromkeys(seen)) == [
        "Beacon timeout (Error 200, retry #0)",
        "Connecting...",
        "No access point found (Error 201, retry #1)",
    ]
    assert len(seen) == 2 * 3, "two looks in half a second each"


@pytest.mark.unwatched
def test_other_pages_wake_the_display() -> None:
    simulation = mining(300, displayTimeout=1)
    device = simulation.device
    assert content_of(device, device.now).is_dark

    device.show_update("www.bin", "Finished...")
    assert not content_of(device, device.now + 9).is_dark
    assert not content_of(device, device.now + 60).is_dark
    assert content_of(device, device.now + 71).is_dark

    simulation.advance(100)
    device.press_button(simulation.now, is_long=True)
    simulation.advance(100)
    assert not content_of(device, device.now).is_dark, "the access point's page"
    device.press_button(simulation.now, is_long=True)
    assert not content_of(device, device.now + 57).is_dark
    assert content_of(device, device.now + 61).is_dark


@pytest.mark.unwatched
def test_nobody_sees_a_dark_display_say_hi() -> None:
    device = mining(300, displayTimeout=1).device
    device.identify(device.now)

    assert content_of(device, device.now).is_dark
    assert not content_of(device, device.now).is_saying_hi


def test_a_display_that_is_off_shows_nothing_at_all() -> None:
    device = mining(30, displayTimeout=0, overheat_mode=1).device
    assert content_of(device, device.now).is_dark


def test_from_2_13_one_that_is_off_wakes_for_a_button_and_shows_what_is_urgent() -> (
    None
):
    device = mining(60, displayTimeout=0, firmware="2.13.2").device
    assert content_of(device, device.now).is_dark

    device.press_button(device.now)
    assert not content_of(device, device.now + 4.9).is_dark
    assert content_of(device, device.now + 5.1).is_dark
    device.identify(device.now)
    assert content_of(device, device.now + 20).is_saying_hi
    hot = mining(30, displayTimeout=0, overheat_mode=1, firmware="2.13.2").device
    assert shown(hot)[0] == "DEVICE OVERHEAT!"


@pytest.mark.parametrize(("flipped", "degrees"), [(1, 0), (0, 180)])
def test_flipscreen_says_which_side_is_up(flipped: int, degrees: int) -> None:
    device = Device(firmware="2.8.1", settings={"flipscreen": flipped})

    assert device.display.rotation_degrees == degrees
