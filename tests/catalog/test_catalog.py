from typing import Any

import pytest

from softaxe.catalog import board, boards
from softaxe.errors import SettingError


def test_boards_and_chips_are_those_of_the_reference(
    boards_reference: dict[str, Any],
) -> None:
    known = {row["board_version"]: row for row in boards_reference["boards"]}
    for row in boards():
        reference = known[row.version]
        family = boards_reference["families"][reference["family"]]
        asic = boards_reference["asics"][reference["asic"]]
        assert row.family == reference["family"]
        assert row.asic_count == reference["asic_count"]
        assert row.max_power_w == family["max_power_w"]
        assert row.power_offset_w == family["power_offset_w"]
        assert row.nominal_voltage_v == family["nominal_voltage_v"]
        assert row.voltage_domains == family["voltage_domains"]
        assert row.swarm_color == family["swarm_color"]
        assert row.job_interval_ms == family["job_interval_ms"]
        assert row.temp_offset_c == reference["temp_offset_c"]
        assert row.has_tps546 == (reference["regulator"] == "TPS546")
        profile = boards_reference["tps546_profiles"][reference["tps546_profile"]]
        assert row.supply.vout_min_v == profile["vout_min"]
        assert row.supply.vout_max_v == profile["vout_max"]
        assert row.supply.input_off_v == profile["vin_off"]
        assert row.supply.overcurrent_a == profile["iout_oc_fault"]
        chip = row.chip
        assert chip.chip_id == int(asic["chip_id"], 16)
        assert list(chip.frequency_options_mhz) == asic["frequency_options_mhz"]
        assert list(chip.core_voltage_options_mv) == asic["voltage_options_mv"]
        assert chip.default_frequency_mhz == asic["default_frequency_mhz"]
        assert chip.default_core_voltage_mv == asic["default_voltage_mv"]
        assert chip.core_count == asic["core_count"]
        assert chip.small_core_count == asic["small_core_count"]
        assert chip.hash_domains == asic["hash_domains"]
        assert chip.ticket_difficulty == asic["ticket_difficulty"]
        assert chip.job_id_step == asic["job_id_step"]
        assert (chip.pll_fb_min, chip.pll_fb_max) == (
            asic["pll_fb_min"],
            asic["pll_fb_max"],
        )
        assert chip.max_baud == asic["max_baud"]
        assert chip.hash_counting_number == int(asic["hash_counting_number"], 16)


def test_a_board_is_found_by_version_and_by_family() -> None:
    assert board("600").version == "600"
    assert board("gamma").version == "601"
    assert board("Gamma").version == "601"


def test_an_unknown_board_names_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'9000' is none of .*601.*gamma"):
        board("9000")
