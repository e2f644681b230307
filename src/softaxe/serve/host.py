"""What the HTTP server asks of whoever runs the device."""

from typing import Protocol

from softaxe.api.access import Networks
from softaxe.device.device import Device
from softaxe.serve.storage import State


class LogLines(Protocol):
    """Log lines from now on, for one reader; bounded, the oldest go first."""

    async def get(self) -> str:
        """Wait for the next line, colours and line feed included."""

    def close(self) -> None:
        """Take no more lines."""


class Host(Protocol):
    """Runs one device: knows its time, its disk and its pool."""

    @property
    def device(self) -> Device:
        """The device as of its last step."""

    @property
    def storage(self) -> State:
        """Where images go."""

    @property
    def networks(self) -> Networks:
        """Whose clients may use the device, beside those of private ones."""

    @property
    def fleet_seed(self) -> int:
        """What makes the run again, for `--seed`."""

    @property
    def fleet_page(self) -> str:
        """Address of the device's place on the fleet's page; empty without one."""

    @property
    def work_mode_name(self) -> str:
        """What a hash stands for at present: `scaled` or `real`."""

    @property
    def pool_text(self) -> str:
        """The pool in use, in words."""

    @property
    def is_scan_quick(self) -> bool:
        """A Wi-Fi scan takes no time."""

    @property
    def speed(self) -> float:
        """Device seconds per real second; 0 while time stands still."""

    @property
    def reached_speed(self) -> float | None:
        """What of it is reached; None while it stands, or has just begun to go."""

    def sync(self) -> Device:
        """Bring the device to the present and carry its events out."""

    async def commit(self) -> None:
        """Wait until everything to be saved so far is on disk.

        Raises:
            StorageError: It could not be saved.
        """

    async def host_name_for(self, wanted: str) -> str:
        """Return the host name that it gets when it is to have `wanted`."""

    def subscribe_log(self) -> LogLines:
        """Start to receive log lines."""
