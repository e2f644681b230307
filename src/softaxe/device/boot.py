"""What a Bitaxe prints and starts while it boots, as a table of times.

Times are seconds after power-on. Source of the lines and their order: ESP-Miner main.c;
the times are estimates from a console's time stamps.
"""

from collections.abc import Callable, Iterator
from enum import Enum, auto

from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware
from softaxe.device.settings import Settings
from softaxe.units import Level

SYSTEM_INIT_S = 1.0
"""Power-on to the moment from which `uptimeSeconds` counts."""
ON_NETWORK_S = 3.5
"""Power-on to the first answer on the network."""

NO_DISPLAY_TEXT = "No display found or panel init failed. Screen not active."


class Milestone(Enum):
    """What else happens at a boot time."""

    RADIO = auto()
    POWER_MANAGEMENT = auto()
    SERVER = auto()


BootStep = tuple[float, Milestone | tuple[Level, str, str]]


def boot_steps(
    board: Board,
    settings: Settings,
    firmware: Firmware,
    *,
    axeos_version: str,
    first_words: str = "",
) -> Iterator[BootStep]:
    """Yield what happens when, in order.

    A board that the firmware does not know is one that somebody built: it has what the
    settings say, which is nothing unless somebody stored that. The oldest releases go
    no further.

    Args:
        board: What is started.
        settings: With which.
        firmware: What runs.
        axeos_version: Of the page.
        first_words: What the system has found out.
    """

    def say(at_s: float, tag: str, text: str) -> BootStep:
        return at_s, (Level.INFO, tag, text)

    chip, overheat = board.chip, int(settings.is_overheated)
    asics = f"ASIC: {board.asic_count}x {chip.name} ({chip.core_count} cores)"
    yield say(0.3, "bitaxe", "Welcome to the bitaxe - FOSS || GTFO!")
    yield say(0.3, "bitaxe", "I2C initialized successfully")
    yield say(0.3, "bitaxe", "RST pin initialized to low")
    yield say(0.4, "adc", "calibration scheme version is Curve Fitting")
    yield say(0.4, "adc", "Calibration Success")
    is_known = board.is_known_to(firmware)
    if not is_known and firmware.rows.unknown_board == "boot stops":
        text = f"Unknown board version {board.version}; the boot stops"
        yield 0.42, (Level.ERROR, "device_config", text)
        return
    yield say(0.42, "device_config", f"Device Model: {board.family}")
    named = "Board Version" if is_known else "Custom Board Version"
    yield say(0.42, "device_config", f"{named}: {board.version}")
    yield say(0.42, "device_config", asics)
    if first_words:
        yield say(0.45, "system", first_words)
    yield say(0.45, "system", f"Initial overheat_mode value: {overheat}")
    yield 0.5, Milestone.RADIO
    if board.has_tps546 and is_known:
        yield say(0.6, "TPS546", "Initializing the core voltage regulator")
        yield say(0.6, "TPS546", "Device ID: 54 49 54 6d 24 41")
    if is_known:
        yield from _sensors(board, say)
    yield say(1.1, "system", f"Existing overheat_mode value: {overheat}")
    yield say(1.15, "display", settings.display)
    if settings.display != "NONE":
        yield say(1.15, "display", "Install panel IO")
        yield say(1.15, "display", "Install panel driver")
        yield say(1.2, "display", "Initialize LVGL")
        yield say(1.2, "display", f"Rotation: {settings.rotation_degrees}")
        yield say(1.25, "display", "Display init success!")
    else:
        yield 1.25, (Level.WARNING, "display", NO_DISPLAY_TEXT)
    yield say(1.25, "input", "Install button driver")
    yield 1.3, Milestone.POWER_MANAGEMENT
    if firmware.rows.axeos_version != "none":
        yield say(1.35, "http_server", f"AxeOS version: {axeos_version}")
    yield say(1.35, "http_server", "Starting HTTP Server")
    yield 1.35, Milestone.SERVER
    if firmware.has_route("GET", "/api/ws/live"):
        yield say(1.36, "websocket_log", "websocket_log_task starting")
        yield say(1.36, "websocket_api", "websocket_api_task starting")
    yield say(1.4, "BAP", "Initializing BAP system")
    yield say(1.4, "BAP", "BAP system initialized successfully")


def _sensors(
    board: Board, say: Callable[[float, str, str], BootStep]
) -> Iterator[BootStep]:
    """What the fan controller and the temperature sensors are told."""
    chip, offset_c = board.fan_controller, board.temp_offset_c
    yield say(0.65, chip, f"Initializing {chip} (Temperature offset: {offset_c:g}° C)")
    if board.emc_ideality is not None and board.emc_beta is not None:
        text = (
            f"{chip} configuration: Ideality Factor: {board.emc_ideality:02x}, "
            f"Beta Compensation: {board.emc_beta:02x}"
        )
        yield say(0.65, "thermal", text)
