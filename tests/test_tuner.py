"""The example tuner against the model's true optimum: settled devices, and two by HTTP.

A device by HTTP runs in a process of its own, as for a user: there it is as fast as it
goes.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.commands import command
from tests.running import wait_for

from softaxe.catalog import board
from softaxe.catalog.lottery import draw
from softaxe.client.info import Asic, Info
from softaxe.device.steady import best_efficiency, steady_state

pytestmark = pytest.mark.unwatched

EXAMPLE = Path(__file__).parents[1] / "examples" / "tuner.py"
GAMMA = board("601")


@pytest.fixture(scope="module")
def tuner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tuner", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tuner"] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def softaxe_run(port: int, *options: str) -> Iterator[str]:
    """`softaxe run` in a process of its own, once it answers; yields its address."""
    with command("run", "--ephemeral", "--port", str(port), *options):
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/api/system/info")
        yield url


def test_it_comes_within_five_percent_of_the_true_optimum(
    tuner: ModuleType, free_ports: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, tried = 1, list[Any]()
    # Half of what a tuner takes for a device that nobody knows is enough for this one.
    monkeypatch.setattr(tuner, "SETTLE_S", 60)
    monkeypatch.setattr(tuner, "MEASURE_S", 120)
    with softaxe_run(free_ports(), "--seed", str(seed), "--speed", "2000") as url:
        bitaxe = tuner.Bitaxe(url)
        bitaxe.wait(60)
        found = tuner.tune(bitaxe, tried.append)
        info = bitaxe.device.info()

    assert info.frequency == found.setting.mhz
    assert info.coreVoltage == found.setting.millivolts
    specimen = draw(GAMMA, seed)
    true = best_efficiency(
        specimen, frequencies_mhz=range(350, 601, 25), voltages_mv=range(1000, 1151, 10)
    )
    chosen = steady_state(
        specimen,
        frequency_mhz=found.setting.mhz,
        core_voltage_mv=found.setting.millivolts,
    )
    assert chosen.j_per_th < 1.05 * true.j_per_th
    assert found.j_per_th == pytest.approx(chosen.j_per_th, rel=0.03)
    assert len(tried) < 60


@pytest.mark.parametrize("seed", range(10))
def test_on_every_seed_it_finds_what_real_gammas_bear(
    tuner: ModuleType, seed: int
) -> None:
    specimen = draw(GAMMA, seed)

    class Settled:
        """A device that is asked when nothing changes any more."""

        device: Any

        def info(self) -> Info:
            return Info(overheat_mode=False, frequency=525, coreVoltage=1150)

        def asic(self) -> Asic:
            return Asic(voltageOptions=[1000, 1250])

        def set(self, setting: Any) -> None:
            self.applied = setting

        def measure(self, setting: Any) -> Any:
            state = steady_state(
                specimen,
                frequency_mhz=setting.mhz,
                core_voltage_mv=setting.millivolts,
            )
            return tuner.Measurement(
                setting,
                good_ths=state.good_hs / 1e12,
                power_w=state.power.power_w,
                temp_c=state.temp_c,
                vr_temp_c=state.power.vr_temp_c,
                error_percent=state.error_share * 100,
            )

    device, tried = Settled(), list[Any]()
    device.device = device
    found = tuner.tune(device, tried.append)

    coarse = best_efficiency(
        specimen, frequencies_mhz=range(450, 651, 50), voltages_mv=range(1000, 1121, 30)
    )
    assert found.j_per_th < 1.01 * coarse.j_per_th
    assert device.applied == found.setting
    assert len(tried) < 40
    # Real ones were run at 525 to 600 MHz with 1025 to 1100 mV for days: 13 to 16 J/TH.
    assert 450 <= found.setting.mhz <= 650
    assert 1000 <= found.setting.millivolts <= 1130
    assert 12 < found.j_per_th < 17.5
    full_ths = GAMMA.expected_hashrate_hs(found.setting.mhz) / 1e12
    assert found.good_ths > 0.9 * full_ths
