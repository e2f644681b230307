"""Devices in other people's tests: `running`, and the fixtures of the pytest plugin."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softaxe.testing.options import GroupOptions
    from softaxe.testing.run import (
        MakeDevices,
        RunningDevice,
        RunningFleet,
        RunningPool,
        firmware_image,
        running,
    )

__all__ = [
    "GroupOptions",
    "MakeDevices",
    "RunningDevice",
    "RunningFleet",
    "RunningPool",
    "firmware_image",
    "running",
]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin, and so this package, whether it is used or not.
    if name in __all__:
        from softaxe.testing import run  # noqa: PLC0415

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
