"""Where the devices of a fleet are to be found."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from softaxe.errors import SettingError

PORTS = (0, 65535)
FILES_ALONE = 3
"""Of a device: its listener, and both ends of its pool connection..."""
FILES_PER_DEVICE = 6
"""...and with its usual clients."""
FILES_BESIDE = 256
MOST_FILES = 65536
"""Taken where the system allows it: nobody knows how many miners of others, or clients,
will come, and those for whom there is no file are reset without a word."""
UNUSABLE = (0, 255)
"""Last bytes of addresses that subnet scanners leave out."""


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Gives each device an address of its own, or a port of its own.

    Args:
        host: Of the first device.
        port: Of all devices; 0 gives each a free one.
        port_base: Instead: all have the one address, with ports from here on, or
            free ones when it is 0.
    """

    host: str
    port: int
    port_base: int | None = None

    def places(self, taken: Collection[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Yield host and port of one device after the other.

        Args:
            taken: Places that are left out.

        Raises:
            SettingError: There are none left.
        """
        place = (self.host, self.port if self.port_base is None else self.port_base)
        if place[1] == 0:
            while True:
                yield place
        while True:
            if place not in taken:
                yield place
            place = self._after(*place)

    def _after(self, host: str, port: int) -> tuple[str, int]:
        if self.port_base is not None:
            if port == 65535:
                raise SettingError(
                    f"--port-base: {self.port_base} leaves too few ports below 65536"
                )
            return host, port + 1
        try:
            address = ip_address(host)
        except ValueError:
            address = None
        if not isinstance(address, IPv4Address) or address.is_unspecified:
            raise SettingError(
                f"--host: {host} has no next address; "
                "give an IPv4 address, or ports with --port-base"
            )
        address += 1
        while address.packed[3] in UNUSABLE:
            address += 1
        if not address.is_loopback and ip_address(self.host).is_loopback:
            raise SettingError(f"--host: {self.host} leaves too few addresses")
        return str(address), port


def allow_open_files(device_count: int) -> str | None:
    """Raise this process's limit of open files for a fleet, and for who comes to it.

    Returns:
        What is to be told when there is no room for a client of each device.

    Raises:
        SettingError: The system does not allow what the devices need.
    """
    try:
        import resource  # noqa: PLC0415 - Windows has neither it nor such a limit
    except ImportError:
        return None
    needed = device_count * FILES_PER_DEVICE + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    is_bounded = hard != resource.RLIM_INFINITY
    most = min(MOST_FILES, hard) if is_bounded else MOST_FILES
    for wanted in (max(soft, needed, most), max(soft, needed)):
        try:
            allowed = max(hard, wanted) if is_bounded else hard
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))
        except (OSError, ValueError):  # more than a kernel gives to any process
            continue
        return None
    advice = "raise it (ulimit -n), or spread them with --workers"
    room = hard - device_count * FILES_ALONE - FILES_BESIDE
    if room < 0:
        raise SettingError(
            f"{device_count} devices need {needed} open files, this system allows "
            f"{hard}; {advice}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if room >= device_count:
        return None
    return (
        f"{device_count} devices have room for {room} clients together, as this system "
        f"allows a process {hard} open files; {advice}"
    )
