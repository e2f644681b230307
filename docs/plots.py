"""Draws the plots of docs/physics.md; `make docs` runs it.

Every curve comes from the code that a live device runs; the points are readings of real
devices, docs/measured.csv.
"""

from math import exp
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from fit import AIR_C, Reading, driven_stage, fans, readings
from msgspec.structs import replace

from softaxe import Device, Pool, Simulation
from softaxe.asic.hashing import domain_shares, error_share
from softaxe.board.ambient import Ambient
from softaxe.board.fan import speed_share
from softaxe.board.power import PowerStage
from softaxe.board.thermal import Thermal
from softaxe.catalog import FanCurve, board
from softaxe.catalog.lottery import REGULATOR, Specimen, draw, typical
from softaxe.device.steady import best_efficiency, steady_state

FOLDER = Path(__file__).parent / "physics"
GAMMA = board("601")
TYPICAL = typical(GAMMA)
SIZE_IN = (6.4, 3.6)
COLOURS = ["#c2410c", "#0369a1", "#15803d", "#7c3aed", "#a16207"]
FREQUENCIES_MHZ = range(400, 801, 25)
VOLTAGES_MV = range(1000, 1251, 10)
NAMES_APART_RPM = 320
DROP_V = 0.005
"""Of a Gamma's core voltage under load, as the regulator reads it."""
READINGS = readings()
GAMMAS = [r for r in READINGS if r.board.chip.name == "BM1370"]
SUPRA = [r for r in READINGS if r.name.startswith("S1-")]
DEVICES = sorted({reading.device for reading in GAMMAS})


def main() -> None:
    """Draw them all."""
    mpl.use("agg")
    mpl.rcParams.update(
        {
            "axes.grid": True,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.figsize": SIZE_IN,
            "figure.dpi": 100,
            "font.size": 9,
            "grid.alpha": 0.25,
        }
    )
    FOLDER.mkdir(exist_ok=True)
    for plot in (
        power,
        power_errors,
        regulator,
        resistance,
        fan,
        held,
        regulator_heat,
        sensors,
        supply,
        share,
        steps,
        errors,
        cold,
        warm_up,
        efficiency,
        lottery,
        day,
    ):
        figure, axes = plt.subplots()
        plot(axes)
        figure.tight_layout()
        path = FOLDER / f"{plot.__name__}.png"
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)


def stage(mhz: float, mv: float, *, chip_c: float = 60.0) -> PowerStage:
    """A Gamma's power stage at one setting."""
    power_stage = PowerStage(TYPICAL)
    power_stage.core_voltage_setting_v = mv / 1000
    power_stage.step(
        frequency_mhz=mhz, activity=1.0, temperatures_c=[chip_c], airflow=0.5
    )
    return power_stage


def power(axes: Any) -> None:
    """Core power of the typical Gamma, and of real ones near the same clocks."""
    volts = range(1000, 1281, 10)
    for mhz, colour in zip((525, 600, 700, 800), COLOURS, strict=False):
        watts = [stage(mhz, mv).core_power_w for mv in volts]
        axes.plot(volts, watts, color=colour, label=f"{mhz} MHz")
        near = [r for r in GAMMAS if r.power_w and abs(r.mhz - mhz) <= 15]
        axes.plot(
            [r.volts * 1000 for r in near],
            [_at_60c(r) * mhz / r.mhz for r in near],
            ".",
            color=colour,
        )
    axes.set(
        title="Core power of a Gamma at 60 °C, and readings brought to it",
        xlabel="core voltage set, mV",
        ylabel="W",
    )
    axes.legend()


def _at_60c(reading: Reading) -> float:
    per_k = GAMMA.chip.silicon.switching_per_k
    return float((reading.power_w or 0.0) * np.exp(-per_k * (reading.temp_c - 60)))


def power_errors(axes: Any) -> None:
    """What the typical Gamma misses by, reading by reading."""
    for number, device in enumerate(DEVICES):
        own = [r for r in GAMMAS if r.device == device and r.power_w]
        misses = [
            (5 + stage(r.mhz, r.volts * 1000, chip_c=r.temp_c).core_power_w)
            / (5 + (r.power_w or 0.0))
            * 100
            - 100
            for r in own
        ]
        axes.plot(
            [r.mhz for r in own],
            misses,
            "osD^v"[number % 5],
            markersize=3.5,
            color=COLOURS[number % 5],
            fillstyle="full" if number < 5 else "none" if number < 10 else "left",
            label=device,
        )
    axes.axhspan(-10, 10, color="grey", alpha=0.1)
    axes.set(
        title="Shown power: typical Gamma against each device's readings",
        xlabel="MHz",
        ylabel="error, %",
    )
    axes.legend(ncols=3, fontsize=7)


def regulator(axes: Any) -> None:
    """Efficiency over load."""
    for version in ("402", "601", "801", "303"):
        row = board(version)
        amperes = [0.25 * n for n in range(2, 121)]
        volts = row.default_core_voltage_mv / 1000 * row.voltage_domains
        supply = row.supply
        losses = [
            supply.loss_w + a * (supply.loss_v + supply.loss_ohm * a) for a in amperes
        ]
        shares = [
            volts * a / (volts * a + loss) * 100
            for a, loss in zip(amperes, losses, strict=True)
        ]
        axes.plot(amperes, shares, label=f"{row.family} {version}")
    axes.set(
        title="Efficiency of the core regulators",
        xlabel="core current, A",
        ylabel="%",
        ylim=(60, 100),
    )
    axes.legend()


def resistance(axes: Any) -> None:
    """Sink to air over the airflow, as the rise that a watt makes."""
    flows = [n / 100 for n in range(101)]
    for version in ("601", "402", "303"):
        rises = []
        for flow in flows:
            thermal = Thermal(board(version), ambient_c=0.0)
            thermal.step(
                1e7, core_power_w=1.0, regulator_heat_w=0.0, airflow=flow, ambient_c=0.0
            )
            rises.append(thermal.sink_c)
        axes.plot(flows, rises, label=f"{board(version).family} {version}")
    axes.set(
        title="From sink to air",
        xlabel="airflow, share of full",
        ylabel="K/W",
        yscale="log",
    )
    axes.legend()


def fan(axes: Any) -> None:
    """Speed over duty: the usual fan, a dozen devices', and real ones."""
    duties = [step / 63 for step in range(64)]
    percents = [100 * duty for duty in duties]

    def speeds(curve: FanCurve) -> list[float]:
        return [curve.rpm_at_full * speed_share(curve, duty) for duty in duties]

    for seed in range(12):
        curve = speeds(draw(GAMMA, seed).board.fan)
        axes.plot(percents, curve, color="grey", alpha=0.4, linewidth=0.8)
    axes.plot(percents, speeds(GAMMA.fan), label="the usual Gamma's")
    full = []
    for name, known in fans(readings()).items():
        for duty, rpm in known.items():
            axes.plot(100 * duty, rpm, "o", color="black", markersize=3)
            if duty < 1:
                at = (100 * duty, rpm)
                axes.annotate(name, at, (4, -3), textcoords="offset points", fontsize=7)
            else:
                full.append((rpm, name))
    names_rpm = 0.0
    for rpm, name in sorted(full):
        names_rpm = max(rpm, names_rpm + NAMES_APART_RPM)
        axes.text(101.5, names_rpm - 100, name, fontsize=7)
    axes.plot([], [], color="grey", linewidth=0.8, label="twelve seeds'")
    axes.plot([], [], "o", color="black", markersize=3, label="real, W is five devices")
    axes.set(title="Fans", xlabel="duty, %", ylabel="rpm", ylim=(0, 9500))
    axes.legend()


def held(axes: Any) -> None:
    """Speeds that hold a chip at its target, over what it draws."""
    cooling = GAMMA.cooling
    known = [r for r in readings() if r.device in ("G1", "G2", "G3") and r.rpm]
    for device, colour in zip(("G1", "G2", "G3"), COLOURS, strict=False):
        for evening in sorted({r.evening for r in known if r.device == device}):
            some = [r for r in known if r.evening == evening]
            watts, speeds = [r.power_w for r in some], [r.rpm for r in some]
            axes.plot(watts, speeds, ".", color=colour, markersize=3)

            def speed(watt: float) -> float:
                rise_k = 60 - AIR_C - watt * cooling.chip_to_sink_k_per_w
                to_air = cooling.sink_to_air_k_per_w
                flow = (to_air * watt / rise_k) ** (1 / cooling.airflow_exponent)
                return flow * GAMMA.fan.rpm_at_full

            own = median(s / speed(w) for s, w in zip(speeds, watts, strict=True))
            ends = [min(watts), (min(watts) + max(watts)) / 2, max(watts)]
            axes.plot(ends, [own * speed(w) for w in ends], color=colour, linewidth=1)
        axes.plot([], [], ".-", color=colour, label=device)
    axes.set(
        title="Speeds that hold 60 °C; lines: the model, with a factor per evening",
        xlabel="core power, W",
        ylabel="rpm",
        ylim=(0, None),
    )
    axes.legend()


def regulator_heat(axes: Any) -> None:
    """How much hotter than its chip the regulator is."""
    for deviations, style in ((-2, ":"), (0, "-"), (2, ":")):
        resistance = GAMMA.cooling.vr_to_air_k_per_w * exp(REGULATOR * deviations)
        cooling = replace(GAMMA.cooling, vr_to_air_k_per_w=resistance)
        states = [
            steady_state(
                typical(replace(GAMMA, cooling=cooling)),
                frequency_mhz=mhz,
                core_voltage_mv=1150,
                ambient_c=20.0,
            )
            for mhz in range(375, 701, 25)
        ]
        label = "the usual Gamma" if not deviations else None
        axes.plot(
            [state.power.current_a for state in states],
            [state.power.vr_temp_c - state.temp_c for state in states],
            style,
            color=COLOURS[0],
            label=label,
        )
    axes.plot([], [], ":", color=COLOURS[0], label="two standard deviations from it")
    colours = iter(COLOURS[1:4])
    for device in sorted({r.device for r in readings()}):
        some = [
            r
            for r in readings()
            if r.device == device and r.vr_c and r.board.chip.name == "BM1370"
        ]
        if not some:
            continue
        amperes = [(r.power_w or 0.0) / (r.volts - DROP_V) for r in some]
        above = [(r.vr_c or 0.0) - r.temp_c for r in some]
        if len(some) > 5:
            axes.plot(
                amperes, above, ".", color=next(colours), markersize=3, label=device
            )
            continue
        axes.plot(amperes, above, "o", color="black", markersize=3)
        for at in zip(amperes, above, strict=True):
            axes.annotate(device, at, (4, -3), textcoords="offset points", fontsize=7)
    axes.set(
        title="Regulator against chip, the chip held at 60 °C in air of 20 °C",
        xlabel="core current, A",
        ylabel="vrTemp - temp, K",
        ylim=(-16, 40),
    )
    axes.legend(loc="upper left", ncols=2)


def sensors(axes: Any) -> None:
    """An hour of a live device's readings, every ten seconds."""
    device = Device(seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(1800)
    minutes, temp, volts = [], [], []
    for tick in range(360):
        simulation.advance(10)
        minutes.append(tick / 6)
        temp.append(device.readings.temp_c)
        volts.append(device.readings.input_voltage_v)
    axes.plot(minutes, temp, ".", markersize=3, label="temp")
    axes.set(title="Readings of a Gamma at rest", xlabel="minutes", ylabel="°C")
    axes.set_ylim(57.5, 61)
    other = axes.twinx()
    other.plot(minutes, volts, ".", markersize=3, color=COLOURS[1])
    other.grid(visible=False)
    other.set(ylabel="V", ylim=(min(volts) - 0.02, min(volts) + 0.15))
    axes.plot([], [], ".", color=COLOURS[1], label="input voltage")
    axes.legend(loc="center right")


def supply(axes: Any) -> None:
    """Sag under load, and real supplies."""

    def sag(specimen: Specimen) -> tuple[list[float], list[float]]:
        power_stage = PowerStage(specimen)
        power_stage.core_voltage_setting_v = 1.15
        watts, volts = [], []
        for mhz in range(200, 901, 20):
            power_stage.step(
                frequency_mhz=mhz, activity=1.0, temperatures_c=[60.0], airflow=0.5
            )
            watts.append(power_stage.input_power_w)
            volts.append(power_stage.input_voltage_v)
        return watts, volts

    for seed in range(12):
        axes.plot(*sag(draw(GAMMA, seed)), color="grey", alpha=0.4, linewidth=0.8)
    axes.plot(*sag(TYPICAL), label="the usual Gamma's")
    axes.plot([], [], color="grey", linewidth=0.8, label="twelve seeds'")
    known = [r for r in readings() if r.input_v and r.power_w]
    gammas = [r for r in known if r.board.chip.name == "BM1370"]
    for letter, colour in zip("GWLP", COLOURS[1:], strict=True):
        some = [r for r in gammas if r.device[0] == letter]
        watts = [driven_stage(r).input_power_w for r in some]
        volts = [r.input_v for r in some]
        axes.plot(
            watts, volts, ".", color=colour, markersize=4, label=f"real, {letter}"
        )
    axes.set(
        title="Supply of a Gamma under load",
        xlabel="input power, W",
        ylabel="input voltage, V",
        xlim=(8, 32),
        ylim=(4.6, 5.4),
    )
    axes.legend(ncols=2, loc="lower left")


def share(axes: Any) -> None:
    """Share of the expected hash rate over the voltage, with pooled readings."""
    volts = [v / 1000 for v in range(960, 1261, 2)]
    for mhz, colour in zip((525, 600, 625, 725, 800), COLOURS, strict=True):
        half_v = GAMMA.chip.silicon.half_voltage_v(mhz, 60)
        shares = [sum(domain_shares(GAMMA.chip.silicon, v - half_v)) for v in volts]
        axes.plot([v * 1000 for v in volts], shares, color=colour, label=f"{mhz} MHz")
        for device in DEVICES:
            for points in _pools(device, mhz):
                weights = [r.share_error**-2 for r in points]
                mean = np.average([r.share for r in points], weights=weights)
                axes.errorbar(
                    np.mean([r.core_v for r in points]) * 1000,
                    mean,
                    yerr=sum(weights) ** -0.5,
                    fmt="o",
                    markersize=4,
                    color=colour,
                )
    axes.set(
        title="Share of the expected hash rate: typical BM1370, and real ones",
        xlabel="core voltage under load, mV",
        ylim=(0.3, 1.08),
    )
    axes.legend(loc="lower right")


def _pools(device: str, mhz: float) -> list[list[Reading]]:
    """A device's readings near a clock, those of like voltages together."""
    near = [
        r
        for r in GAMMAS
        if r.device == device
        and r.share is not None
        and abs(r.mhz - mhz) <= 12
        and r.share_error < 0.09
    ]
    bins = sorted({round(r.volts * 50) for r in near})
    return [[r for r in near if round(r.volts * 50) == number] for number in bins]


def steps(axes: Any) -> None:
    """The steps of a BM1368, whose domains fail one after the other."""
    silicon = board("401").chip.silicon
    volts = [v / 1000 for v in range(1080, 1281, 1)]
    for mhz, colour in zip((450, 525, 575, 625), COLOURS, strict=False):
        half_v = silicon.half_voltage_v(mhz, 50)
        shares = [sum(domain_shares(silicon, v - half_v)) for v in volts]
        axes.plot([v * 1000 for v in volts], shares, color=colour, label=f"{mhz} MHz")
        own = [r for r in SUPRA if r.mhz == mhz]
        axes.plot(
            [r.core_v * 1000 for r in own], [r.share for r in own], "o", color=colour
        )
    axes.set(
        title="Share of the full hash rate: BM1368, and one real Supra",
        xlabel="core voltage under load, mV",
        ylim=(0.2, 1.05),
    )
    axes.legend(loc="lower right")


ERRORS = {
    "L1": (600, 1.094, 4.65),
    "P5": (525, 1.204, 2.4),
    "P1": (525, 1.144, 0.03),
    "P2": (625, 1.244, 0.01),
}
"""MHz, volts under load and percent; P2 shows 0."""


def errors(axes: Any) -> None:
    """Wrong hashes of many chips over the voltage above that at which half are lost."""
    margins = [v / 1000 for v in range(-20, 261, 4)]
    for seed in range(30):
        (silicon,) = draw(GAMMA, seed).silicons
        axes.plot(
            [v * 1000 for v in margins],
            [error_share(silicon, v) * 100 for v in margins],
            color="grey",
            alpha=0.4,
            linewidth=0.8,
        )
    for device, (mhz, volts, percent) in ERRORS.items():
        margin_v = volts - GAMMA.chip.silicon.half_voltage_v(mhz, 60)
        axes.plot(margin_v * 1000, percent, "o", color=COLOURS[0])
        axes.annotate(
            f" {device}",
            (margin_v * 1000, percent),
            textcoords="offset points",
            xytext=(4, 2),
        )
    axes.set(
        title="Wrong hashes of 30 BM1370s, and of real ones at full hash rate",
        xlabel="core voltage above the typical chip's half voltage, mV",
        ylabel="%",
        yscale="log",
        ylim=(0.003, 12),
    )


def cold(axes: Any) -> None:
    """Share over the temperature, of specimens of their own."""
    celsius = list(range(15, 91, 3))
    for seed in range(12):
        (silicon,) = draw(GAMMA, seed).silicons
        margins = [1.074 - silicon.half_voltage_v(600, c) for c in celsius]
        shares = [sum(domain_shares(silicon, margin)) for margin in margins]
        axes.plot(celsius, shares, linewidth=1)
    axes.set(
        title="12 BM1370s at 600 MHz, 1080 mV",
        xlabel="chip, °C",
        ylabel="share of the expected hash rate",
        ylim=(0.6, 1.02),
    )


def warm_up(axes: Any) -> None:
    """The first quarter of an hour of a live device."""
    device = Device(seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    minutes, temp, vr, percent = [], [], [], []
    for tick in range(450):
        simulation.advance(2.0)
        minutes.append(tick / 30)
        read = device.readings
        temp.append(read.temp_c)
        vr.append(read.vr_temp_c)
        percent.append(read.fan_percent)
    axes.plot(minutes, temp, label="temp, °C")
    axes.plot(minutes, vr, label="vrTemp, °C")
    axes.plot(minutes, percent, alpha=0.6, label="fan, %")
    axes.set(title="A Gamma from power-on", xlabel="minutes", ylim=(-5, 105))
    axes.legend()


def efficiency(axes: Any) -> None:
    """Joules per terahash over the frequency, and three devices' optima."""
    for mv in (1000, 1050, 1100, 1150):
        values = [
            steady_state(TYPICAL, frequency_mhz=mhz, core_voltage_mv=mv).j_per_th
            for mhz in FREQUENCIES_MHZ
        ]
        axes.plot(list(FREQUENCIES_MHZ), values, label=f"{mv} mV")
    for seed, corner in ((1, (4, 4)), (2, (4, 4)), (4, (4, -12))):
        best = best_efficiency(
            draw(GAMMA, seed), frequencies_mhz=FREQUENCIES_MHZ, voltages_mv=VOLTAGES_MV
        )
        axes.plot(best.frequency_mhz, best.j_per_th, "o", color="black")
        axes.annotate(
            f"seed {seed}: {best.core_voltage_mv} mV",
            (best.frequency_mhz, best.j_per_th),
            corner,
            textcoords="offset points",
        )
    axes.set(title="Efficiency of a Gamma", xlabel="MHz", ylabel="J/TH", ylim=(11, 20))
    axes.legend()


def lottery(axes: Any) -> None:
    """Power at the defaults of many devices."""
    watts = [
        steady_state(
            draw(GAMMA, seed), frequency_mhz=525, core_voltage_mv=1150
        ).power.power_w
        for seed in range(300)
    ]
    axes.hist(watts, bins=16, alpha=0.6)
    for device, shown_w in (("L1", 17.02), ("P1", 18.75), ("P3", 22.06)):
        axes.axvline(shown_w, color="black", linewidth=1)
        axes.text(shown_w + 0.05, 30, device)
    axes.set(
        title="300 Gammas at 525 MHz, 1150 mV, and three real ones",
        xlabel="power, W",
        ylabel="devices",
    )


def day(axes: Any) -> None:
    """Fan over a day whose air swings."""
    ambient = Ambient(25.0, swing_c=5.0)
    hours = [n / 4 for n in range(97)]
    air = [ambient.at(hour * 3600) for hour in hours]
    percents = [
        steady_state(
            TYPICAL, frequency_mhz=525, core_voltage_mv=1150, ambient_c=celsius
        ).fan_percent
        for celsius in air
    ]
    axes.plot(hours, air, label="air, °C")
    axes.plot(hours, percents, label="fan that holds 60 °C, %")
    axes.set(title="A day in air of 25 ± 5 °C", xlabel="hours")
    axes.legend()


if __name__ == "__main__":
    main()
