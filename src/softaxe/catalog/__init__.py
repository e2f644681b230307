"""Chips and boards as data: `catalog.json`, read into typed rows.

A board joins by a row; what a row leaves out it takes from its family. Facts of the
firmware are those of v2.12.2 (`main/device_config.h`) or, where that does not know a
board, of one that does; what other releases say is in `until` and `since`. What
describes the metal itself (heat, errors, supply) is an estimate unless its docstring
names a source.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from softaxe.catalog.firmware import Firmware, firmware, versions
from softaxe.catalog.firmware.rows import release
from softaxe.errors import SettingError

REFERENCE_MHZ = 400
"""Where the half voltages of `Silicon` are told."""


class Silicon(Struct, frozen=True):
    """How a chip behaves away from its datasheet.

    Fitted by docs/fit.py to readings of real devices where there are any, BM1366,
    BM1368 and BM1370; estimates otherwise. docs/physics.md shows how near they come.
    """

    switching_f: float
    """Effective switched capacitance of one chip at 60 °C, in farads:
    P = C * V**2 * f."""
    switching_per_k: float
    """Its relative growth per kelvin."""
    half_voltage_at_400mhz_v: float
    """Core voltage at which half the hashes are lost, at 400 MHz and `best_c`: the mean
    of the domains'."""
    half_voltage_v_per_mhz: float
    """More for every megahertz,"""
    half_voltage_v_per_fast_mhz: float
    """and still more for those above `fast_mhz`."""
    fast_mhz: float
    half_voltage_v_per_k2: float
    """More with the square of the distance from `best_c`; an estimate."""
    best_c: float
    """Temperature at which the least voltage is enough; an estimate."""
    margin_width_v: float
    """Volts over which a small loss changes by a factor of e."""
    domain_half_voltages_v: tuple[float, ...]
    """How much more than the mean each domain needs."""
    domain_weights: tuple[float, ...]
    """Share of the hash rate per domain. Source: the page's sample."""
    error_floor: float
    """Share of hashes that come out wrong at any voltage."""
    error_ceiling: float
    """How many more do with too little voltage."""
    error_margin_v: float
    """Volts above those that lose half at which half of these come."""
    error_width_v: float
    """Volts over which they change by a factor of e."""

    def half_voltage_v(self, frequency_mhz: float, temperature_c: float) -> float:
        """Core voltage at which half the hashes are lost.

        The clock asks for it, beyond a knee more steeply; away from the temperature
        that suits the chip best, hotter or colder, it takes more.
        """
        away_k = temperature_c - self.best_c
        volts = (
            self.half_voltage_at_400mhz_v
            + self.half_voltage_v_per_mhz * (frequency_mhz - REFERENCE_MHZ)
            + self.half_voltage_v_per_k2 * away_k * away_k
        )
        if frequency_mhz > self.fast_mhz:
            volts += self.half_voltage_v_per_fast_mhz * (frequency_mhz - self.fast_mhz)
        return volts


class Chip(Struct, frozen=True):
    """One kind of ASIC."""

    name: str
    chip_id: int
    core_count: int
    small_core_count: int
    hash_domains: int
    ticket_difficulty: int
    default_frequency_mhz: int
    frequency_options_mhz: tuple[int, ...]
    default_core_voltage_mv: int
    core_voltage_options_mv: tuple[int, ...]
    pll_fb_min: int
    pll_fb_max: int
    job_id_step: int
    job_interval_ms: int | None
    """Between two jobs for a single chip; None where the frequency decides."""
    max_baud: int
    hash_counting_number: int | None
    """None where the register is not written."""
    silicon: Silicon
    log_tag: str
    """Of its driver's log lines."""


class Cooling(Struct, frozen=True):
    """Heat paths and thermal masses.

    The exponent and the regulator's are fitted by docs/fit.py, the sinks so that the
    usual fan holds 60 °C in air of 25 °C at 43 % duty; the rest are estimates.
    """

    chip_to_sink_k_per_w: float
    """Of each chip, through its paste."""
    chip_j_per_k: float
    chip_spread: float
    """By how much the first chip of a chain stands more above the sink than the mean,
    and the last less."""
    sink_to_air_k_per_w: float
    """At full airflow."""
    airflow_exponent: float
    """The resistance grows with airflow to minus this power. Fitted by docs/fit.py to
    the speeds that hold three 601s at 60 °C; a plate would have 0.5 to 0.8."""
    still_air_k_per_w: float
    """Upper end of the resistance, without any airflow."""
    sink_j_per_k: float
    vr_to_air_k_per_w: float
    """At full airflow."""
    vr_airflow_exponent: float
    """It grows with airflow to minus this power."""
    vr_coupling: float
    """Share of the sink's rise over the air that the regulator sees."""
    vr_j_per_k: float
    board_coupling: float
    """Share of the chip's rise over the air that a sensor on the board sees."""


class FanCurve(Struct, frozen=True):
    """Speed of the fan over its duty.

    Speed and knee of a Gamma's are fitted by docs/fit.py; the rest are estimates.
    """

    rpm_at_full: float
    knee_duty: float
    """Duty at which the speed would be full if it rose as it begins; it nearly is."""
    stall_duty: float
    """Below this the fan stands still."""
    inertia_s: float
    power_w_at_full: float
    """With `full_flow` 1; grows with the cube of the flow. Source: fan laws."""
    second_share: float = 1.0
    """Speed of a second fan relative to the first."""
    full_flow: float = 1.0
    """Flow at full duty relative to the usual fan of the family."""


class Supply(Struct, frozen=True):
    """Power supply and the way to the core; estimates."""

    open_circuit_v: float
    resistance_ohm: float
    loss_w: float
    """The regulator's loss without load."""
    loss_v: float
    """Its loss per ampere of core current: switching."""
    loss_ohm: float
    """Its loss per ampere squared: conduction."""
    core_path_ohm: float
    """Between the regulator's set point and where it measures."""
    aux_w: float
    """Everything but chips, regulator and fan."""


class Regulator(Struct, frozen=True):
    """The core regulator's chip and its limits.

    Source: ESP-Miner TPS546.h (one row per configuration) and DS4432U.c. What the
    DS4432U, a mere current source for a regulator's feedback, lacks is infinite here.
    """

    kind: Literal["TPS546", "DS4432U"]
    vout_min_v: float
    vout_max_v: float
    """What a command may ask for, over all domains."""
    vin_on_v: float = 0.0
    vin_off_v: float = 0.0
    """Input voltages at which it starts and gives up."""
    vin_ov_fault_v: float = float("inf")
    iout_oc_warn_a: float = float("inf")
    iout_oc_fault_a: float = float("inf")
    ot_warn_c: float = float("inf")
    ot_fault_c: float = float("inf")
    vin_uv_warn_v: float = 0.0
    """0 where it is left as it is."""
    vout_scale_loop: float = 1.0
    """Share of the output voltage that is fed back."""
    phases: int = 1
    """Chips that share the current, stacked."""


UNHURRIED_PARTS = 256
"""Of a chip without its own job interval, by the newer rule. Source: ESP-Miner v2.14,
asic.c."""
FanChip = Literal["EMC2101", "EMC2103", "EMC2302"]
Sensor = Literal["EMC2101 internal", "EMC2101 diode", "EMC2103 diode", "TMP1075"]


class Board(Struct, frozen=True):
    """One board version."""

    version: str
    family: str
    chip: Chip
    asic_count: int
    max_power_w: int
    power_offset_w: int
    nominal_voltage_v: int
    voltage_domains: int
    """Groups of chips in series; each gets the core voltage."""
    swarm_color: str
    usual_version: str
    """The family's board that its bare name means."""
    regulator: Regulator
    fan_controller: FanChip
    fan_count: int
    temp_sensor: Sensor
    sensor_count: int
    temp_offset_c: float
    """Added to every reading."""
    has_plug_sense: bool
    """The firmware looks at boot whether the barrel plug is in."""
    has_asic_enable: bool
    """A line switches the chip's power."""
    supply: Supply
    cooling: Cooling
    fan: FanCurve
    emc_ideality: int | None = None
    emc_beta: int | None = None
    """Diode settings of the EMC2101 where the firmware writes them."""
    are_sensors_exchanged: bool = False
    """The firmware takes the second sensor for the first."""
    factory_nvs: Mapping[str, str | int] = field(default_factory=dict)
    """Where its factory settings differ from the usual ones."""
    until: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What releases before the key's say of it instead,"""
    since: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """and what the key's and later ones do."""

    @property
    def has_tps546(self) -> bool:
        """Whether the regulator reports power, heat and faults."""
        return self.regulator.kind == "TPS546"

    @property
    def default_frequency_mhz(self) -> int:
        """Frequency of the factory settings."""
        return self.chip.default_frequency_mhz

    @property
    def default_core_voltage_mv(self) -> int:
        """Core voltage of the factory settings."""
        return self.chip.default_core_voltage_mv

    @property
    def releases(self) -> tuple[str, ...]:
        """Releases that know it, the oldest first; none knows a board of one's own."""
        return _releases(self.version)

    def is_known_to(self, firmware: Firmware) -> bool:
        """Whether a release has a row for it; one's own comes with a firmware of it."""
        return self.version in firmware.boards or not self.releases

    def seen_by(self, firmware: Firmware) -> "Board":
        """Return it as a release describes it."""
        this, seen = release(firmware.version), self
        for key, row in self.until.items():
            if this < release(key):
                seen = _described(seen, row)
        for key, row in self.since.items():
            if this >= release(key):
                seen = _described(seen, row)
        return seen

    def expected_hashrate_hs(self, frequency_mhz: float) -> float:
        """What all small cores give at a frequency."""
        return frequency_mhz * 1e6 * self.chip.small_core_count * self.asic_count

    def job_interval_ms(
        self,
        frequency_mhz: float,
        division: Literal["none", "chips", "power of two"] = "chips",
    ) -> float:
        """Time between two jobs for the chain. Source: ESP-Miner asic.c.

        Args:
            frequency_mhz: Of the chips.
            division: By what the firmware divides it.
        """
        chips = self.asic_count
        if self.chip.job_interval_ms is not None:
            match division:
                case "none":
                    return self.chip.job_interval_ms
                case "chips":
                    return self.chip.job_interval_ms // chips
                case "power of two":
                    return self.chip.job_interval_ms // (1 << (chips - 1).bit_length())
        if division == "power of two":
            return 2**32 / UNHURRIED_PARTS / (frequency_mhz * 1e3)
        # A chip without its own interval gets a job per 2**32 nonces of a small core.
        nonces_per_ms = frequency_mhz * 1e3 * self.chip.small_core_count
        return 2**32 / nonces_per_ms / chips


@cache
def boards() -> tuple[Board, ...]:
    """Every board there is, in the catalogue's order."""
    return read_boards(catalog_data())


def catalog_data() -> dict[str, Any]:
    """Return the catalogue as it is stored; the caller may change it."""
    text = (files("softaxe.catalog") / "catalog.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def read_boards(data: Mapping[str, Any]) -> tuple[Board, ...]:
    """Make typed rows of a catalogue.

    Raises:
        KeyError, TypeError: A row lacks something, or has too much.
    """
    chips = read_chips(data)
    return tuple(
        _board(version, row, data, chips) for version, row in data["boards"].items()
    )


def read_chips(data: Mapping[str, Any]) -> dict[str, Chip]:
    """Make typed rows of a catalogue's chips, by their key."""
    return {key: _chip(key, row) for key, row in data["chips"].items()}


USUAL_BOARD = "601"
"""The one to take when nobody says which: a Gamma."""


def board(name: str, known_to: Firmware | None = None) -> Board:
    """Find a board by version or family; a family means its usual version.

    Args:
        name: Which.
        known_to: The firmware it comes with; None for one that knows it. A family
            means the newest version then that the firmware knows.

    Raises:
        SettingError: There is none of that name, or the firmware does not know it.
    """
    for row in boards():
        if row.version == name:
            return checked_board(row, known_to)
    family = [row for row in boards() if row.family.lower() == name.lower()]
    if not family:
        known = ", ".join(row.version for row in boards())
        names = ", ".join(dict.fromkeys(row.family.lower() for row in boards()))
        raise SettingError(f"board: {name!r} is none of {known}; families: {names}")
    usual = next(row for row in family if row.version == row.usual_version)
    if known_to is None or usual.is_known_to(known_to):
        return usual
    known_rows = [row for row in family if row.is_known_to(known_to)]
    return known_rows[-1] if known_rows else checked_board(usual, known_to)


def checked_board(row: Board, known_to: Firmware | None) -> Board:
    """Return a board that a firmware knows.

    Raises:
        SettingError: It does not; says which do.
    """
    if known_to is None or row.is_known_to(known_to):
        return row
    first, last = row.releases[0], row.releases[-1]
    know = f"{first} to {last} do" if first != last else f"only {first} does"
    raise SettingError(
        f"board: firmware {known_to.version} does not know {row.version} "
        f"({row.family}); {know}"
    )


def firmware_for(row: Board) -> Firmware:
    """Return the firmware that a board comes with: the usual one if that knows it."""
    usual = firmware()
    if row.is_known_to(usual):
        return usual
    newer = [v for v in row.releases if release(v) > release(usual.version)]
    return firmware(newer[0] if newer else row.releases[-1])


@cache
def _releases(version: str) -> tuple[str, ...]:
    return tuple(one for one in versions() if version in firmware(one).boards)


def _described(row: Board, changes: Mapping[str, Any]) -> Board:
    """Return a board with what some releases say; of groups, some members."""
    typed = {
        name: replace(getattr(row, name), **value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return replace(row, **typed)


def _chip(key: str, row: Mapping[str, Any]) -> Chip:
    lists = {
        name: tuple(row[name])
        for name in ("frequency_options_mhz", "core_voltage_options_mv")
    }
    known = _silicon(row["silicon"])
    named = {"name": key, "log_tag": row.get("name", key).lower()}
    return Chip(**{**named, **row, **lists, "silicon": known})


def _silicon(row: Mapping[str, Any]) -> Silicon:
    lists = {
        name: tuple(row[name]) for name in ("domain_half_voltages_v", "domain_weights")
    }
    return Silicon(**{**row, **lists})


def _board(
    version: str,
    row: Mapping[str, Any],
    data: Mapping[str, Any],
    chips: Mapping[str, Chip],
) -> Board:
    merged = _merged(data["families"][row["family"]], row)
    chip = chips[merged["chip"]]
    if binned := merged.pop("silicon", None):
        silicon = data["chips"][merged["chip"]]["silicon"]
        chip = replace(chip, silicon=_silicon(_merged(silicon, binned)))
    typed = {
        "chip": chip,
        "regulator": Regulator(**data["regulators"][merged["regulator"]]),
        "supply": Supply(**merged["supply"]),
        "cooling": Cooling(**merged["cooling"]),
        "fan": FanCurve(**merged["fan"]),
    }
    return Board(**{"version": version, **merged, **typed})


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `over` says instead, inside its groups too."""
    merged = dict(base)
    for key, value in over.items():
        is_group = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if is_group else value
    return merged
