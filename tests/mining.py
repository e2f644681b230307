"""A device that mines on a pool of its own, and what it says meanwhile."""

from softaxe import Device, Pool, Simulation
from softaxe.catalog import Board
from softaxe.device.body import ModelBody
from softaxe.screen.pages import content_of


def mining(
    seconds: float,
    *,
    board: str | Board = "601",
    seed: int = 1,
    firmware: str | None = None,
    **settings: str | int,
) -> Simulation:
    """Let a device live from when it is switched on.

    Args:
        seconds: For so long, of its own time.
        board: Its version or family, or a row of one's own.
        seed: Of the device and of its pool.
        firmware: Its release; the usual one when left out.
        **settings: What is stored in it, by NVS key or API name.
    """
    device = Device(board=board, seed=seed, firmware=firmware, settings=settings)
    made = Simulation(device, Pool.for_scaled_work(seed=seed))
    made.advance(seconds)
    return made


def shown(device: Device) -> tuple[str, ...]:
    """The lines of its display at present."""
    return content_of(device, device.now).lines


def logged(device: Device) -> list[str]:
    """What it has logged since the last look, with levels."""
    return [f"{line.level} {line.text}" for line in device.log.take()]


def model_of(device: Device) -> ModelBody:
    """Its metal, which is a model."""
    assert isinstance(device.body, ModelBody)
    return device.body
