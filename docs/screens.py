"""Draws the pictures of docs/screen.md; `make docs` runs it."""

from collections.abc import Iterator
from pathlib import Path

from softaxe import Device, Pool, Simulation
from softaxe.device.display import Page
from softaxe.device.faults import DeviceFaults
from softaxe.screen.picture import draw, panel_of
from softaxe.serve.screen_png import png

FOLDER = Path(__file__).parent / "screen"
SCALE = 4
TALL = "SSD1309 (128x64)"


def mining(seconds: float, **settings: str | int) -> Simulation:
    """A device that has run for a while."""
    device = Device(seed=1, settings=settings)
    made = Simulation(device, Pool.for_scaled_work(seed=1))
    made.advance(seconds)
    return made


def block_found() -> Device:
    """A device whose pool's blocks are easy to find."""
    start, network = 1000 / 2**32, 20_000 / 2**32
    easy = Pool(seed=1, start_difficulty=start, network_difficulty=network)
    made = Simulation(Device(seed=1), easy)
    while not made.device.is_block_found:
        made.advance(1.0)
    return made.device


def chip_missing() -> Device:
    """A device whose chip does not answer."""
    made = Simulation(Device(seed=1), Pool.for_scaled_work(seed=1))
    made.device.set_faults(DeviceFaults(first_dead_chip=1), made.now)
    made.advance(30.0)
    return made.device


def pictures() -> Iterator[tuple[str, Device]]:
    """Yield devices that show what there is to see, one by one."""
    simulation = mining(2.0)
    device = simulation.device
    yield "joining", device
    for page in Page:
        while not device.display.is_turning(device.now) or _shown(device) is not page:
            simulation.advance(0.5)
        simulation.advance(1.0)
        yield page.name.lower(), device
    device.identify(simulation.now)
    yield "hi", device
    device.press_button(simulation.now)
    device.show_update("esp-miner.bin", "Working (42%)")
    yield "update", device
    yield "first_boot", mining(5.0, wifissid="").device
    yield "wrong_password", mining(7.0, wifipass="wrong-words").device
    yield "block_found", block_found()
    yield "chip_missing", chip_missing()
    yield "overheat", mining(30.0, overheat_mode=1).device
    yield "inverted", mining(30.0, rotation=180, invertscreen=1).device
    yield "tall", mining(30.0, display=TALL).device


def _shown(device: Device) -> Page:
    return device.display.turn(device.now).page


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, device in pictures():
        panel = panel_of(device)
        if panel is not None:
            image = draw(device, panel, device.now)
            (FOLDER / f"{name}.png").write_bytes(png(image, SCALE))


if __name__ == "__main__":
    main()
