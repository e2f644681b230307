"""Every exception softaxe raises, and how a complaint gets the name of its value.

SoftaxeError
├── SettingError (ValueError)     a setting, option or request member is not allowed
│   └── PatchRefused              members of a PATCH
├── ProtocolError                 a peer broke a protocol
│   └── StratumError
├── ImageError (ValueError)       a firmware or www image is refused
├── UpdateRefused                 the device does not take an update now
├── NotThere                      what is asked for does not exist
├── NotNow                        it cannot be answered at present
│   └── FleetStopped              a fleet ended before it had done what was asked
├── StorageError                  the state directory cannot be used
│   └── StateInUse
└── DeviceError                   a client's view of a device
    ├── DeviceUnreachable
    ├── DeviceTimeout
    └── BadResponse
        └── NoSuchRoute           its firmware does not have the route
"""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class SoftaxeError(Exception):
    """Base of all errors of softaxe; its text is one line for a person."""


class SettingError(SoftaxeError, ValueError):
    """A value is not allowed; the text names the field, the value and what is."""


class PatchRefused(SettingError):
    """Members of a PATCH are not allowed; nothing has changed.

    Args:
        text: Names every one, its value and what is allowed.
        differs: Rows of the profile table by which a device would answer otherwise.
    """

    def __init__(self, text: str, differs: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.differs = differs


def read_as(name: str, read: Callable[[Any], T], value: object) -> T:
    """Read a value.

    Raises:
        SettingError: It is not allowed; the complaint begins with its name, once.
    """
    try:
        return read(value)
    except SettingError as error:
        text = str(error).removeprefix(f"{name}: ")
        raise SettingError(f"{name}: {text}") from error


class ProtocolError(SoftaxeError):
    """A peer broke a protocol; raised by parsers, never out of a session."""


class StratumError(ProtocolError):
    """A Stratum line cannot be understood."""


class ImageError(SoftaxeError, ValueError):
    """A firmware or www image is refused; the text says why."""


class UpdateRefused(SoftaxeError):
    """The device does not take an update in its present state."""


class NotThere(SoftaxeError):
    """What is asked for does not exist; the text names it."""


class NotNow(SoftaxeError):
    """It cannot be answered at present; the text says who has to come to it first."""


class FleetStopped(NotNow):
    """A fleet was told to end before it had done what was asked."""


class StorageError(SoftaxeError):
    """The state directory cannot be read or written."""


class StateInUse(StorageError):
    """Another process works in the state directory."""


class DeviceError(SoftaxeError):
    """Another device did not answer as a device should."""


class DeviceUnreachable(DeviceError):
    """There is nobody at the address."""


class DeviceTimeout(DeviceError):
    """It took too long."""


class BadResponse(DeviceError):
    """It answered, but not in a way that can be used."""


class NoSuchRoute(BadResponse):
    """Its firmware does not have the route; the text names both, and since when."""
