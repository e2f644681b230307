"""Fits the silicon, fans and regulators of the catalogue to readings of real devices.

    python docs/fit.py

It needs the dependency group `docs`. Every curve comes from the code that a live device
runs; what is fitted are its constants. Devices differ: each has a factor of its own on
what it draws and a shift of its own on the voltage that it needs, of which only the
spread is known beforehand (a mixed model, by penalised least squares). A reading of low
trust weighs a third, and the many of one device less than as many of several.

A reading joins by a row of docs/measured.csv. This prints the constants with their
errors, which the catalogue has rounded, and writes the tables of docs/physics.md.
"""

import csv
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from scipy.optimize import least_squares, minimize
from scipy.stats import norm

from softaxe.api.docs import table
from softaxe.asic.hashing import domain_shares
from softaxe.board.fan import FAN_CHIPS, KNEE_SHARPNESS, speed_share
from softaxe.board.power import PowerStage
from softaxe.board.thermal import Thermal
from softaxe.catalog import Board, Silicon, board
from softaxe.catalog.lottery import (
    FAN,
    HALF_VOLTAGE_V,
    KNEE,
    LEAN_IS_WEAK,
    REGULATOR,
    SINK,
    SUPPLY_V_SHARE,
    SWITCHING,
    Specimen,
)
from softaxe.device.steady import LONG_S

DOCS = Path(__file__).parent
READINGS = DOCS / "measured.csv"
PAGE = DOCS / "physics.md"
BEGIN, END = (
    "<!-- tables of the fit: made by docs/fit.py -->",
    "<!-- end of the fit -->",
)
BOARDS = {"BM1366": "204", "BM1368": "401", "BM1370": "601"}
"""Taken for where a reading does not say: those with an INA260, but the last."""
DISTRUST = {"high": 1.0, "medium": 1.0, "low": 3.0}
"""Factor of a reading's error."""
POWER_ERROR = 0.01
"""Relative, of a reading of power: how well the best formula does within a device."""
SHARE_ERROR = 0.01
"""Beside the reading's own: how well the formula does."""
MANY = 0.35
"""The error of power of each of n readings of a device grows with n to this power: it
is the formula's, and repeats itself. That of shares is chance."""
AIR_C = 25.0
"""Where a sensor sees the board: readings do not tell the air."""
USUAL_FAN_PERCENT = 60.0
IDLE = "idle power"
"""Of a remark: no clock, whatever is set."""
IDLE_ERROR = 0.1
"""Relative, of such a reading, seconds after the start."""
SPREADS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75)
"""Of the devices, relative to the lottery's; the likeliest is taken."""
HELD_OUT, SPLITS = 0.2, 5
PAIR_GAP_V, STEP_WIDTH_V, STEP_ERROR_V = 0.010, 0.006, 0.001
"""Between the two domains of a BM1368 that fail first, and the width of their curves.
Free, the fit parts them by 38 mV: that is nearer in the mean (0.04 instead of 0.06) but
makes steps of a quarter, where the rate falls to one half within 25 mV and stays."""
LAST_DOMAIN_V, LAST_ERROR_V = -0.11, 0.01
"""Of the domain that was never seen to fail: a guess."""


NIGHTS = ("0529", "0530")
"""Of the names of readings: G1 to G3 were read in three airs."""


class Reading(Struct, frozen=True):
    """One row of measured.csv."""

    name: str
    device: str
    board: Board
    mhz: float
    """0 when idle."""
    volts: float
    """Set."""
    core_v: float
    """Under load; what the typical chip leaves of it."""
    temp_c: float
    temp_offset_c: float
    """Added by the firmware."""
    power_w: float | None
    """Of the core with a TPS546, of the input with an INA260."""
    share: float | None
    """Of the expected hash rate, without the bias of its kind."""
    share_error: float
    airflow: float
    distrust: float
    evening: str
    """The device and when it was read: one air."""
    vr_c: float | None
    duty: float | None
    """Of the fan, in the steps of its controller."""
    rpm: float | None
    input_v: float | None

    @property
    def chip_c(self) -> float:
        """What the chips have, by what the sensor shows."""
        row = self.board
        if row.temp_sensor.endswith("diode"):
            return self.temp_c
        rise = self.temp_c - self.temp_offset_c - AIR_C
        return AIR_C + rise / row.cooling.board_coupling


def readings() -> list[Reading]:
    """Read them; those without a setting and of other makers' boards are left out."""
    with READINGS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    drops = _drops_mv(rows)
    return [
        _reading(row, drops)
        for row in rows
        if (row["power_w"] or row["share_corrected"] or row["share_plateau"])
        and row["frequency_mhz"]
        and "not a Bitaxe" not in row["remark"]
    ]


def _drops_mv(rows: Iterable[Mapping[str, str]]) -> dict[str, float]:
    """How far below the setting the converter at the chip reads, by device."""
    drops: dict[str, list[float]] = {}
    for row in rows:
        if row["core_mv_set"] and row["core_mv_read"]:
            drop = float(row["core_mv_set"]) - float(row["core_mv_read"])
            drops.setdefault(row["device"], []).append(drop)
    return {device: float(np.median(values)) for device, values in drops.items()}


def _reading(row: Mapping[str, str], drops: Mapping[str, float]) -> Reading:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    device, night = row["device"], row["id"].rpartition("-")[2]
    power_w, offset_w = number("power_w"), number("power_offset_w")
    share = number("share_plateau") or number("share_corrected")
    millivolts = number("core_mv_set")
    if millivolts is None:
        millivolts = float(row["core_mv_read"]) + drops[row["device"]]
    try:
        known = board(row["board"] or BOARDS[row["chip"]])
    except ValueError:
        known = board(BOARDS[row["chip"]])
    reading = Reading(
        name=row["id"],
        device=device,
        board=known,
        mhz=0.0 if IDLE in row["remark"] else float(row["frequency_mhz"]),
        volts=millivolts / 1000,
        core_v=millivolts / 1000,
        temp_c=float(row["temp_c"]),
        temp_offset_c=float(row["temp_offset_c"] or known.temp_offset_c),
        power_w=None if power_w is None else power_w - (offset_w or 0.0),
        share=share,
        share_error=float(row["share_se"] or 0.1),
        airflow=float(row["fan_percent"] or USUAL_FAN_PERCENT) / 100,
        distrust=DISTRUST[row["trust"]],
        evening=f"{device} {night if night in NIGHTS else ''}",
        vr_c=number("vr_temp_c"),
        duty=_duty(known, 100.0 if device in FULL_FANS else number("fan_percent")),
        rpm=number("fan_rpm") or None,
        input_v=(number("input_mv") or 0.0) / 1000 or None,
    )
    core_v = stage(reading, known.chip.silicon).core_voltage_v
    return replace(reading, core_v=core_v)


def _duty(row: Board, percent: float | None) -> float | None:
    steps = FAN_CHIPS[row.fan_controller].pwm_steps
    return None if percent is None else int(steps * percent / 100) / steps


def stage(reading: Reading, silicon: Silicon, aux_w: float | None = None) -> PowerStage:
    """The power stage of a reading's board at its setting."""
    row = reading.board
    if aux_w is not None and not row.has_tps546:
        row = replace(row, supply=replace(row.supply, aux_w=aux_w))
    power = PowerStage(Specimen(row, (silicon,) * row.asic_count))
    power.core_voltage_setting_v = reading.volts
    power.step(
        frequency_mhz=reading.mhz,
        activity=1.0,
        temperatures_c=[reading.chip_c] * row.asic_count,
        airflow=reading.airflow,
    )
    return power


def power_w(reading: Reading, silicon: Silicon, aux_w: float | None = None) -> float:
    """What the board's meter shows, without the firmware's offset."""
    power = stage(reading, silicon, aux_w)
    return power.core_power_w if reading.board.has_tps546 else power.input_power_w


def share(reading: Reading, silicon: Silicon) -> float:
    """Share of the expected hash rate."""
    half_v = silicon.half_voltage_v(reading.mhz, reading.chip_c)
    return sum(domain_shares(silicon, reading.core_v - half_v))


@dataclass(slots=True)
class Fit:
    """What came out."""

    values: dict[str, float]
    errors: dict[str, float]
    devices: dict[str, float]
    """Factor (as a logarithm) or shift of each."""
    spread: float


def fit(
    given: Sequence[Reading],
    start: Mapping[str, float],
    *,
    measured: Callable[[Reading], float],
    model: Callable[[Reading, Mapping[str, float], float], float],
    error: Callable[[Reading], float],
    spread: float,
    many: float = 0.0,
    prior: Callable[[Mapping[str, float]], list[float]] = lambda _: [],
    at_least: Mapping[str, float] | None = None,
    holds_spread: bool = False,
) -> Fit:
    """Fit constants and devices together.

    Args:
        given: Readings.
        start: Constants to begin with, by name.
        measured: What is to be met.
        model: What the code says, by reading, constants and the device's own.
        error: Standard deviation of the difference.
        spread: Standard deviation of the devices' own, to begin with.
        many: Power of a device's number of readings with which their error grows.
        prior: Further residuals in standard deviations.
        at_least: Lower bounds of constants.
        holds_spread: Leaves it as it is.
    """
    names, devices = list(start), sorted({reading.device for reading in given})
    counts = {d: sum(r.device == d for r in given) for d in devices}
    scale = np.array([abs(start[name]) or 1e-3 for name in names])
    target = np.array([measured(reading) for reading in given])
    sigma = np.array([error(r) * counts[r.device] ** many for r in given])
    x = np.zeros(len(names) + len(devices))
    least = np.full(len(x), -np.inf)
    for name, value in (at_least or {}).items():
        least[names.index(name)] = (value - start[name]) / abs(start[name])

    def constants(x: Any) -> dict[str, float]:
        parts = zip(names, x, scale, strict=False)
        return {n: start[n] + float(part) * float(unit) for n, part, unit in parts}

    best: tuple[float, Fit] | None = None
    for candidate in [spread] if holds_spread else [spread * f for f in SPREADS]:

        def residuals(x: Any, candidate: float = candidate) -> Any:
            known, own = constants(x), x[len(names) :]
            owns = dict(zip(devices, map(float, own * candidate), strict=True))
            said = [model(r, known, owns[r.device]) for r in given]
            return np.concatenate([(target - said) / sigma, own, prior(known)])

        found = least_squares(residuals, x, bounds=(least, np.inf), x_scale="jac")
        curvature = found.jac.T @ found.jac
        unlikely = 2 * found.cost + float(np.linalg.slogdet(curvature)[1])
        if best is None or unlikely < best[0]:
            x = found.x
            sigmas = np.sqrt(np.diag(np.linalg.pinv(curvature)))[: len(names)] * scale
            owns = x[len(names) :] * candidate
            came = Fit(
                constants(x),
                dict(zip(names, map(float, sigmas), strict=True)),
                dict(zip(devices, map(float, owns), strict=True)),
                candidate,
            )
            best = unlikely, came
    assert best is not None
    return best[1]


def log_power(reading: Reading, known: Mapping[str, float], own: float) -> float:
    """Power of a reading's device, by its own factor's logarithm."""
    farads = known[f"{reading.board.chip.name} switching_f"]
    silicon = replace(
        reading.board.chip.silicon,
        switching_f=farads * float(np.exp(own)),
        switching_per_k=known["switching_per_k"],
    )
    return float(np.log(power_w(reading, silicon, known["aux_w"])))


def fit_power(given: Sequence[Reading], **options: Any) -> Fit:
    """Fit what all chips draw."""
    chips = sorted({r.board.chip.name for r in given})
    start = {f"{name} switching_f": board_of(name).switching_f for name in chips}
    start["switching_per_k"] = board_of("BM1370").switching_per_k
    start["aux_w"] = board("401").supply.aux_w
    return fit(
        given,
        start,
        measured=lambda r: float(np.log(r.power_w or 1.0)),
        model=log_power,
        error=lambda r: POWER_ERROR * r.distrust if r.mhz else IDLE_ERROR,
        spread=SWITCHING,
        many=MANY,
        **options,
    )


LOSS_1368 = ("half_voltage_at_400mhz_v", "half_voltage_v_per_mhz", "margin_width_v")
LOSS_1370 = (*LOSS_1368, "half_voltage_v_per_fast_mhz")
DOMAINS = ("domain 1", "domain 2", "domain 3", "domain 4")


def shifted_share(reading: Reading, known: Mapping[str, float], own: float) -> float:
    """Share of a reading's device, by its own shift."""
    changes: dict[str, Any] = {k: v for k, v in known.items() if k not in DOMAINS}
    changes["half_voltage_at_400mhz_v"] += own
    if DOMAINS[0] in known:
        changes["domain_half_voltages_v"] = tuple(known[d] for d in DOMAINS)
    return share(reading, replace(reading.board.chip.silicon, **changes))


def fit_loss(given: Sequence[Reading], name: str) -> Fit:
    """Fit the voltage that one kind of chip needs.

    The spread is held: of 10 to 30 mV none is much likelier than another, and within
    14 mV lie two thirds of the devices that the fit says something of.
    """
    silicon, has_steps = board_of(name), name == "BM1368"
    names = LOSS_1368 if has_steps else LOSS_1370
    start = {key: getattr(silicon, key) for key in names}
    if has_steps:
        start |= dict(zip(DOMAINS, silicon.domain_half_voltages_v, strict=True))

    def prior(known: Mapping[str, float]) -> list[float]:
        if not has_steps:
            return []
        first, second, _, last = (known[d] for d in DOMAINS)
        return [
            sum(known[d] for d in DOMAINS) / STEP_ERROR_V,
            (first - second - PAIR_GAP_V) / STEP_ERROR_V,
            (known["margin_width_v"] - STEP_WIDTH_V) / STEP_ERROR_V,
            (last - LAST_DOMAIN_V) / LAST_ERROR_V,
        ]

    return fit(
        given,
        start,
        measured=lambda r: r.share or 0.0,
        model=shifted_share,
        error=lambda r: float(np.hypot(r.share_error, SHARE_ERROR)) * r.distrust,
        spread=HALF_VOLTAGE_V,
        prior=prior,
        at_least={"margin_width_v": 0.003},
        holds_spread=True,
    )


FULL_FANS = ("W1", "W2", "W3", "W4", "W5", "P4")
"""Presumably: above their target, or with a fan set by hand and far below it."""
ONE_FAN = dict.fromkeys(FULL_FANS[:5], "W")
"""Devices of one owner with fans of one kind."""
L1_AT_70 = (44 / 63, 0.97)
"""Duty, and speed against full duty, of a log that the rows do not have."""
SPEED_ERROR = 0.01
LOG_KNEES = np.linspace(np.log(0.3), np.log(2.0), 300)


def fans(given: Iterable[Reading]) -> dict[str, dict[float, float]]:
    """Median speed over duty of every fan."""
    speeds: dict[str, dict[float, list[float]]] = {}
    for reading in given:
        if reading.rpm and reading.duty:
            name = ONE_FAN.get(reading.device, reading.device)
            curve = speeds.setdefault(name, {})
            curve.setdefault(reading.duty, []).append(reading.rpm)
    return {
        name: {duty: float(np.median(rpms)) for duty, rpms in curve.items()}
        for name, curve in speeds.items()
    }


def fit_fans(curves: Mapping[str, Mapping[float, float]]) -> Fit:
    """Fit full speed, knee, their spreads and how sharp knees are.

    By the likelihood, summed over all the knees and speeds that a fan may have where
    its readings do not tell them.
    """
    usual = board("601").fan
    start = {
        "rpm_at_full": usual.rpm_at_full,
        "FAN": FAN,
        "knee_duty": usual.knee_duty,
        "KNEE": KNEE,
        "KNEE_SHARPNESS": KNEE_SHARPNESS,
    }

    def log_shares(duty: float, sharpness: float) -> Any:
        curves = (replace(usual, knee_duty=knee) for knee in np.exp(LOG_KNEES))
        return np.log([speed_share(curve, duty, sharpness) for curve in curves])

    def unlikely(x: Any) -> float:
        rpm, fan, knee, spread, sharpness = np.exp(x)
        before = norm.pdf(LOG_KNEES, np.log(knee), spread)
        total = 0.0
        for name, curve in curves.items():
            full = curve.get(1.0)
            total -= norm.logpdf(np.log(full / rpm), 0, fan) if full else 0.0
            points = [(d, s / (full or rpm)) for d, s in curve.items() if d < 1]
            points += [L1_AT_70] if name == "L1" else []
            likely = before
            for duty, part in points:
                off = np.log(part) - log_shares(duty, sharpness)
                likely = likely * norm.pdf(off, 0, SPEED_ERROR if full else fan)
            total -= np.log(np.trapezoid(likely, LOG_KNEES))
        return float(total)

    at = np.log(list(start.values()))
    found = minimize(unlikely, at, method="Nelder-Mead", options={"xatol": 1e-3})
    steps = 0.05 * np.eye(len(at))
    bends = [
        unlikely(found.x + step) - 2 * found.fun + unlikely(found.x - step)
        for step in steps
    ]
    values = dict(zip(start, map(float, np.exp(found.x)), strict=True))
    errors = {
        name: values[name] * 0.05 / bend**0.5
        for name, bend in zip(start, bends, strict=True)
    }
    return Fit(values, errors, {}, values["FAN"])


HELD_ERROR = 0.05
"""Relative, of the resistance that a held temperature tells."""


def fit_airflow(given: Sequence[Reading]) -> Fit:
    """Fit how the resistance from sink to air falls with the fan's speed.

    G1 to G3 hold 60 °C at rising power. What their air makes is in each evening's own
    factor, and the spread of G1 to G3 within an evening is that of the sinks.
    """
    cooling, usual = board("601").cooling, board("601").fan.rpm_at_full
    held = [
        replace(reading, device=reading.evening)
        for reading in given
        if reading.device in ("G1", "G2", "G3")
    ]

    def measured(reading: Reading) -> float:
        assert reading.power_w is not None
        resistance = (reading.temp_c - AIR_C) / reading.power_w
        return float(np.log(resistance - cooling.chip_to_sink_k_per_w))

    def model(reading: Reading, known: Mapping[str, float], own: float) -> float:
        assert reading.rpm is not None
        flow = float(np.log(reading.rpm / usual))
        base = float(np.log(known["sink_to_air_k_per_w"]))
        return base + own - known["airflow_exponent"] * flow

    return fit(
        held,
        {
            "airflow_exponent": cooling.airflow_exponent,
            "sink_to_air_k_per_w": cooling.sink_to_air_k_per_w,
        },
        measured=measured,
        model=model,
        error=lambda r: HELD_ERROR * r.distrust,
        spread=SINK,
        many=MANY,
    )


INPUT_ERROR_V = 0.004


def fit_supply(given: Sequence[Reading]) -> Fit:
    """Fit the supply of the 5 V boards: each evening has its own open voltage."""
    supply = board("601").supply
    held = [
        replace(reading, device=reading.evening)
        for reading in given
        if reading.input_v and reading.power_w and reading.board.chip.name == "BM1370"
    ]

    def model(reading: Reading, known: Mapping[str, float], own: float) -> float:
        open_v = known["open_circuit_v"] * (1 + own)
        supplied = replace(
            supply, open_circuit_v=open_v, resistance_ohm=known["resistance_ohm"]
        )
        row = replace(reading.board, supply=supplied)
        return driven_stage(replace(reading, board=row)).input_voltage_v

    return fit(
        held,
        {
            "open_circuit_v": supply.open_circuit_v,
            "resistance_ohm": supply.resistance_ohm,
        },
        measured=lambda r: r.input_v or 0.0,
        model=model,
        error=lambda r: INPUT_ERROR_V * r.distrust,
        spread=SUPPLY_V_SHARE,
        many=MANY,
    )


VR_ERROR_K = 2.0
"""Half of it the air, which is taken as 25 °C."""
OTHER_AIRS_C = (20.0, 30.0)
HALF_DEGREE_C = 0.5
"""The regulator's reading has its fraction cut off."""


def fit_regulator(given: Sequence[Reading], air_c: float = AIR_C) -> Fit:
    """Fit the regulator's temperature: its share of the sink's rise, and its own."""
    row = board("601")
    cooling = row.cooling
    held = [
        reading
        for reading in given
        if reading.vr_c and reading.rpm and reading.board.chip.name == "BM1370"
    ]

    def model(reading: Reading, known: Mapping[str, float], own: float) -> float:
        assert reading.rpm is not None
        resistance = known["vr_to_air_k_per_w"] * float(np.exp(own))
        specimen = replace(
            row,
            cooling=replace(
                cooling,
                vr_coupling=known["vr_coupling"],
                vr_to_air_k_per_w=resistance,
                vr_airflow_exponent=known["vr_airflow_exponent"],
            ),
        )
        return regulator_c(specimen, reading, air_c)

    return fit(
        held,
        {
            "vr_coupling": cooling.vr_coupling,
            "vr_to_air_k_per_w": cooling.vr_to_air_k_per_w,
            "vr_airflow_exponent": cooling.vr_airflow_exponent,
        },
        measured=lambda r: (r.vr_c or 0.0) + HALF_DEGREE_C,
        model=model,
        error=lambda r: VR_ERROR_K * r.distrust,
        spread=REGULATOR,
        many=MANY,
        at_least={"vr_airflow_exponent": 0.0},
    )


def driven_stage(reading: Reading) -> PowerStage:
    """The power stage, its core drawing what was read."""
    mean = reading.board.chip.silicon
    drawn = (reading.power_w or 0.0) / stage(reading, mean).core_power_w
    return stage(reading, replace(mean, switching_f=mean.switching_f * drawn))


def regulator_c(row: Board, reading: Reading, air_c: float = AIR_C) -> float:
    """The regulator's temperature beside a chip as warm as was read."""
    assert reading.power_w is not None
    assert reading.rpm is not None
    power, cooling = driven_stage(reading), row.cooling
    flow = reading.rpm / row.fan.rpm_at_full
    # A sink, whatever its own, that makes this rise at this speed.
    sink_k = reading.temp_c - cooling.chip_to_sink_k_per_w * reading.power_w - air_c
    to_air = sink_k / reading.power_w * flow**cooling.airflow_exponent
    row = replace(row, cooling=replace(cooling, sink_to_air_k_per_w=to_air))
    thermal = Thermal(row, ambient_c=air_c)
    thermal.step(
        LONG_S,
        core_power_w=power.core_power_w,
        regulator_heat_w=power.regulator_heat_w,
        airflow=flow,
        ambient_c=air_c,
    )
    return thermal.vr_c


def board_of(name: str) -> Silicon:
    """The silicon of a kind of chip."""
    return board(BOARDS[name]).chip.silicon


def main() -> None:
    """Fit, print the constants, and write the tables of the page."""
    known = readings()
    powers = [r for r in known if r.power_w is not None]
    single = [r for r in known if r.share is not None and r.board.asic_count == 1]
    steps = [r for r in single if r.name.startswith("S1-")]
    shares = [r for r in single if r.board.chip.name == "BM1370"]
    power = fit_power(powers)
    loss, cliff = fit_loss(shares, "BM1370"), fit_loss(steps, "BM1368")
    for title, came in (("power", power), ("BM1370", loss), ("BM1368", cliff)):
        tell(title, came)
    told = [d for d, shift in loss.devices.items() if abs(shift) > 0.0005]
    pairs = np.array([[power.devices[d], loss.devices[d]] for d in told])
    lean = float(np.corrcoef(pairs.T)[0, 1])
    print(f"correlation of {len(told)} devices: {lean:.2f}; lottery {LEAN_IS_WEAK}")
    print(f"spreads of the lottery: {SWITCHING}, {HALF_VOLTAGE_V}")
    tell("fans", fit_fans(fans(known)))
    tell("airflow", fit_airflow(known))
    tell("supply", fit_supply(known))
    for air_c in (AIR_C, *OTHER_AIRS_C):
        tell(f"regulators, in air of {air_c:.0f} °C", fit_regulator(known, air_c))
    parts = [
        constants_table({"power": power, "BM1370": loss, "BM1368": cliff}),
        devices_table(powers, shares, power, loss),
        held_out(powers, shares),
    ]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n\n".join([f"{before}{BEGIN}", *parts, f"{END}{after}"])
    PAGE.write_text(text, encoding="utf-8")


def tell(title: str, came: Fit) -> None:
    """Print what came out."""
    print(f"{title}: spread of devices {came.spread:.4g}")
    for name, value in came.values.items():
        print(f"  {name:34} {value:11.4g} ± {came.errors[name]:.2g}")
    print("  " + ", ".join(f"{d} {v:+.3f}" for d, v in came.devices.items()))


def constants_table(fits: Mapping[str, Fit]) -> str:
    """What came out, with its error."""
    rows = [
        [title, f"`{name}`", f"{value:.4g}", f"{came.errors[name]:.1g}"]
        for title, came in fits.items()
        for name, value in came.values.items()
    ]
    return table(["fit", "constant", "value", "standard error"], rows)


def devices_table(
    powers: Sequence[Reading], shares: Sequence[Reading], power: Fit, loss: Fit
) -> str:
    """Errors by device, without and with its own factor and shift."""
    rows = []
    for device in power.devices:
        watts = [r for r in powers if r.device == device and r.mhz]
        if not watts:
            continue
        own = power.devices[device]
        usual = [_power_error(r, power, 0.0) for r in watts]
        fitted = [_power_error(r, power, own) for r in watts]
        rates = [r for r in shares if r.device == device]
        cells = ["", "", ""]
        if rates:
            shift = loss.devices[device]
            cells = [
                f"{_share_error(rates, loss, 0.0) * 100:+.1f}",
                f"{_share_error(rates, loss, shift) * 100:+.1f}",
                f"{shift * 1000:+.0f} mV" if abs(shift) > 0.0005 else "unknown",
            ]
        rows.append(
            [
                device,
                str(len(watts)),
                f"{np.mean(usual) * 100:+.1f} %",
                f"{np.mean(np.abs(fitted)) * 100:.1f} %",
                f"{(np.exp(own) - 1) * 100:+.0f} %",
                *cells,
            ]
        )
    heads = (
        "device",
        "readings",
        "power, typical",
        "with its factor",
        "factor",
        "share, typical",
        "with its shift",
        "shift",
    )
    return table(heads, rows)


def _power_error(reading: Reading, came: Fit, own: float) -> float:
    """Relative, of what the API shows: offset included."""
    offset_w = reading.board.power_offset_w if reading.board.has_tps546 else 0.0
    said_w = float(np.exp(log_power(reading, came.values, own)))
    return (said_w + offset_w) / ((reading.power_w or 0.0) + offset_w) - 1


def _share_error(given: Sequence[Reading], came: Fit, own: float) -> float:
    """Mean, weighted by the readings' errors."""
    weights = [(r.share_error * r.distrust) ** -2 for r in given]
    errors = [shifted_share(r, came.values, own) - (r.share or 0.0) for r in given]
    return float(np.average(errors, weights=weights))


def held_out(powers: Sequence[Reading], shares: Sequence[Reading]) -> str:
    """Errors of devices that the fit never saw: a random fifth, several times."""
    devices = sorted({r.device for r in powers if r.board.chip.name == "BM1370"})
    rng, watts, points = random.Random(1), list[float](), list[float]()
    for _ in range(SPLITS):
        out = set(rng.sample(devices, round(HELD_OUT * len(devices))))
        seen = [r for r in powers if r.device not in out]
        power = fit_power(seen, holds_spread=True)
        loss = fit_loss([r for r in shares if r.device not in out], "BM1370")
        for device in out:
            own = [r for r in powers if r.device == device]
            watts.append(float(np.mean([_power_error(r, power, 0.0) for r in own])))
            rates = [r for r in shares if r.device == device]
            points.append(_share_error(rates, loss, 0.0))
    return (
        f"Of {len(watts)} BM1370s left out, a random fifth of {len(devices)} at once,\n"
        f"the typical device of the rest misses the power by "
        f"{np.mean(np.abs(watts)) * 100:.1f} % on average\n"
        f"({np.mean(watts) * 100:+.1f} % with its sign) and the share by "
        f"{np.mean(np.abs(points)) * 100:.1f} points ({np.mean(points) * 100:+.1f})."
    )


if __name__ == "__main__":
    main()
