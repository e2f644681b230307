"""Wi-Fi: the networks around, joining one of them, and the access point.

Where the stored network is not in range, or does not take the password, the device
stays an access point and tries again. Source of texts and order: ESP-Miner connect.c;
times and signal strengths are estimates.
"""

import random
from collections.abc import Sequence
from enum import Enum, IntEnum, auto

from msgspec import Struct

from softaxe.catalog.firmware.rows import Rows
from softaxe.units import NEVER, Level, Log

TAG = "connect"
CONNECTING_S = 1.2
"""From switching on to the first attempt."""
ASSOCIATION_S = 1.0
LEASE_S = 0.8
SCAN_S = 2.5
"""Until an attempt finds that the network is not there."""
HANDSHAKE_S = 4.0
"""Until an attempt learns that the password is wrong."""
LEASE_TIMEOUT_S = 30.0
"""Source: ESP-Miner connect.c."""
RETRY_S = 5.0
"""Between the end of an attempt and the next. Source: ESP-Miner connect.c."""
CLIENT_STAYS_S = 30.0
"""How long somebody who asked something is taken to stay on the access point, where
nothing is tried again meanwhile; an estimate."""
CLIENT_TEXT = "Config AP connected!"
ADDRESS_TIMEOUT_TEXT = "IP Acquire Timeout"
BEACON_TIMEOUT_S = 6.0
"""Until the loss of a network is noticed. Source: ESP-IDF."""
RSSI_PERIOD_S = 5.0
"""Between two changes of the signals around, joined or not; an estimate."""
NO_SIGNAL_DBM = -90
HOME_DBM = (-62.0, -38.0)
"""Where a home network's mean signal strength may lie."""
WANDER_DB = 1.5
HOLD = 0.8
"""How much of its distance from the mean the signal keeps in each period."""
SCAN_LIMIT = 20
SSID_BYTES_TRIED = 31
"""Of a name of 32 bytes, the firmware tries so many. Source: ESP-Miner connect.c."""
SCAN_REQUEST_S = 2.1
"""From the request for a scan to its answer: 0.1 s, then a look every second, of which
the second finds that all channels have been listened to, each for at most 120 ms.
Source: ESP-Miner connect.c, defaults of ESP-IDF; that it is the second, an estimate."""
LET_GO_S = 1.0
"""More where the station is not joined: it first ends what it tries. Source: same."""
HOME_SSID, HOME_PASSWORD = "softaxe", "softaxe-wifi"


class AuthMode(IntEnum):
    """How a network lets stations in. Source: ESP-IDF, wifi_auth_mode_t."""

    OPEN = 0
    WPA_PSK = 2
    WPA2_PSK = 3
    WPA_WPA2_PSK = 4
    WPA3_PSK = 6
    WPA2_WPA3_PSK = 7


NOT_SAFE = frozenset({AuthMode.OPEN, AuthMode.WPA_PSK})
"""Joined without a password only: with one, of any length, the firmware asks for WPA2
at least. Source: ESP-Miner connect.c."""


class Reason(IntEnum):
    """Why an attempt failed. Source: ESP-IDF, wifi_err_reason_t."""

    WRONG_PASSWORD = 15
    BEACON_TIMEOUT = 200
    NO_ACCESS_POINT = 201
    INCOMPATIBLE = 210
    BELOW_THRESHOLD = 211


REASON_TEXTS = {
    Reason.WRONG_PASSWORD: "Incorrect password entered",
    Reason.BEACON_TIMEOUT: "Beacon timeout",
    Reason.NO_ACCESS_POINT: "No access point found",
    Reason.INCOMPATIBLE: "No access point found with compatible security",
    Reason.BELOW_THRESHOLD: "No access point found in auth mode threshold",
}


class Network(Struct, frozen=True):
    """A network in range."""

    ssid: str
    rssi_dbm: float | None
    """Mean signal strength; None lets the device draw one of a home."""
    authmode: AuthMode = AuthMode.WPA2_PSK
    password: str = ""
    """What it takes; without one nobody gets in."""
    has_dhcp: bool = True
    """False where no address is ever given."""


class Seen(Struct, frozen=True):
    """A network as a scan shows it."""

    ssid: str
    rssi_dbm: int
    authmode: AuthMode


HOME = Network(HOME_SSID, None, AuthMode.WPA2_PSK, HOME_PASSWORD)
NETWORKS = (
    HOME,
    Network("FRITZ!Box 7590 QX", -67, AuthMode.WPA2_WPA3_PSK),
    Network("Vodafone-4C18", -71),
    Network("Cafe Hal", -78, AuthMode.OPEN),
    Network("DIRECT-7F-HP Laser", -83),
)
"""In range unless told otherwise."""


JOINED_TEXT = "Connected!"


class _Stage(Enum):
    OFF = auto()
    WAITING = auto()
    ASSOCIATING = auto()
    LEASING = auto()
    JOINED = auto()
    LOSING = auto()


class Radio:
    """The station interface and the configuration access point.

    Args:
        ssid: The stored network name; empty means access point only.
        password: Its password.
        networks: What is in range.
        hostname: Given to the DHCP server.
        mac: Six bytes of the station interface.
        ipv4: The address the network will give.
        rows: Of the release.
        rng: Chance, for the signal.
        log: For the connection's lines.
    """

    # With a dict instead, each would take over 1 kB more.
    __slots__ = (
        "_client_until",
        "_heard_dbm",
        "_home_dbm",
        "_hostname",
        "_ipv4",
        "_joined_dbm",
        "_log",
        "_networks",
        "_outcome",
        "_password",
        "_periods",
        "_retries",
        "_rng",
        "_rows",
        "_ssid",
        "_stage",
        "_stage_due",
        "_started_at",
        "_wander_db",
        "_wander_due",
        "ap_name",
        "has_had_lease",
        "is_ap_back",
        "is_ap_enabled",
        "is_connected",
        "is_given_up",
        "is_in_reach",
        "next_wake",
        "status_text",
        "trouble",
    )

    def __init__(
        self,
        ssid: str,
        password: str,
        *,
        networks: Sequence[Network],
        hostname: str,
        mac: bytes,
        ipv4: str,
        rows: Rows,
        rng: random.Random,
        log: Log,
    ) -> None:
        self.status_text = "Initializing..."
        self.is_ap_enabled = True
        self.is_connected = False
        self.is_in_reach = False
        """True while it is joined and its network is there, which it notices late."""
        self.has_had_lease = False
        """True once a network has given an address, also after its loss."""
        self.is_given_up = not ssid
        """True when there is nothing to join, or joining has failed: who wants the
        device now has to join its access point, while that is on."""
        self.is_ap_back = False
        """The access point came back by itself, of which nobody in the network that is
        lost knows."""
        self.next_wake = NEVER
        self.ap_name = f"Bitaxe_{mac[4]:02X}{mac[5] + 1 & 0xFF:02X}"
        """The access point's MAC is the station's plus one."""
        self._ssid = ssid
        self._password = password
        self._hostname = hostname
        self._ipv4 = ipv4
        self._rows = rows
        self._rng = rng
        self._log = log
        self._networks = tuple(networks)
        self._home_dbm = rng.uniform(*HOME_DBM)
        self._wander_db: dict[Network, float] = {}
        """How far each signal is from its mean at present."""
        self._heard_dbm = NO_SIGNAL_DBM
        """Last level of a network that has gone, which takes a while to be noticed."""
        self._joined_dbm: int | None = None
        """Level of the network that is joined; None until somebody asks."""
        self._stage = _Stage.OFF
        self._stage_due = NEVER
        self._outcome: Reason | None = None
        self.trouble = ""
        """Why the last attempt to join failed, also while `status_text` tells of a
        client of the access point; empty when it did not."""
        self._retries = 0
        self._client_until = -NEVER
        self._started_at = 0.0
        self._periods = 0
        self._wander_due = NEVER

    @property
    def rssi_dbm(self) -> int:
        """Signal strength; -90 without a connection."""
        if not self.is_connected:
            return NO_SIGNAL_DBM
        if self._joined_dbm is None:
            mine = self._mine()
            self._joined_dbm = (
                self._heard_dbm if mine is None else self._level_dbm(mine)
            )
        return self._joined_dbm

    def start(self, now: float) -> None:
        """Switch the radio on and begin to join."""
        self._started_at = now
        self._wander_due = now + RSSI_PERIOD_S
        self._schedule()
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
        self._go(_Stage.WAITING, now + CONNECTING_S)

    def set_networks(self, networks: Sequence[Network], now: float) -> None:
        """Change what is in range."""
        self.step(now)
        self._heard_dbm = self.rssi_dbm
        self._networks = tuple(networks)
        self._joined_dbm = None
        if self._stage is _Stage.JOINED and self._mine() is None:
            self._go(_Stage.LOSING, now + BEACON_TIMEOUT_S)
        elif self._stage is _Stage.LOSING and self._mine() is not None:
            self._join()

    def note_client(self, now: float) -> None:
        """Somebody on the access point asks something: try nothing for a while."""
        self.step(now)
        if self.is_ap_enabled and not self.is_connected:
            self._client_until = now + CLIENT_STAYS_S

    def toggle_access_point(self) -> None:
        """Do what a long press of the button does."""
        self._set_access_point(is_on=not self.is_ap_enabled)

    def _set_access_point(self, *, is_on: bool, by_itself: bool = False) -> None:
        self.is_ap_enabled = is_on
        self.is_ap_back = is_on and by_itself
        state = "enabled" if is_on else "disabled"
        self._say(f"Configuration Access Point {state}")

    def step(self, now: float) -> None:
        """Do all that is due at or before `now`, in order."""
        while self.next_wake <= now:
            self._advance(self.next_wake)

    def _advance(self, due: float) -> None:
        if self._wander_due <= due:
            self._wander()
        else:
            self._advance_stage(due)

    def _wander(self) -> None:
        """Move every signal: each is pulled to its mean and goes its own way."""
        self._wander_db = {
            network: HOLD * self._wander_db.get(network, 0.0)
            + self._rng.gauss(0.0, WANDER_DB)
            for network in self._networks
        }
        self._joined_dbm = None
        self._periods += 1
        self._wander_due = self._started_at + (self._periods + 1) * RSSI_PERIOD_S
        self._schedule()

    def _advance_stage(self, due: float) -> None:
        match self._stage:
            case _Stage.WAITING if self.is_given_up and due < self._client_until:
                if self.status_text != CLIENT_TEXT:
                    self._show(CLIENT_TEXT)
                self._go(_Stage.WAITING, self._client_until)
            case _Stage.WAITING:
                self._show("Connecting...")
                self._outcome = self._try()
                took_s = {None: ASSOCIATION_S, Reason.WRONG_PASSWORD: HANDSHAKE_S}
                self._go(_Stage.ASSOCIATING, due + took_s.get(self._outcome, SCAN_S))
            case _Stage.ASSOCIATING if self._outcome is None:
                waits = self._rows.tells_address_wait
                self._show("Acquiring IP..." if waits else JOINED_TEXT)
                network = self._mine()
                has_dhcp = network is not None and network.has_dhcp
                wait_s = LEASE_S if has_dhcp else LEASE_TIMEOUT_S
                self._go(_Stage.LEASING, due + wait_s)
            case _Stage.ASSOCIATING | _Stage.LOSING:
                self._fail(self._outcome or Reason.BEACON_TIMEOUT, due)
            case _Stage.LEASING:
                self._take_lease(due)
            case _Stage.JOINED | _Stage.OFF:
                self._go(self._stage, NEVER)

    def _try(self) -> Reason | None:
        """Tell how an attempt to join will end; None is well."""
        network = self._mine()
        if network is None:
            refusals = [self._refusal(one) for one in self._named()]
            return refusals[0] if refusals else Reason.NO_ACCESS_POINT
        is_right = self._password == network.password != ""
        is_open = network.authmode is AuthMode.OPEN
        return None if is_open or is_right else Reason.WRONG_PASSWORD

    def _refusal(self, network: Network) -> Reason | None:
        """Tell why the station would not even try a network; None when it would."""
        if self._password:
            return Reason.BELOW_THRESHOLD if network.authmode in NOT_SAFE else None
        return None if network.authmode is AuthMode.OPEN else Reason.INCOMPATIBLE

    def _take_lease(self, due: float) -> None:
        network = self._mine()
        if network is None:
            self._fail(Reason.BEACON_TIMEOUT, due)
        elif not network.has_dhcp:
            self.is_given_up = True
            if not self._rows.tells_address_wait:
                self._go(_Stage.LEASING, due + LEASE_TIMEOUT_S)
                return
            self.trouble = ADDRESS_TIMEOUT_TEXT
            self._show(ADDRESS_TIMEOUT_TEXT)
            self._go(_Stage.WAITING, due + RETRY_S)
        else:
            is_first, self.has_had_lease = not self.has_had_lease, True
            self.status_text = JOINED_TEXT
            self._say(f"IPv4 Address: {self._ipv4}")
            self._say(f"Connected to SSID: {self._ssid}")
            if self.is_ap_enabled and (is_first or self._rows.ap_ends == "address"):
                self._set_access_point(is_on=False)
            self._join()

    def _join(self) -> None:
        self.is_connected = True
        self.is_given_up = False
        self.trouble = ""
        self._retries = 0
        self._go(_Stage.JOINED, NEVER)

    def _fail(self, reason: Reason, due: float) -> None:
        is_lost = self.is_connected and self._rows.ap_returns
        self.is_connected = False
        self.is_given_up = True
        self._outcome = None
        self.trouble = text = REASON_TEXTS[reason]
        self._show(f"{text} (Error {reason.value}, retry #{self._retries})")
        if is_lost and not self.is_ap_enabled:
            self._set_access_point(is_on=True, by_itself=True)
        self._retries += 1
        self._go(_Stage.WAITING, due + RETRY_S)

    @property
    def scan_s(self) -> float:
        """How long a scan takes that is asked for now."""
        return SCAN_REQUEST_S + (0.0 if self.is_connected else LET_GO_S)

    def scan(self) -> list[Seen]:
        """Networks in range, strongest first as the driver lists them."""
        found = [
            Seen(network.ssid, self._level_dbm(network), network.authmode)
            for network in self._networks
        ]
        found.sort(key=lambda seen: -seen.rssi_dbm)
        return found[:SCAN_LIMIT]

    def _mine(self) -> Network | None:
        """The strongest network of the stored name that the station would try."""
        fit = [one for one in self._named() if self._refusal(one) is None]
        return max(fit, key=self._level_dbm, default=None)

    def _named(self) -> list[Network]:
        return [one for one in self._networks if one.ssid == self._ssid]

    def _level_dbm(self, network: Network) -> int:
        mean = self._home_dbm if network.rssi_dbm is None else network.rssi_dbm
        return round(mean + self._wander_db.get(network, 0.0))

    def _go(self, stage: _Stage, due: float) -> None:
        self._stage = stage
        self.is_in_reach = stage is _Stage.JOINED
        self._stage_due = due
        self._schedule()

    def _schedule(self) -> None:
        self.next_wake = min(self._stage_due, self._wander_due)

    def _show(self, text: str) -> None:
        self.status_text = text
        self._say(text)

    def _say(self, text: str) -> None:
        self._log(Level.INFO, TAG, text)
