"""Draws the plots of docs/physics.md; `make docs` runs it.

Every curve comes from the code that a live device runs.
"""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from softaxe import Device, Pool, Simulation
from softaxe.asic.hashing import error_share, failing_share
from softaxe.board.ambient import Ambient
from softaxe.board.fan import Fan
from softaxe.board.power import PowerStage
from softaxe.board.thermal import Thermal
from softaxe.catalog import board
from softaxe.catalog.lottery import draw, typical
from softaxe.device.steady import best_efficiency, steady_state

FOLDER = Path(__file__).parent / "physics"
GAMMA = board("601")
TYPICAL = typical(GAMMA)
SIZE_IN = (6.4, 3.6)
COLOURS = ["#c2410c", "#0369a1", "#15803d", "#7c3aed", "#a16207"]
FREQUENCIES_MHZ = range(350, 676, 25)
VOLTAGES_MV = range(1000, 1251, 10)


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
        regulator,
        resistance,
        fan,
        supply,
        failing,
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
    """Switching and leakage power."""
    volts = range(1000, 1301, 10)
    for mhz in (400, 525, 625):
        axes.plot(
            volts, [stage(mhz, mv).core_power_w for mv in volts], label=f"{mhz} MHz"
        )
    for celsius, style in ((40, ":"), (60, "--"), (80, "-.")):
        leakage = [stage(0, mv, chip_c=celsius).core_power_w for mv in volts]
        axes.plot(volts, leakage, style, color="grey", label=f"leakage at {celsius} °C")
    axes.set(
        title="Core power of a Gamma",
        xlabel="core voltage, mV",
        ylabel="W",
        ylim=(0, 28),
    )
    axes.legend()


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
    """Speed over duty, and how it follows a step."""
    duties = list(range(101))
    speeds = []
    for duty in duties:
        unit = Fan(GAMMA)
        unit.set_percent(duty)
        unit.step(1e4)
        speeds.append(unit.rpm)
    axes.plot(duties, speeds, label="settled, over the duty in %")
    unit, times, steps = Fan(GAMMA), [], []
    unit.set_percent(100)
    for tenth in range(60):
        times.append(tenth)
        steps.append(unit.rpm)
        unit.step(0.1)
    axes.plot(
        times, steps, "--", label="from standstill to full, over tenths of a second"
    )
    axes.set(title="Fan of a Gamma", ylabel="rpm")
    axes.legend()


def supply(axes: Any) -> None:
    """Sag under load."""
    for version in ("601", "303"):
        watts, volts = [], []
        row = board(version)
        for mhz in range(50, 1001, 10):
            power_stage = PowerStage(typical(row))
            power_stage.core_voltage_setting_v = row.default_core_voltage_mv / 1000
            power_stage.step(
                frequency_mhz=mhz,
                activity=1.0,
                temperatures_c=[60.0] * row.asic_count,
                airflow=0.5,
            )
            watts.append(power_stage.input_power_w)
            nominal = row.nominal_voltage_v
            volts.append(power_stage.input_voltage_v / nominal * 100)
        axes.plot(watts, volts, label=f"{row.family}, of {row.nominal_voltage_v} V")
    axes.set(title="Supply under load", xlabel="input power, W", ylabel="% of nominal")
    axes.legend()


def failing(axes: Any) -> None:
    """Failing hashes and errors over the voltage."""
    volts = [v / 1000 for v in range(850, 1251, 5)]
    silicon = GAMMA.chip.silicon
    for mhz, colour in zip((400, 525, 625), COLOURS, strict=False):
        for celsius, style in ((60, "-"), (80, ":")):
            shares = [
                failing_share(
                    silicon, frequency_mhz=mhz, core_voltage_v=v, temperature_c=celsius
                )
                for v in volts
            ]
            label = f"{mhz} MHz, {celsius} °C"
            axes.plot(
                volts, [s * 100 for s in shares], style, color=colour, label=label
            )
            if celsius == 60:
                errors = [error_share(silicon, s) * 100 for s in shares]
                axes.plot(volts, errors, "--", color=colour, alpha=0.5)
    axes.set(
        title="Failing hashes of a BM1370 (dashed: errors among the rest)",
        xlabel="core voltage under load, V",
        ylabel="%",
        yscale="log",
        ylim=(0.005, 110),
    )
    axes.legend()


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
    for seed, corner in ((1, (0, -12)), (2, (4, 4)), (4, (-62, -14))):
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
    axes.set(title="Efficiency of a Gamma", xlabel="MHz", ylabel="J/TH", ylim=(15, 22))
    axes.legend()


def lottery(axes: Any) -> None:
    """Power at the defaults of many devices."""
    watts = [
        steady_state(
            draw(GAMMA, seed), frequency_mhz=525, core_voltage_mv=1150
        ).power.power_w
        for seed in range(300)
    ]
    axes.hist(watts, bins=24)
    axes.set(
        title="300 Gammas at 525 MHz, 1150 mV", xlabel="power, W", ylabel="devices"
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
