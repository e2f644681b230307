"""What others may read of a device: its answers, its screen, metrics and tests do."""

from collections.abc import Mapping

from msgspec import Struct

from softaxe.asic.chip import WorkMode
from softaxe.asic.driver import Driver
from softaxe.board.radio import Radio
from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware
from softaxe.device.body import Body, Chips
from softaxe.device.boot import SYSTEM_INIT_S
from softaxe.device.faults import DeviceFaults
from softaxe.device.hashrate import HashrateAverages
from softaxe.device.identity import Identity
from softaxe.device.load import CpuLoad
from softaxe.device.memory import Heap, Memory
from softaxe.device.mining import BlockInfo, FoundBlock, Mining, whole_difficulty
from softaxe.device.pools import Pools
from softaxe.device.profile import Profile
from softaxe.device.protection import PowerManagement, Readings
from softaxe.device.scoreboard import Scoreboard
from softaxe.device.setting_rules import Stored
from softaxe.device.settings import Settings
from softaxe.device.statistics import STATISTICS_ROWS, ShareCounters, Statistics
from softaxe.device.stopping import StopReason
from softaxe.device.totals import Totals
from softaxe.flash.image import AppImage
from softaxe.flash.partitions import Flash

OWN_PAGE = "Unified"
"""Version of the page inside the firmware."""
MOST_PLAIN = 10**15 - 1
"""The largest number that cJSON prints with all its digits and no exponent."""


class AsicReading(Struct, frozen=True):
    """What the hash rate monitor knows about one chip."""

    total_hs: float
    domains_hs: tuple[float, ...]
    error_count: int
    """The error register as read; it counts up until the chip is reset."""


class AppPartition(Struct, frozen=True):
    """A slot for firmware as it was at boot."""

    label: str
    is_current: bool
    image: AppImage | None


class DeviceState:
    """The parts of a device, and what follows from them; nothing here changes any."""

    __slots__ = ()

    board: Board
    firmware: Firmware
    """The release that runs, or the known one nearest to it."""
    profile: Profile
    """What of the API page's promises lies over what that release does."""
    identity: Identity
    settings: Settings
    settings_at_boot: Settings
    """What is in force of those settings that are only read at boot."""
    nvs: dict[str, Stored]
    """What is stored, by key, also by other releases than the one that runs."""
    now: float
    booted_at: float
    """Device time of power-on or of the last restart."""
    reset_reason: str
    is_saying_hi: bool
    """True while the device identifies itself."""
    is_paused: bool
    """A user has stopped mining; a restart lets it go on."""
    load: CpuLoad | None
    """None where the firmware does not tell it."""
    flash: Flash
    www: Mapping[str, bytes] | None
    """Files of the www image in flash, or None when there is none."""
    partitions: tuple[AppPartition, ...]
    """As they were at boot."""
    axeos_version: str
    """Version of the web page; empty when its image cannot be mounted."""
    body: Body
    radio: Radio
    chain: Chips
    driver: Driver
    power_management: PowerManagement
    mining: Mining
    found_block: FoundBlock | None
    """The last one since boot."""
    pools: Pools
    memory: Memory
    faults: DeviceFaults
    """What is wrong with it."""
    hashrate: HashrateAverages
    statistics: Statistics
    scoreboard: Scoreboard
    totals: Totals
    """Empty where the release has none."""
    _has_server: bool
    _has_started_mining: bool

    @property
    def heap(self) -> Heap:
        """Free memory as it was last looked at."""
        return self.memory.heap

    @property
    def boot_ms(self) -> int:
        """Milliseconds since power-on or restart."""
        return round((self.now - self.booted_at) * 1000)

    @property
    def uptime_s(self) -> float:
        """Seconds since system init."""
        return max(0.0, self.now - self.booted_at - SYSTEM_INIT_S)

    @property
    def started_at(self) -> float:
        """Device time of system init."""
        return self.booted_at + SYSTEM_INIT_S

    @property
    def told_uptime_s(self) -> int:
        """Whole seconds, as the API tells them."""
        totals = self.totals
        return totals.uptime_s if totals.is_counting else int(self.uptime_s)

    @property
    def statistics_limit(self) -> int:
        """Most rows of the statistics, as the API tells it."""
        if self.firmware.rows.statistics_sampling == "limit and duration":
            return self.settings.statistics_limit
        return STATISTICS_ROWS

    @property
    def is_on_network(self) -> bool:
        """True when the device answers HTTP requests.

        It does in its network; without one, whoever looks for it is taken to have
        joined its access point, but for one that came back when the network was lost.
        """
        radio = self.radio
        if radio.is_in_reach or not self._has_server:
            return self._has_server
        return radio.is_given_up and radio.is_ap_enabled and not radio.is_ap_back

    @property
    def mdns_hostname(self) -> str | None:
        """Its name for mDNS, once there has been an address since boot."""
        return self.settings.hostname if self.radio.has_had_lease else None

    @property
    def ipv4(self) -> str:
        """IPv4 address; empty before the first lease, kept when the Wi-Fi is lost."""
        return self.identity.ipv4 if self.radio.has_had_lease else ""

    @property
    def ipv6(self) -> str:
        """IPv6 address; empty before the first, kept when the Wi-Fi is lost."""
        return self.identity.ipv6 if self.radio.has_had_lease else ""

    @property
    def shows_overheat(self) -> bool:
        """True while the screen tells of overheating."""
        return self.power_management.shows_overheat

    @property
    def readings(self) -> Readings:
        """What the last power management pass read."""
        return self.power_management.readings

    @property
    def second_temperature_c(self) -> float:
        """What the second sensor shows, or stands for one where there is none."""
        if self.board.sensor_count > 1:
            return self.readings.temp2_c
        return self.firmware.rows.temp2_without_sensor

    @property
    def stop_reasons(self) -> list[StopReason]:
        """Why mining shall not go on, the one to tell first."""
        reasons = self.power_management.switch.reasons
        return [reason for reason in StopReason if reason in reasons]

    @property
    def is_mining_stopped(self) -> bool:
        """The chips have no power, for a reason or because they did not start."""
        return self.power_management.switch.is_stopped

    @property
    def hardware_fault(self) -> str | None:
        """What has stopped mining until a restart, as the API words it."""
        return self.power_management.fan.hardware_fault

    @property
    def actual_frequency_mhz(self) -> float:
        """What the chips' clock was last set to, as the dividers give it."""
        return self.driver.pll_mhz

    @property
    def current_a(self) -> float:
        """Current as the board measures it now or at the last pass, in amperes."""
        if self.firmware.rows.measures_when_asked:
            return self.body.power_reading.current_a
        return self.readings.current_a

    @property
    def core_voltage_actual_v(self) -> float:
        """Core voltage as measured now or at the last pass, in volts.

        Per domain, but where the ESP32 measures it.
        """
        if self.firmware.rows.core_voltage_source == "adc":
            return self.body.adc_v
        if self.firmware.rows.measures_when_asked:
            return self.body.power_reading.core_voltage_v
        return self.readings.core_voltage_v

    @property
    def chips_hs(self) -> float:
        """Good hashes per second that the chips do; as measured, of real ones."""
        known_hs = self.chain.hashrate_hs
        return self.hashrate.current_hs if known_hs is None else known_hs

    @property
    def hashing_count(self) -> int:
        """Chips that hash; all that answer, of real ones that are measured to."""
        known = self.chain.hashing_count
        if known is not None:
            return known
        return self.driver.detected_count if self.hashrate.current_hs > 0 else 0

    @property
    def expected_hashrate_hs(self) -> float:
        """What the frequency should give."""
        if self.firmware.rows.expected_hashrate == "stored":
            return self.board.expected_hashrate_hs(self.settings.frequency_mhz)
        return self.power_management.expected_hashrate_hs

    @property
    def tells_overheat(self) -> bool:
        """What `overheat_mode` shows: the setting, or the power loop's copy of it."""
        if self.firmware.rows.overheat_mode == "setting":
            return self.settings.is_overheated
        return self.shows_overheat

    @property
    def asics(self) -> list[AsicReading]:
        """One reading per chip; empty before the monitor runs."""
        if not self._has_started_mining:
            return []
        return [
            AsicReading(asic.total_hs, tuple(asic.domains_hs), asic.error_count)
            for asic in self.driver.monitor.asics
        ]

    @property
    def error_percentage(self) -> float:
        """Errored share of the hash rate, in percent."""
        return self.hashrate.error_percentage

    @property
    def best_difficulty(self) -> float:
        """Best difficulty ever; a whole one is kept over restarts."""
        return self._told(self.mining.exact_difficulty)

    @property
    def best_session_difficulty(self) -> float:
        """Best difficulty since boot."""
        return self._told(self.mining.exact_session_difficulty)

    @property
    def pool_difficulty(self) -> float:
        """What the pool last asked for; where that is whole, JSON prints it plain."""
        if self.firmware.rows.pool_difficulty == "double":
            return self.pools.pool_difficulty
        return self._told(min(self.pools.pool_difficulty, MOST_PLAIN))

    @property
    def sent_difficulty(self) -> float:
        """The pool's, of the job that was last sent to the chip."""
        return self._told(self.mining.sent_difficulty)

    def _told(self, difficulty: float) -> float:
        """The whole part of a difficulty; one below 1 as it is, where that is told."""
        if 0 < difficulty < 1 and self.profile.small_difficulties_told:
            return difficulty
        return whole_difficulty(difficulty)

    @property
    def is_using_fallback(self) -> bool:
        """True while the fallback pool is the one in use."""
        return self.pools.is_using_fallback

    @property
    def pool_address_family(self) -> int:
        """0 before the first connection, 2 for IPv4, 10 for IPv6."""
        return self.pools.address_family

    @property
    def pool_connection_info(self) -> str:
        """How the last pool was reached; `Not Connected` before the first."""
        return self.pools.connection_info

    @property
    def work_received(self) -> int:
        """Jobs of the pool since boot or failover."""
        return self.pools.work_received

    @property
    def shares(self) -> ShareCounters:
        """Shares answered since boot or failover."""
        return self.pools.shares

    @property
    def response_time_ms(self) -> float:
        """The pool's last response time, in milliseconds."""
        return self.pools.response_time_ms

    @property
    def blocks_found(self) -> int:
        """Nonces since boot that were good enough for a block."""
        return self.mining.blocks_found

    @property
    def shows_block(self) -> bool:
        """True from a found block until somebody dismisses the news."""
        return self.mining.shows_block

    @property
    def block(self) -> BlockInfo | None:
        """The block being worked on, when the pool told."""
        return self.mining.block

    @property
    def power_fault(self) -> str | None:
        """The regulator's fault in words, while there is one."""
        return self.power_management.power_fault

    @property
    def version(self) -> str:
        """Version of the running firmware."""
        return self.flash.running_image.version

    @property
    def idf_version(self) -> str:
        """ESP-IDF version of the running firmware."""
        return self.flash.running_image.idf_version

    @property
    def running_partition(self) -> str:
        """Label of the partition the firmware runs from."""
        return self.flash.running

    def read_axeos_version(self) -> str:
        """Look at the page and return its version, as the firmware does."""
        kind = self.firmware.rows.axeos_version
        if self.shows_own_page:
            return OWN_PAGE
        if kind == "none" or self.is_www_broken:
            return ""
        text = self.www_version
        if kind == "file":
            return "unknown" if text is None else _decoded(text[:31])
        if text is None:
            return "Unknown"
        return _decoded(text.partition(b"\n")[0][:63])

    @property
    def www_version(self) -> bytes | None:
        """What `/version.txt` of the www partition holds, if there is one."""
        if self.faults.www_version is not None:
            return self.faults.www_version.encode()
        if self.www is None:
            return self.flash.factory_version.encode()
        return self.www.get("/version.txt")

    @property
    def is_www_broken(self) -> bool:
        """True when the www partition holds something that is no file system."""
        flash = self.flash
        if self.www is None and (flash.www_sha256 or not flash.ships_page):
            return True
        return self.faults.is_www_erased

    @property
    def shows_own_page(self) -> bool:
        """True while the page is the one inside the firmware."""
        is_www_used = self.settings_at_boot.use_custom_www and not self.is_www_broken
        return self.firmware.rows.embeds_page and not is_www_used

    @property
    def is_in_recovery(self) -> bool:
        """True while there is no page to show, and the firmware has none inside."""
        return self.is_www_broken and self.firmware.rows.has_recovery_mode

    @property
    def work_mode(self) -> WorkMode:
        """What a searched hash stands for at present."""
        return self.chain.mode


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
