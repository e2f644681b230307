"""Wi-Fi: joining a network, signal strength and the networks around.

Every network that the device has a name for is in range here and takes it in; without a
name it stays an access point. Source of texts and order: ESP-Miner connect.c; times and
signal strengths are estimates.
"""

import random
from dataclasses import dataclass
from enum import IntEnum

from softaxe.units import NEVER, Level, Log

TAG = "connect"
CONNECTING_S = 1.2
ACQUIRING_S = 2.2
CONNECTED_S = 3.0
RSSI_PERIOD_S = 5.0
NO_SIGNAL_DBM = -90
HOME_DBM = (-62.0, -38.0)
"""Where a home network's mean signal strength may lie."""
WANDER_DB = 1.5
HOLD = 0.8
"""How much of its distance from the mean the signal keeps in each period."""
SCAN_LIMIT = 20


class AuthMode(IntEnum):
    """How a network lets stations in. Source: the API page."""

    OPEN = 0
    WPA_PSK = 2
    WPA2_PSK = 3
    WPA_WPA2_PSK = 4
    WPA2_WPA3_PSK = 7


@dataclass(frozen=True, slots=True)
class Network:
    """A network in range."""

    ssid: str
    rssi_dbm: int
    authmode: AuthMode


NEIGHBOURS = (
    ("FRITZ!Box 7590 QX", -67, AuthMode.WPA2_WPA3_PSK),
    ("Vodafone-4C18", -71, AuthMode.WPA2_PSK),
    ("Cafe Hal", -78, AuthMode.OPEN),
    ("DIRECT-7F-HP Laser", -83, AuthMode.WPA2_PSK),
)


class Radio:
    """The station interface and the configuration access point.

    Args:
        ssid: The stored network name; empty means access point only.
        password: Its password.
        hostname: Given to the DHCP server.
        mac: Six bytes of the station interface.
        ipv4: The address the network will give.
        rng: For the signal.
        log: For the connection's lines.
    """

    def __init__(
        self,
        ssid: str,
        password: str,
        *,
        hostname: str,
        mac: bytes,
        ipv4: str,
        rng: random.Random,
        log: Log,
    ) -> None:
        self.status_text = "Initializing..."
        self.is_ap_enabled = True
        self.is_connected = False
        self.next_wake = NEVER
        self.ap_name = f"Bitaxe_{mac[4]:02X}{mac[5] + 1 & 0xFF:02X}"
        """The access point's MAC is the station's plus one."""
        self._ssid = ssid
        self._password = password
        self._hostname = hostname
        self._ipv4 = ipv4
        self._rng = rng
        self._log = log
        self._mean_dbm = rng.uniform(*HOME_DBM)
        self._signal_dbm = self._mean_dbm
        self._started_at = 0.0
        self._stage = 0
        self._periods = 0

    @property
    def rssi_dbm(self) -> int:
        """Signal strength; -90 without a connection."""
        return round(self._signal_dbm) if self.is_connected else NO_SIGNAL_DBM

    def start(self, now: float) -> None:
        """Switch the radio on and begin to join."""
        self._started_at = now
        self._say("Configuration Access Point enabled")
        if not self._ssid:
            self._say("No WiFi SSID provided, skipping connection")
            return
        self._say("ESP_WIFI_MODE_STA")
        if self._password:
            self._say("Wi-Fi Password provided, using WPA2")
        else:
            self._say("No Wi-Fi password provided, using open network")
        self._say("wifi_init_sta finished.")
        self._say(f"ESP_WIFI setting hostname to: {self._hostname}")
        self._say("wifi_init_sta finished.")
        self.next_wake = now + CONNECTING_S

    def step(self, now: float) -> None:
        """Do all that is due at or before `now`, in order."""
        while self.next_wake <= now:
            self._advance(self.next_wake)

    def _advance(self, due: float) -> None:
        """Take the next stage of joining, or let the signal wander."""
        self._stage += 1
        if self._stage == 1:
            self.status_text = "Connecting..."
            self._say(self.status_text)
            self.next_wake = self._started_at + ACQUIRING_S
        elif self._stage == 2:
            self.status_text = "Acquiring IP..."
            self._say(self.status_text)
            self.next_wake = self._started_at + CONNECTED_S
        elif not self.is_connected:
            self.status_text = "Connected!"
            self.is_connected = True
            self.is_ap_enabled = False
            self._say(f"IPv4 Address: {self._ipv4}")
            self._say(f"Connected to SSID: {self._ssid}")
            self._say("Configuration Access Point disabled")
            self._started_at = due
            self.next_wake = due + RSSI_PERIOD_S
        else:
            self._periods += 1
            self.next_wake = self._started_at + (self._periods + 1) * RSSI_PERIOD_S
            away = self._signal_dbm - self._mean_dbm
            wander = self._rng.gauss(0.0, WANDER_DB)
            self._signal_dbm = self._mean_dbm + HOLD * away + wander

    def scan(self) -> list[Network]:
        """Networks in range, strongest first as the driver lists them."""
        found = [Network(*neighbour) for neighbour in NEIGHBOURS]
        if self._ssid:
            mode = AuthMode.WPA2_PSK if self._password else AuthMode.OPEN
            found.append(Network(self._ssid, round(self._signal_dbm), mode))
        found.sort(key=lambda network: -network.rssi_dbm)
        return found[:SCAN_LIMIT]

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)
