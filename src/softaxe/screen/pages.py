"""What the screen says at a moment: lines of text and small pictures.

The first rule that applies wins. Source of rules and texts: ESP-Miner screen.c.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from softaxe.asic.driver import DriverState
from softaxe.device.device import Device
from softaxe.device.display import Mark, Page
from softaxe.units import with_suffix

GIGA = 1e9
SIGNALS = ((-50, "Excellent"), (-60, "Good"), (-70, "Fair"))
ALWAYS_OFF = 0
"""Display timeout with which nothing is shown in turn. Source: ESP-Miner display.c."""
PAUSED = "▐▐"
WELCOME = "Welcome to your new Bitaxe! Connect to its Wi-Fi and set it up. "
OVERHEATED = (
    "Device has overheated. Its settings were reset: use AxeOS to set it up again. "
)


class Picture(Enum):
    """A picture instead of, or over, the lines."""

    BITAXE = auto()
    OSMU = auto()
    QR = auto()
    HI = auto()


@dataclass(frozen=True, slots=True)
class Content:
    """One screenful."""

    lines: tuple[str, ...] = ()
    picture: Picture | None = None
    qr_text: str = ""
    pushed_aside: "Content | None" = None
    """What this content is sliding in over, while it does."""
    slide: float = 1.0
    """How far it has slid in, 0 to 1."""
    corner: str = ""
    """At the end of the first line."""
    is_saying_hi: bool = False
    is_dark: bool = False
    at_s: float = field(default=0.0, compare=False)
    """When it began; long lines scroll from then."""


SLIDE_S = 0.4


def content_of(device: Device, now: float) -> Content:
    """Work out what the screen shows at `now`, and what lies over it."""
    wakes = device.firmware.rows.dark_screen_wakes
    if device.settings.display_timeout_min == ALWAYS_OFF and not wakes:
        return Content(is_dark=True)
    urgent = _urgent(device, now)
    content = _carousel(device, now) if urgent is None else urgent
    if device.is_saying_hi and (wakes or not content.is_dark):
        return Content(is_saying_hi=True)
    return content


def shown_page(device: Device, now: float) -> Page | None:
    """Return the page that is shown, or None while something else is, or nothing."""
    content = content_of(device, now)
    if content.is_dark or content.is_saying_hi or _urgent(device, now) is not None:
        return None
    return Page.STATS if device.shows_block else device.display.turn(now).page


def page_content(device: Device, page: Page) -> Content:
    """Work out what a page says, whether it is shown or not."""
    return Content(*_page(device, page))


def _urgent(device: Device, now: float) -> Content | None:
    """What goes before the turning pages."""
    display, radio = device.display, device.radio
    if (installing := display.installing(now)) is not None:
        return Content(("Firmware update", *installing))
    if device.driver.state is DriverState.FAILED:
        return Content(("ASIC STATUS:", device.driver.failure or ""))
    if device.shows_overheat:
        return Content(("DEVICE OVERHEAT!", OVERHEATED, "IP Address:", device.ipv4))
    qr_text = f"WIFI:S:{radio.ap_name};;"
    picture = Picture.QR if device.firmware.rows.has_mining_page else None
    if not device.settings.ssid:
        welcome = (WELCOME, "Setup Wi-Fi:", radio.ap_name)
        return Content(welcome, picture, qr_text)
    if radio.is_ap_enabled or display.is_showing_wifi(now):
        lines = (
            f"Wi-Fi: {device.settings.ssid}",
            radio.status_text,
            "Setup Wi-Fi:",
            radio.ap_name,
        )
        return Content(lines, picture, qr_text)
    return None


def _carousel(device: Device, now: float) -> Content:
    display = device.display
    is_pinned = device.shows_block
    if not is_pinned and display.is_dark(device.settings.display_timeout_min, now):
        return Content(is_dark=True)
    turn = display.turn(now)
    page = Page.STATS if is_pinned else turn.page
    lines, picture = _page(device, page)
    slid = 1.0 if is_pinned else min(1.0, (now - turn.since) / SLIDE_S)
    before = None
    if slid < 1.0 and turn.before is not None:
        before = Content(*_page(device, turn.before))
    return Content(
        lines,
        picture,
        pushed_aside=before,
        slide=slid,
        corner=_corner(device, now),
        at_s=turn.since,
    )


def _corner(device: Device, now: float) -> str:
    told = device.firmware.rows.screen_marks
    if device.is_paused:
        return PAUSED
    if told == "none":
        return ""
    marks = device.display.marks(now)
    if told == "accepted":
        marks &= {Mark.ACCEPTED}
    text = "x" if Mark.REJECTED in marks else ""
    if {Mark.ACCEPTED, Mark.WORK} <= marks:
        return f"{text}↕"
    if Mark.ACCEPTED in marks:
        text += "↑"
    if Mark.WORK in marks:
        text += "↓"
    return text


def _page(device: Device, page: Page) -> tuple[tuple[str, ...], Picture | None]:
    match page:
        case Page.BITAXE:
            return (device.board.family, device.board.version), Picture.BITAXE
        case Page.OSMU:
            return (), Picture.OSMU
        case Page.URLS:
            host = device.pools.current.url
            return ("Stratum Host:", host, "IP Address:", device.ipv4), None
        case Page.STATS:
            return _stats(device), None
        case Page.MINING:
            return _mining(device), None
        case Page.WIFI:
            return _wifi(device), None


def _stats(device: Device) -> tuple[str, ...]:
    rate_ghs = device.hashrate.current_hs / GIGA
    read = device.readings
    gap = device.firmware.rows.difficulty_gap
    session = with_suffix(device.best_session_difficulty, gap)
    best = f"Best: {session}/{with_suffix(device.best_difficulty, gap)}"
    if device.shows_block:
        best = f"Best: {session}   !!! BLOCK FOUND !!!"
    return (
        f"Gh/s: {rate_ghs:.2f}" if rate_ghs else "Gh/s: --",
        f"J/Th: {read.power_w / (rate_ghs / 1000):.2f}" if rate_ghs else "J/Th: --",
        best,
        f"Temp: {_temperatures(device)}" if read.temp_c > 0 else "Temp: --",
    )


def _temperatures(device: Device) -> str:
    rows, read = device.firmware.rows, device.readings
    first = f"{read.temp_c:.1f}{rows.screen_celsius}"
    if rows.screen_second_temperature and read.temp2_c > 0:
        return f"{first}/{read.temp2_c:.1f}{rows.screen_celsius}"
    return first


def _mining(device: Device) -> tuple[str, ...]:
    block = device.block
    if block is None:
        return ("Block: --", "Difficulty: --", "Scriptsig:", "--")
    return (
        f"Block: {block.height}",
        f"Difficulty: {with_suffix(block.network_difficulty)}",
        "Scriptsig:",
        block.scriptsig or "--",
    )


def _wifi(device: Device) -> tuple[str, ...]:
    rssi_dbm = device.radio.rssi_dbm
    signal = next((name for level, name in SIGNALS if rssi_dbm > level), "Weak")
    if not device.radio.is_connected:
        signal = "--"
    judged = (f"Signal: {signal}",) if device.firmware.rows.screen_tells_signal else ()
    return (
        "Wi-Fi Signal",
        f"RSSI: {rssi_dbm} dBm",
        *judged,
        f"Uptime: {duration(int(device.uptime_s))}",
    )


def duration(seconds: int) -> str:
    """`1d 2h 3m 4s`, without leading zeros."""
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts)
