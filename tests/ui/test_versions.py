"""The page on devices of other firmware versions."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from softaxe.testing import firmware_image

Show = Callable[[str, str], tuple[Any, Page]]
"""A device of a release, and its page at a place."""

UNFOLD_AND_CHOOSE = """select => {
    select.closest("details").querySelector("summary").click();
    select.selectedIndex = 1;
    select.dispatchEvent(new Event("change", { bubbles: true }));
}"""
"""In one go: the page is drawn anew before it hears that its owner has unfolded it."""


@pytest.fixture(scope="module")
def device_of(
    run_device: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Any]]:
    """The device of a release that all tests of it share."""
    with ExitStack() as stack:

        @cache
        def shared(release: str) -> Any:
            state = tmp_path_factory.mktemp("device")
            options = {"speed": 5.0, "firmware": (release,)}
            device = stack.enter_context(run_device(state, **options))
            device.advance(45)  # it mines, at terahashes a second
            return device

        yield shared


@pytest.fixture
def show(device_of: Callable[[str], Any], visit: Callable[..., Page]) -> Show:
    def show(release: str, place: str) -> tuple[Any, Page]:
        device = device_of(release)
        return device, visit(device.url, place)

    return show


@pytest.mark.parametrize("release", ["2.8.1", "2.10.1", "2.14.2", "2.15.0"])
def test_every_page_shows_a_device_of_any_version(show: Show, release: str) -> None:
    device, page = show(release, "")
    expect(page.get_by_text(f"v{release}")).to_be_visible()
    expect(page.get_by_text("Mining", exact=True)).to_be_visible()
    expect(page.locator(".big")).to_contain_text("TH/s")
    shown = page.locator("main").inner_text()
    assert "NaN" not in shown
    assert "undefined" not in shown
    for name, words in ("settings", "No changes."), ("update", "What is installed"):
        page.goto(f"{device.url}/#/{name}")
        expect(page.get_by_text(words)).to_be_visible()


def test_mining_is_paused_and_tls_and_stratum_v2_chosen_for_pools_without_slots(
    show: Show,
) -> None:
    device, page = show("2.14.2", "")
    page.get_by_role("button", name="Pause mining").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    expect(page.get_by_text("Mining is paused.")).to_be_visible()
    assert device.info()["miningPaused"] is True

    page.get_by_role("button", name="Resume mining").click()
    expect(page.get_by_text("Mining", exact=True)).to_be_visible()

    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    page.goto(f"{device.url}/#/settings/pool")
    first = page.get_by_role("group", name="Primary")
    second = page.get_by_role("group", name="Fallback")
    certificate = first.get_by_label("Certificate", exact=True)
    tls = "Encryption (TLS)"
    encryption = first.get_by_label(tls, exact=True)
    encryption.evaluate(UNFOLD_AND_CHOOSE)  # both sides unfold
    expect(encryption).to_have_value("1")
    expect(certificate).to_have_count(0)
    encryption.select_option("On, certificate below")
    certificate.fill(pem)
    expect(second.get_by_label("Channel", exact=True)).to_have_count(0)
    second.get_by_label("Protocol", exact=True).select_option("Stratum v2")
    expect(second.get_by_label(tls, exact=True)).to_have_count(0)
    second.get_by_label("Channel", exact=True).select_option("Standard")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()

    info = device.info()
    assert (info["stratumTLS"], info["stratumCert"]) == (2, pem)
    assert info["fallbackStratumProtocol"] == "SV2"
    assert info["fallbackStratumV2ChannelType"] == "standard"


def test_pool_slots_are_filled_chosen_and_cleared(show: Show) -> None:
    device, page = show("2.15.0", "settings/pool")
    expect(page.get_by_text("used with the next connection")).to_be_visible()
    page.get_by_role("button", name="Add pool").click()
    third = page.get_by_role("group", name="Pool 3")
    save = third.get_by_role("button", name="Save pool")
    third.get_by_label("Host", exact=True).fill("pool.example")
    third.get_by_label("Port", exact=True).fill("0")
    third.get_by_label("User", exact=True).fill("me.third")
    expect(third.get_by_text("Allowed is 1 to 65535.")).to_be_visible()
    expect(save).to_be_disabled()
    page.get_by_role("link", name="Logs").click()
    expect(page.get_by_title("Changes not saved")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("button", name="Edit").first).to_be_disabled()
    third.get_by_label("Port", exact=True).fill("4444")
    third.get_by_text("Advanced").click()
    difficulty = third.get_by_label("Suggested difficulty", exact=True)
    difficulty.fill("-1")
    expect(save).to_be_disabled()
    difficulty.fill("512")
    expect(difficulty).to_be_visible()  # nothing folds while its owner types
    save.click()
    expect(page.get_by_text("pool.example:4444")).to_be_visible()
    found = device.info()["pools"][2]
    assert (found["id"], found["stratumPort"], found["stratumUser"]) == (
        *(2, 4444),
        "me.third",
    )

    row = page.locator("li", has_text="Pool 3")
    row.get_by_role("button", name="Use as fallback").click()
    expect(row.get_by_text("fallback", exact=True)).to_be_visible()
    expect(row.get_by_role("button", name="Clear")).to_have_count(0)
    row = page.locator("li", has_text="Pool 2")
    row.get_by_role("button", name="Clear").click()
    question = page.get_by_role("dialog", name="Clear Pool 2?")
    question.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Pool 2", exact=True)).to_have_count(0)
    assert [one["id"] for one in device.info()["pools"]] == [0, 2]
    expect(page.get_by_text("Changed meanwhile:")).to_have_count(0)

    page.locator("li", has_text="Pool 3").get_by_role("button", name="Edit").click()
    third.get_by_label("User", exact=True).fill("me.typed")
    changed = device.info()["pools"][1] | {"stratumPort": 5555}
    del changed["id"]
    device.client.put("/api/system/pools/2", json=changed)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Pool 3: Port: 4444 → 5555")).to_be_visible()
    expect(third.get_by_label("Port", exact=True)).to_have_value("5555")
    expect(third.get_by_label("User", exact=True)).to_have_value("me.typed")
    third.get_by_role("button", name="Cancel").click()


def test_an_unknown_version_is_told_on_a_phone(
    run_device: Any, tmp_path: Path, visit: Callable[..., Page]
) -> None:
    with run_device(tmp_path, speed=20.0, firmware=("2.14.2",)) as device:
        image = firmware_image("v2.16.0-rc1")
        booted_at = device.member.device.booted_at
        httpx.post(f"{device.url}/api/system/OTA", content=image)
        while device.member.device.booted_at == booted_at or not device.member.is_open:
            time.sleep(0.01)
        page = visit(device.url, "update", viewport={"width": 390, "height": 844})
        expect(page.get_by_text("speaks as v2.15.0")).to_be_visible()
        expect(page.get_by_text("Web page: part of the firmware.")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390

        page.get_by_role("button", name="Start from factory").click()
        expect(page.get_by_text("Now v2.14.2 runs in factory.")).to_be_visible()
        assert device.info()["runningPartition"] == "factory"
