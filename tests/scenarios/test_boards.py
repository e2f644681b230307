"""Every board of the family, alive."""

import importlib.util
import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each
from tests.mining import mining

from softaxe.api.views import asic_body, info_body
from softaxe.catalog import Board, board, boards
from softaxe.catalog.lottery import Specimen, draw, typical
from softaxe.device.steady import SteadyState, steady_state

DOCS = Path(__file__).parents[2] / "docs"
TWENTY_MINUTES_S = 1200
TYPICAL = {
    "102": "Max",
    "205": "Ultra (INA260 boards)",
    "207": "Ultra 207 (TPS546)",
    "303": "Hex",
    "401": "Supra 400/401 (INA260)",
    "402": "Supra 402/403 (TPS546)",
    "601": "Gamma",
    "702": "SupraHex",
    "801": "GammaTurbo",
}
"""Board to the reference's row of typical values."""


def settled(specimen: Specimen) -> SteadyState:
    row = specimen.board
    return steady_state(
        specimen,
        frequency_mhz=row.default_frequency_mhz,
        core_voltage_mv=row.default_core_voltage_mv,
    )


@each("version", TYPICAL)
def test_the_usual_board_settles_as_such_boards_do(
    version: str, boards_reference: dict[str, Any]
) -> None:
    estimates = boards_reference["estimates"]["per_family_estimates"]
    theirs = estimates[TYPICAL[version]]
    row = board(version)
    state = settled(typical(row))

    if version == "303":  # a reading, which is more than the estimate
        core_w = 58.35 * row.default_frequency_mhz / 525
        assert state.power.power_w == pytest.approx(core_w + 12, rel=0.03)
    else:
        assert state.power.power_w == pytest.approx(theirs["power_w"], rel=0.1)
        current_ma = state.power.current_a * 1000
        assert current_ma == pytest.approx(theirs["current_ma"], rel=0.15)
    assert state.power.input_voltage_v == pytest.approx(theirs["input_v"], rel=0.03)
    assert state.temp_c == pytest.approx(theirs["temp_c"], abs=1.5)
    assert state.temp2_c == pytest.approx(theirs.get("temp2_c", -1), abs=1.5)
    assert state.power.vr_temp_c == pytest.approx(theirs["vr_temp_c"], abs=7)
    assert state.fan_percent == pytest.approx(theirs["fan_pct"], abs=12)


@pytest.mark.parametrize("version", TYPICAL)
def test_after_twenty_minutes_a_board_is_where_its_metal_settles(
    version: str, boards_reference: dict[str, Any]
) -> None:
    estimates = boards_reference["estimates"]["per_family_estimates"]
    theirs = estimates[TYPICAL[version]]
    simulation = mining(TWENTY_MINUTES_S - 300, board=version)
    device, reads = simulation.device, []
    for _ in range(30):
        simulation.advance(10)
        reads.append(device.readings)
    info = json.loads(info_body(device))
    state = settled(draw(board(version), 1))

    assert info["expectedHashrate"] == pytest.approx(theirs["ghs"], rel=0.001)
    assert info["hashRate_10m"] == pytest.approx(theirs["ghs"], rel=0.02)
    rate_hs = device.hashrate.ten_minutes_hs
    assert rate_hs == pytest.approx(state.hashrate_hs, rel=0.02)
    assert info["power"] == pytest.approx(state.power.power_w, rel=0.03)
    power_w = mean(read.power_w for read in reads)
    assert power_w == pytest.approx(state.power.power_w, rel=0.03)
    current_ma = state.power.current_a * 1000
    assert info["current"] == pytest.approx(current_ma, rel=0.03)
    volts = state.power.input_voltage_v
    assert info["voltage"] == pytest.approx(volts * 1000, rel=0.01)
    assert info["temp"] == pytest.approx(theirs["temp_c"], abs=2)
    temp_c = mean(read.temp_c for read in reads)
    assert temp_c == pytest.approx(state.temp_c, abs=3)
    assert info["vrTemp"] == pytest.approx(state.power.vr_temp_c, abs=2)
    assert info["fanspeed"] == pytest.approx(state.fan_percent, abs=20)
    fan_percent = mean(read.fan_percent for read in reads)
    assert fan_percent == pytest.approx(state.fan_percent, abs=4)
    assert info["temp2"] == pytest.approx(theirs.get("temp2_c", -1), abs=2)
    assert (info["fan2rpm"] > 0) == ("fan2_rpm" in theirs)
    assert info["sharesAccepted"] > 20
    assert info["sharesRejected"] <= 2  # on the way when a block came


@each("row", boards())
def test_every_board_mines_and_says_what_it_is(row: Board) -> None:
    device = mining(60, board=row).device
    info, asic = json.loads(info_body(device)), json.loads(asic_body(device))

    assert info["boardVersion"] == row.version
    assert info["ASICModel"] == asic["ASICModel"] == row.chip.name
    assert asic["deviceModel"] == row.family
    assert asic["asicCount"] == row.asic_count
    assert asic["hashDomains"] == row.chip.hash_domains
    assert tuple(asic["frequencyOptions"]) == row.chip.frequency_options_mhz
    assert info["frequency"] == row.default_frequency_mhz
    assert info["coreVoltage"] == row.default_core_voltage_mv
    assert info["coreVoltageActual"] == pytest.approx(info["coreVoltage"], rel=0.02)
    assert info["expectedHashrate"] == pytest.approx(
        row.expected_hashrate_hs(row.default_frequency_mhz) / 1e9
    )
    chips = info["hashrateMonitor"]["asics"]
    assert len(chips) == row.asic_count
    assert all(len(chip["domains"]) == row.chip.hash_domains for chip in chips)
    totals = [chip["total"] for chip in chips]
    assert info["hashRate"] == pytest.approx(sum(totals), rel=1e-3)
    assert info["hashRate"] == pytest.approx(info["expectedHashrate"], rel=0.25)
    assert info["sharesAccepted"] > 0


def test_a_board_of_one_s_own_is_a_row() -> None:
    row = replace(board("801"), version="899", asic_count=3)
    device = mining(120, board=row).device

    assert json.loads(info_body(device))["boardVersion"] == "899"
    assert len(device.asics) == 3
    assert device.hashrate.one_minute_hs > 3.0e12


@each("version", ["205", "303", "601"])
def test_the_table_in_the_docs_is_what_comes_out(version: str) -> None:
    path = DOCS / "boards_table.py"
    spec = importlib.util.spec_from_file_location("boards_table", path)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    page = (DOCS / "boards.md").read_text(encoding="utf-8")

    cells = " | ".join(maker.board_row(board(version)))
    assert f"| {cells} |" in page, "run `make docs`"
