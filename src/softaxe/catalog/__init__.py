"""Chips and boards as data: `catalog.json`, read into typed rows.

Facts of the firmware are those of v2.12.2 (`main/device_config.h`). What describes the
metal itself (heat, errors, supply) is an estimate unless its docstring names a source.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from softaxe.errors import SettingError


@dataclass(frozen=True, slots=True)
class Silicon:
    """How a chip behaves away from its datasheet; all estimates."""

    switching_f: float
    """Effective switched capacitance of one chip, in farads: P = C * V^2 * f."""
    leakage_a_at_60c: float
    """Leakage current at 60 °C and 1 V, in amperes."""
    leakage_doubling_c: float
    """Degrees by which leakage doubles."""
    needed_voltage_at_400mhz_v: float
    """Core voltage needed at 400 MHz and 60 °C."""
    needed_voltage_v_per_mhz: float
    needed_voltage_v_per_c: float
    """More voltage needed per degree above 60 °C."""
    margin_width_v: float
    """Width of the band between working and failing."""
    error_floor: float
    """Errored share of hashes with ample voltage. Source: 1415 errors in 18574 s of
    the page's sample."""
    domain_weights: tuple[float, ...]
    """Share of the hash rate per domain. Source: the page's sample."""


@dataclass(frozen=True, slots=True)
class Chip:
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
    job_interval_ms: int
    """Between two jobs for a single chip."""
    max_baud: int
    hash_counting_number: int
    silicon: Silicon


@dataclass(frozen=True, slots=True)
class Cooling:
    """Heat paths and thermal masses; estimates fitted to the page's sample."""

    chip_to_sink_k_per_w: float
    chip_j_per_k: float
    sink_to_air_k_per_w: float
    """At full airflow."""
    airflow_exponent: float
    """The resistance grows with airflow to minus this power."""
    still_air_k_per_w: float
    """Upper end of the resistance, without any airflow."""
    sink_j_per_k: float
    vr_to_air_k_per_w: float
    """At full airflow; grows with half the exponent."""
    vr_coupling: float
    """Share of the sink's rise over the air that the regulator sees."""
    vr_j_per_k: float


@dataclass(frozen=True, slots=True)
class FanCurve:
    """Speed of the fan over its duty; estimates through the page's sample."""

    rpm_at_zero: float
    """Where the line through the running range would meet zero duty."""
    rpm_at_full: float
    stall_duty: float
    """Below this the fan stands still."""
    inertia_s: float


@dataclass(frozen=True, slots=True)
class Supply:
    """Power supply and regulator."""

    open_circuit_v: float
    resistance_ohm: float
    regulator_efficiency: float
    core_path_ohm: float
    """Between the regulator's set point and where it measures."""
    vout_min_v: float
    vout_max_v: float
    """What the regulator takes per command. Source: TPS546 profile SINGLE_5V."""
    input_off_v: float
    """Below this the regulator reports a fault. Source: as above, VIN_OFF."""
    overcurrent_a: float
    """At this the regulator reports a fault. Source: as above."""


@dataclass(frozen=True, slots=True)
class Board:
    """One board version."""

    version: str
    family: str
    chip: Chip
    asic_count: int
    max_power_w: int
    power_offset_w: int
    nominal_voltage_v: int
    voltage_domains: int
    swarm_color: str
    has_tps546: bool
    temp_offset_c: float
    supply: Supply
    cooling: Cooling
    fan: FanCurve

    @property
    def default_frequency_mhz(self) -> int:
        """Frequency of the factory settings."""
        return self.chip.default_frequency_mhz

    @property
    def default_core_voltage_mv(self) -> int:
        """Core voltage of the factory settings."""
        return self.chip.default_core_voltage_mv

    @property
    def job_interval_ms(self) -> int:
        """Between two jobs for the chain. Source: ESP-Miner asic_task.c."""
        return self.chip.job_interval_ms // self.asic_count


@cache
def boards() -> tuple[Board, ...]:
    """Every board there is, in order of version."""
    text = (files("softaxe.catalog") / "catalog.json").read_text(encoding="utf-8")
    data = json.loads(text)
    chips = {name: _chip(name, row) for name, row in data["chips"].items()}
    return tuple(
        _board(version, data["families"][family], family, chips)
        for version, family in data["boards"].items()
    )


def board(name: str) -> Board:
    """Find a board by version or family; a family means its best known version.

    Raises:
        SettingError: There is none of that name.
    """
    for row in boards():
        if row.version == name:
            return row
    family = [row for row in boards() if row.family.lower() == name.lower()]
    if family:
        return family[len(family) // 2]
    known = ", ".join(row.version for row in boards())
    names = ", ".join(sorted({row.family.lower() for row in boards()}))
    raise SettingError(f"board: {name!r} is none of {known}; families: {names}")


def _chip(name: str, row: dict[str, Any]) -> Chip:
    silicon = dict(row.pop("silicon"))
    silicon["domain_weights"] = tuple(silicon["domain_weights"])
    row["frequency_options_mhz"] = tuple(row["frequency_options_mhz"])
    row["core_voltage_options_mv"] = tuple(row["core_voltage_options_mv"])
    return Chip(name=name, silicon=Silicon(**silicon), **row)


def _board(
    version: str, row: dict[str, Any], family: str, chips: dict[str, Chip]
) -> Board:
    nested = {"chip", "supply", "cooling", "fan"}
    plain = {key: value for key, value in row.items() if key not in nested}
    return Board(
        version=version,
        family=family,
        chip=chips[row["chip"]],
        supply=Supply(**row["supply"]),
        cooling=Cooling(**row["cooling"]),
        fan=FanCurve(**row["fan"]),
        **plain,
    )
